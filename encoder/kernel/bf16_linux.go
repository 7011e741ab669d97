//go:build amd64 && !noasm && linux

package kernel

import (
	"fmt"
	"syscall"
)

// permitAMX asks Linux for the tiles' state, 8 KiB a thread, for this process (Documentation/arch/x86/xstate.rst).
func permitAMX() error {
	const (
		requestPermission = 0x1023 // ARCH_REQ_XCOMP_PERM
		tileData          = 18     // XFEATURE_XTILEDATA
	)
	if _, _, e := syscall.Syscall(syscall.SYS_ARCH_PRCTL, requestPermission, tileData, 0); e != 0 {
		return fmt.Errorf("permission for AMX refused by Linux: %w", e)
	}
	return nil
}

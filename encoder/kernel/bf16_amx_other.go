//go:build amd64 && !noasm && !linux

package kernel

import (
	"fmt"
	"runtime"
)

func permitAMX() error {
	return fmt.Errorf("permission for AMX is only known on Linux, this is %s", runtime.GOOS)
}

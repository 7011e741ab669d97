package benchmarks

import (
	"bytes"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
)

// residentBytes returns the memory of this process that is in RAM, after it gave back what it does not use (VmRSS of proc(5)).
func residentBytes() (int64, error) {
	debug.FreeOSMemory()
	const path = "/proc/self/status"
	status, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return parseRSS(status)
}

func parseRSS(status []byte) (int64, error) {
	for line := range bytes.Lines(status) {
		value, ok := bytes.CutPrefix(line, []byte("VmRSS:"))
		if !ok {
			continue
		}
		kilobytes, unit, _ := bytes.Cut(bytes.TrimSpace(value), []byte(" "))
		n, err := strconv.ParseInt(string(kilobytes), 10, 64)
		if err != nil || n < 0 || string(unit) != "kB" {
			return 0, fmt.Errorf("/proc/self/status says %q: %w: want a number of kB", line, ErrData)
		}
		return n << 10, nil
	}
	return 0, fmt.Errorf("/proc/self/status: %w: it has no line VmRSS", ErrData)
}

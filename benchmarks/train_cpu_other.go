//go:build !unix

package benchmarks

import (
	"errors"
	"time"
)

func cpuTime() (time.Duration, error) {
	return 0, errors.New("the time that the process has used on the processor is not known on this system: measure on a Unix")
}

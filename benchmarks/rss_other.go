//go:build !linux

package benchmarks

import "errors"

// residentBytes is not known here: getrusage has only the peak, which building leaves far above what stays.
func residentBytes() (int64, error) {
	return 0, errors.ErrUnsupported
}

//go:build !linux

package benchmarks

import "errors"

// dropCaches is not known here.
func dropCaches(string) error { return errors.ErrUnsupported }

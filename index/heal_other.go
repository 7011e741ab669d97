//go:build !unix

package index

import "errors"

// lockDir cannot take badger's lock here.
func lockDir(string) (unlock func(), err error) {
	return nil, errors.New("not supported on this system: make sure that no process uses the store and delete the .vlog and .mem files of 0 bytes")
}

// syncDir has nothing to do where directories cannot be synced.
func syncDir(string) error { return nil }

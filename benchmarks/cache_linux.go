package benchmarks

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// dropCaches asks the system to forget the content of all files in a folder (POSIX_FADV_DONTNEED of posix_fadvise(2)), which it does
// with pages that are written and nobody maps.
func dropCaches(dir string) error {
	return filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close() // nothing was written through it
		if err := f.Sync(); err != nil {
			return err
		}
		if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
			return fmt.Errorf("%s: dropping it from the page cache: %w", path, err)
		}
		return nil
	})
}

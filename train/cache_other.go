//go:build !unix

package train

import (
	"fmt"
	"os"
	"runtime"
)

func mapFile(*os.File, int64) ([]byte, error) {
	return nil, fmt.Errorf("files cannot be mapped on %s here", runtime.GOOS)
}

func unmap([]byte) error { return nil }

package train

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"unsafe"

	"github.com/akin-search/akin/encoder"
)

// DefaultMemory is how many bytes of features a run holds in memory where Options.Memory does not say it.
const DefaultMemory = 4 << 30

// cache keeps features: up to a limit in memory, and beyond it in a file, whose pages the system reads and drops as it sees fit. The file has no
// name while it is used, so that nothing of it stays, however the process ends.
//
//	decoders ──keep──► memory, up to the limit
//	              └──► file ──place──► mapped: Features.Data lie in it
type cache struct {
	dir string // where the file is made

	mu     sync.Mutex // guards what follows
	left   int64      // bytes that memory may still take
	file   *os.File   // nil before it is needed
	end    int64      // of what is written to it
	mapped [][]byte
}

func newCache(dir string, limit int64) *cache { return &cache{dir: dir, left: limit} }

// kept is where the features of an item are: in memory, or in the file from an offset on.
type kept struct {
	encoder.Features
	filed  bool
	at     int64
	length int // of Data
}

// keep takes the features of one item. It may be called from several goroutines.
func (c *cache) keep(f encoder.Features) (kept, error) {
	size := 4 * int64(len(f.Data))
	c.mu.Lock()
	if size <= c.left {
		c.left -= size
		c.mu.Unlock()
		return kept{Features: f}, nil
	}
	if c.file == nil {
		if err := c.open(); err != nil {
			c.mu.Unlock()
			return kept{}, err
		}
	}
	at := c.end
	c.end += size
	c.mu.Unlock()
	if size == 0 {
		return kept{Features: f}, nil
	}
	if _, err := c.file.WriteAt(unsafe.Slice((*byte)(unsafe.Pointer(&f.Data[0])), size), at); err != nil { // the file is read by this process alone: its own byte order
		return kept{}, fmt.Errorf("train: features beyond the memory limit go to a file in %s: %w: make room there, or raise the limit", c.dir, err)
	}
	return kept{encoder.Features{Shape: f.Shape}, true, at, len(f.Data)}, nil
}

// open makes the file.
func (c *cache) open() error {
	f, err := os.CreateTemp(c.dir, ".akin-features-*")
	if err != nil {
		return fmt.Errorf("train: features beyond the memory limit go to a file: %w: make it possible, or raise the limit", err)
	}
	if err := os.Remove(f.Name()); err != nil { // only the name goes while it is open
		return errors.Join(err, f.Close())
	}
	c.file = f
	return nil
}

// place maps what has been written, and returns all features with their data. What is kept later takes another call, from another list.
func (c *cache) place(items []kept) ([]encoder.Features, error) {
	out := make([]encoder.Features, len(items))
	var mapped []byte
	for i, k := range items {
		out[i] = k.Features
		if !k.filed {
			continue
		}
		if mapped == nil {
			var err error
			if mapped, err = mapFile(c.file, c.end); err != nil {
				return nil, fmt.Errorf("train: features beyond the memory limit: %w: raise the limit", err)
			}
			c.mapped = append(c.mapped, mapped)
		}
		out[i].Data = unsafe.Slice((*float32)(unsafe.Pointer(&mapped[k.at])), k.length)
	}
	return out, nil
}

// Close gives the file back: features that lie in it must not be used any more. Those in memory stay.
func (c *cache) Close() error {
	var err error
	for _, m := range c.mapped {
		err = errors.Join(err, unmap(m))
	}
	if c.file != nil {
		err = errors.Join(err, c.file.Close())
	}
	c.mapped, c.file = nil, nil
	return err
}

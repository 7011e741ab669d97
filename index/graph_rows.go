package index

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
)

// rowFile keeps the vectors of slots in files, where searches read them at their place: a tenth of the time that a record of
// the store takes. The records stay the truth; these are copies of them for as long as the graph is in memory.
//
//	base   the snapshot that the graph was read from or written to last; its rows lie at the end
//	own    a file without a name, for slots taken since (fresh); it ends with the process, so that a crash leaves nothing to check
//	kept   rows that could not be written, because the disk is full for example: they stay in memory
//	row    [f32 …][CRC-32C of it, begun with the slot]
//
// A slot has one vector from when it is taken until it is free, so a row is never of another point's, or of an older, vector.
// Fields change while the graph's mu is held exclusively, or, own, before the writer first takes it.
type rowFile struct {
	dim   int
	path  string      // of own, while it has one
	warn  func(error) // is told why a row is kept
	own   *os.File    // nil until there is a row to write
	base  *os.File    // nil for none
	at    int64       // where rows begin in base
	fresh bitmap
	since bitmap      // slots taken after the snapshot that is being written was begun
	kept  sync.Map    // slot → row
	some  atomic.Bool // there may be kept rows
}

// size is the bytes of a row.
func (r *rowFile) size() int64 { return int64(4*r.dim + 4) }

// rowBuffer has room for a row as it lies in a file. In between it is a prepared row: what is behind the dimension is zeros.
func rowBuffer(s space) []float32 { return make([]float32, max(s.stride, s.dim+1)) }

func rowSum(slot uint32, b []byte) uint32 { return crc32.Update(slot, castagnoli, b[:len(b)-4]) }

// open makes the file for rows to come. Without one they are kept.
func (r *rowFile) open() {
	if r.own != nil {
		return
	}
	f, err := os.Create(r.path)
	if err != nil {
		r.warn(err)
		return
	}
	_ = os.Remove(r.path) // where an open file cannot lose its name, close does it
	r.own = f
}

// take says that a slot has a new vector, which write is to be given. The caller holds the graph's mu exclusively.
func (r *rowFile) take(slot uint32) {
	for int(slot/64) >= len(r.fresh) {
		r.fresh, r.since = append(r.fresh, 0), append(r.since, 0)
	}
	r.fresh.set(slot)
	r.since.set(slot)
}

// write writes the row of a taken slot that no link leads to yet. tmp is a rowBuffer.
func (r *rowFile) write(slot uint32, row, tmp []float32) {
	b := bytesOf(tmp[:r.dim+1])
	defer clear(tmp[r.dim:])
	copy(tmp[:r.dim], row)
	binary.NativeEndian.PutUint32(b[len(b)-4:], rowSum(slot, b))
	if r.own != nil {
		_, err := r.own.WriteAt(b, int64(slot)*r.size())
		if err == nil {
			if r.some.Load() {
				r.kept.Delete(slot)
			}
			return
		}
		r.warn(err)
	}
	r.kept.Store(slot, bytes.Clone(b))
	r.some.Store(true)
}

// read fills row, a rowBuffer, with the vector of a slot and zeros.
func (r *rowFile) read(slot uint32, row []float32) error {
	defer clear(row[r.dim:])
	return r.readRun(slot, bytesOf(row[:r.dim+1]), nil)
}

// readRun fills b with the rows of slots from first on, all in one file, and checks those that check asks for, nil for all.
func (r *rowFile) readRun(first uint32, b []byte, check func(slot uint32) bool) error {
	f, at := r.own, int64(0)
	if !r.fresh.has(first) {
		f, at = r.base, r.at
	}
	n, err := 0, error(nil)
	if f != nil {
		n, err = f.ReadAt(b, at+int64(first)*r.size())
	}
	if err != nil && err != io.EOF { // rows at the end may be kept ones
		return err
	}
	clear(b[n:])
	size := int(r.size())
	for i := 0; i*size < len(b); i++ {
		slot, row := first+uint32(i), b[i*size:(i+1)*size]
		if check != nil && !check(slot) {
			continue
		}
		if r.some.Load() {
			if kept, ok := r.kept.Load(slot); ok {
				copy(row, kept.([]byte))
			}
		}
		if rowSum(slot, row) != binary.NativeEndian.Uint32(row[size-4:]) {
			return fmt.Errorf("the copy of a vector, slot %d, fails its checksum: %w: open the store again, or let akin verify mend it", slot, ErrCorrupt)
		}
	}
	return nil
}

// rowsAtOnce is how many rows are copied with one read.
const rowsAtOnce = 1 << 10

// copyTo writes the rows of the first slots, of those that are not wanted whatever is there. What take is told from now on is not among them.
func (r *rowFile) copyTo(w io.Writer, slots int, want func(slot uint32) bool) error {
	clear(r.since)
	b := make([]byte, rowsAtOnce*r.size())
	for first := 0; first < slots; {
		n := 1
		for n < rowsAtOnce && first+n < slots && r.fresh.has(uint32(first+n)) == r.fresh.has(uint32(first)) {
			n++
		}
		part := b[:int64(n)*r.size()]
		if err := r.readRun(uint32(first), part, want); err != nil {
			return err
		}
		if _, err := w.Write(part); err != nil {
			return err
		}
		first += n
	}
	return nil
}

// rebase reads rows from the snapshot at path, which copyTo wrote, on. The caller holds the graph's mu exclusively.
func (r *rowFile) rebase(path string, at int64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	old := r.base
	r.base, r.at = f, at
	copy(r.fresh, r.since)
	r.some.Store(false)
	r.kept.Range(func(slot, _ any) bool {
		if r.fresh.has(slot.(uint32)) {
			r.some.Store(true)
		} else {
			r.kept.Delete(slot)
		}
		return true
	})
	if old != nil {
		err = old.Close()
	}
	if r.own != nil && r.fresh.count() == 0 {
		err = errors.Join(err, r.own.Truncate(0))
	}
	return err
}

// close closes the files. The caller holds the graph's mu exclusively; searches fail afterwards.
func (r *rowFile) close() error {
	var errs []error
	if r.base != nil {
		errs = append(errs, r.base.Close())
	}
	if r.own != nil {
		errs = append(errs, r.own.Close())
		if err := os.Remove(r.path); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	r.own, r.base = nil, nil
	return errors.Join(errs...)
}

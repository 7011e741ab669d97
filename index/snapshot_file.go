package index

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"sync/atomic"
)

// A snapshot file is its body followed by a CRC-32C of every block of it, u32 little endian, the last block being shorter. How
// long the body is, and the CRC-32C of these sums, stand in the manifest: a byte that changed anywhere is noticed.
const snapshotBlock = 256 << 10

// sumWriter passes a body on and adds up its blocks.
type sumWriter struct {
	ctx   context.Context
	w     io.Writer
	bytes int64
	sums  []byte
	sum   uint32 // of the block that is being written
}

func (s *sumWriter) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		if err := s.ctx.Err(); err != nil {
			return n, err
		}
		part := p[:min(len(p), int(snapshotBlock-s.bytes%snapshotBlock))]
		if _, err := s.w.Write(part); err != nil {
			return n, err
		}
		s.sum = crc32.Update(s.sum, castagnoli, part)
		if s.bytes += int64(len(part)); s.bytes%snapshotBlock == 0 {
			s.endBlock()
		}
		n, p = n+len(part), p[len(part):]
	}
	return n, nil
}

func (s *sumWriter) endBlock() {
	s.sums = binary.LittleEndian.AppendUint32(s.sums, s.sum)
	s.sum = 0
}

// finish writes the sums and returns theirs.
func (s *sumWriter) finish() (uint32, error) {
	if s.bytes%snapshotBlock > 0 {
		s.endBlock()
	}
	_, err := s.w.Write(s.sums)
	return crc32.Checksum(s.sums, castagnoli), err
}

// sumReader reads a body in order and in parallel, and checks what it reads.
type sumReader struct {
	f       io.ReaderAt
	bytes   int64 // of the body
	sums    []byte
	at      int64 // what read reads next
	threads int
}

// newSumReader reads the sums of a file with a body of so many bytes.
func newSumReader(f *os.File, bytes int64, sum uint32, threads int) (*sumReader, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	sums := 4 * ((bytes + snapshotBlock - 1) / snapshotBlock)
	if bytes < 0 || info.Size() != bytes+sums {
		return nil, fmt.Errorf("%s has %d bytes, want %d: %w", f.Name(), info.Size(), bytes+sums, ErrCorrupt)
	}
	r := &sumReader{f: f, bytes: bytes, sums: make([]byte, sums), threads: threads}
	if _, err := f.ReadAt(r.sums, bytes); err != nil {
		return nil, err
	}
	if crc32.Checksum(r.sums, castagnoli) != sum {
		return nil, fmt.Errorf("%s: the sums at its end fail their checksum: %w", f.Name(), ErrCorrupt)
	}
	return r, nil
}

// read fills slices with the next bytes. A block that lies in several calls is read, and checked, in each.
func (r *sumReader) read(ctx context.Context, into ...[]byte) error {
	first, end := r.at, r.at
	for _, part := range into {
		end += int64(len(part))
	}
	if end > r.bytes {
		return fmt.Errorf("body of %d bytes ends before byte %d: %w", r.bytes, end, ErrCorrupt)
	}
	if first == end {
		return nil
	}
	r.at = end
	from, blocks := first/snapshotBlock, (end-1)/snapshotBlock-first/snapshotBlock+1
	return r.blocks(ctx, from, blocks, func(block int64) error { return r.readBlock(block, first, into) })
}

// skip checks the next bytes, and leaves them where they are.
func (r *sumReader) skip(ctx context.Context, n int64) error {
	first, end := r.at/snapshotBlock, (r.at+n+snapshotBlock-1)/snapshotBlock
	if r.at += n; r.at > r.bytes {
		return fmt.Errorf("body of %d bytes ends before byte %d: %w", r.bytes, r.at, ErrCorrupt)
	}
	return r.blocks(ctx, first, end-first, func(block int64) error { return r.readBlock(block, 0, nil) })
}

// blocks calls f for so many blocks, until one fails.
func (r *sumReader) blocks(ctx context.Context, first, n int64, f func(block int64) error) error {
	var failed atomic.Pointer[error]
	workers(r.threads, int(n), func(i int) {
		if failed.Load() != nil {
			return
		}
		err := ctx.Err()
		if err == nil {
			err = f(first + int64(i))
		}
		if err != nil {
			failed.CompareAndSwap(nil, &err)
		}
	})
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// readBlock reads a block into the slices that begin at first, what lies outside of them into memory of its own.
func (r *sumReader) readBlock(block, first int64, into [][]byte) error {
	at, end := block*snapshotBlock, min((block+1)*snapshotBlock, r.bytes)
	sum := uint32(0)
	take := func(p []byte) error {
		if _, err := r.f.ReadAt(p, at); err != nil {
			return fmt.Errorf("block %d: %w", block, err)
		}
		sum = crc32.Update(sum, castagnoli, p)
		at += int64(len(p))
		return nil
	}
	if at < first {
		if err := take(make([]byte, first-at)); err != nil {
			return err
		}
	}
	for _, part := range into {
		stop := min(first+int64(len(part)), end)
		if at >= first && at < stop {
			if err := take(part[at-first : stop-first]); err != nil {
				return err
			}
		}
		first += int64(len(part))
	}
	if at < end {
		if err := take(make([]byte, end-at)); err != nil {
			return err
		}
	}
	if sum != binary.LittleEndian.Uint32(r.sums[4*block:]) {
		return fmt.Errorf("block %d of %d bytes fails its checksum: %w", block, end-block*snapshotBlock, ErrCorrupt)
	}
	return nil
}

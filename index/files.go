package index

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/table"
)

// What badger (v4.9.6) does with a byte that changed in one of its files depends on where it is: it ends the process where the
// foot of a table is wrong (log.Fatal, or a panic in a goroutine of its own), deletes the tables that a shortened MANIFEST does
// not name, and cuts a log off at the first entry that fails its checksum, with all acknowledged writes behind it. So the files
// are looked at before it sees them.
//
//	MANIFEST     it is there if there are tables, and ends with a whole entry or with one that a crash cut short
//	NNNNNN.sst   index and last block have their checksums; with every, all blocks have
//	NNNNN.mem    no entry that is all there fails its checksum, and no whole transaction follows on one that fails it
//	NNNNNN.vlog  the same with an entry for a transaction; the last log, or with every, all
//
// What is written here about formats is written in badger's manifest.go, table/builder.go, memtable.go and structs.go.

// fileError is a damaged file. A log can be mended by cutting it off at keep, which loses what is behind.
type fileError struct {
	path string
	what string
	keep int64 // bytes of a log that are whole; −1 for other files
}

func (e *fileError) Error() string {
	mend := "restore a backup"
	if e.keep >= 0 {
		mend = "akin verify --drop-damaged gives up what was written after it, or restore a backup"
	}
	return fmt.Sprintf("file %s %s: %v: %s", filepath.Base(e.path), e.what, ErrCorrupt, mend)
}

func (e *fileError) Unwrap() error { return ErrCorrupt }

// checkFiles looks at the files of a store that no process has open, and returns the first damage.
func checkFiles(dir string, every bool) error {
	tables, err := checkManifest(dir)
	if err != nil {
		return err
	}
	for _, t := range tables {
		if err := checkTable(table.NewFilename(t.id, dir), t.plain, every); err != nil {
			return err
		}
	}
	for _, suffix := range []string{".mem", ".vlog"} {
		logs, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
		if err != nil {
			return err
		}
		slices.Sort(logs)
		if suffix == ".vlog" && !every && len(logs) > 0 {
			logs = logs[len(logs)-1:]
		}
		for _, path := range logs {
			if err := checkLog(path, suffix == ".vlog"); err != nil {
				return err
			}
		}
	}
	return nil
}

// tableFile is a table that is in use. Only those of other programs are compressed.
type tableFile struct {
	id    uint64
	plain bool
}

// checkManifest returns the tables that are in use.
func checkManifest(dir string) ([]tableFile, error) {
	path := filepath.Join(dir, badger.ManifestFilename)
	damaged := func(what string) error { return &fileError{path, what, -1} }
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
		if err == nil && len(tables) > 0 {
			err = damaged(fmt.Sprintf("is missing, and there are %d tables", len(tables)))
		}
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() // nothing was written
	m, end, err := badger.ReplayManifestFile(f, 0, badger.DefaultOptions(dir).WithLogger(nil))
	if err != nil {
		return nil, damaged("cannot be read (" + err.Error() + ")")
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	// An entry is its length and its CRC-32C, big endian, and as many bytes. One cut short is what a crash leaves; one that is
	// whole with another length is not.
	if rest := content[min(int(end), len(content)):]; len(rest) > 8 {
		want, sum := binary.BigEndian.Uint32(rest[4:]), uint32(0)
		for i := range rest[8:] {
			if sum = crc32.Update(sum, castagnoli, rest[8+i:9+i]); sum == want {
				return nil, damaged(fmt.Sprintf("has a wrong length at byte %d", end))
			}
		}
	}
	files := make([]tableFile, 0, len(m.Tables))
	for id, t := range m.Tables {
		files = append(files, tableFile{id, t.Compression == options.None})
	}
	slices.SortFunc(files, func(a, b tableFile) int { return cmp.Compare(a.id, b.id) })
	return files, nil
}

// checkTable checks the foot of a table, from its end: length of the checksum u32, checksum, length of the index u32, index. Then
// the last block, or every one.
func checkTable(path string, plain, every bool) error {
	damaged := func(what string, args ...any) error { return &fileError{path, fmt.Sprintf(what, args...), -1} }
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return damaged("is missing")
	}
	if err != nil {
		return err
	}
	defer f.Close() // nothing was written
	info, err := f.Stat()
	if err != nil {
		return err
	}
	end := info.Size()
	// before reads the n bytes before end and steps over them.
	before := func(n int64) ([]byte, error) {
		if n < 0 || n > end {
			return nil, damaged("has a part of %d bytes in %d", n, end)
		}
		b := make([]byte, n)
		_, err := f.ReadAt(b, end-n)
		end -= n
		return b, err
	}
	// sized reads a part and the length that stands behind it.
	sized := func() ([]byte, error) {
		n, err := before(4)
		if err != nil {
			return nil, err
		}
		return before(int64(binary.BigEndian.Uint32(n)))
	}
	sum, err := sized()
	if err != nil {
		return err
	}
	index, err := sized()
	if err != nil {
		return err
	}
	if len(index) < 8 || !bytes.Equal(sum, checksumOf(index)) {
		return damaged("has an index that fails its checksum")
	}
	if !plain {
		return nil
	}
	blocks := fb.GetRootAsTableIndex(index, 0)
	first := blocks.OffsetsLength() - 1
	if every {
		first = 0
	}
	for i := first; i < blocks.OffsetsLength(); i++ {
		var block fb.BlockOffset
		if !blocks.Offsets(&block, i) {
			return damaged("has no block %d", i)
		}
		end = int64(block.Offset()) + int64(block.Len())
		if end > info.Size() {
			return damaged("ends before block %d", i)
		}
		start := int64(block.Offset())
		sum, err := sized()
		if err != nil {
			return err
		}
		content, err := before(end - start)
		if err != nil {
			return err
		}
		if !bytes.Equal(sum, checksumOf(content)) {
			return damaged("has a block, %d of %d, that fails its checksum", i+1, blocks.OffsetsLength())
		}
	}
	return nil
}

// checksumOf is badger's pb.Checksum of the CRC-32C: field 2, a varint; nothing where it is 0.
func checksumOf(b []byte) []byte {
	sum := crc32.Checksum(b, castagnoli)
	if sum == 0 {
		return nil
	}
	return binary.AppendUvarint([]byte{2 << 3}, uint64(sum))
}

// The head of a log is the number of a key, 0 for none, and an initialisation vector. Entries follow: meta u8, user meta u8,
// lengths of key and value and the time of expiry as uvarints, key, value, CRC-32C of all that, big endian. Zeros end it.
const (
	logHead = 8 + 12
	sector  = 512 // what a disk writes whole
)

// endOfTxn is the key of the entry that ends a transaction, and its place behind the entry's begin.
var endOfTxn = []byte("!badger!txn")

const endOfTxnAt = 5

// checkLog looks at what is behind the last whole entry of a log. A process that was killed leaves the beginning of an entry
// and zeros there, a power cut sectors of zeros that never came to the disk. What is all there and fails its checksum was
// written whole once. What cannot be told apart: the length in the head of the very last entry has changed.
func checkLog(path string, values bool) error {
	content, err := os.ReadFile(path)
	if err != nil || len(content) < logHead { // badger writes the head anew
		return err
	}
	if binary.BigEndian.Uint64(content) != 0 {
		return &fileError{path, "names a key, and akin does not encrypt", -1}
	}
	end := logHead
	for {
		n := entryAt(content[end:])
		if n == 0 {
			break
		}
		end += n
	}
	damaged := func(last int) error {
		for at := (end + sector - 1) / sector * sector; at+sector <= last; at += sector {
			if !slices.ContainsFunc(content[at:at+sector], func(b byte) bool { return b != 0 }) {
				return nil
			}
		}
		return &fileError{path, fmt.Sprintf("fails a checksum at byte %d", end), int64(end)}
	}
	if n := entryLength(content[end:]); n > 0 && content[end+n-1] != 0 {
		if err := damaged(end + n); err != nil {
			return err
		}
	}
	for at := end; at < len(content); at++ {
		if values { // entries of the value log stand alone; their keys begin like a record's
			if b := content[at:]; len(b) < 8 || b[1] != 0 || entryAt(b) == 0 {
				continue
			}
		} else {
			next := bytes.Index(content[at:], endOfTxn)
			if next < 0 {
				return nil
			}
			if at += next; at-endOfTxnAt < end || entryAt(content[at-endOfTxnAt:]) == 0 {
				continue
			}
		}
		return damaged(at)
	}
	return nil
}

// entryAt returns the length of the whole entry that b begins with, 0 for none.
func entryAt(b []byte) int {
	n := entryLength(b)
	if n == 0 || crc32.Checksum(b[:n-4], castagnoli) != binary.BigEndian.Uint32(b[n-4:]) {
		return 0
	}
	return n
}

// entryLength returns how long the entry is that b begins with by its own account, 0 if that is longer than b.
func entryLength(b []byte) int {
	at, total := 2, uint64(0)
	for i := range 3 {
		if at >= len(b) {
			return 0
		}
		v, n := binary.Uvarint(b[at:min(at+binary.MaxVarintLen64, len(b))])
		if n <= 0 || i < 2 && v > math.MaxUint32 || i == 0 && v == 0 {
			return 0
		}
		if at += n; i < 2 {
			total += v
		}
	}
	if total > uint64(len(b)) || at+int(total)+4 > len(b) {
		return 0
	}
	return at + int(total) + 4
}

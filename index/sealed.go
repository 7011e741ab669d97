package index

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Every record of a store, and every detector, is sealed: a kind, a version, the content and a CRC-32C (Castagnoli, little
// endian) of what it belongs to (its key, say) and of all before it. A record in the wrong place fails as a damaged one does.
//
// History of the versions:
//
//	store     1  2026-11  keys as in keys.go
//	config    1  2026-11  JSON of the collection's number and Config
//	point     1  2026-11  flags, sequence number, vector, label, payload as JSON
//	          2  2026-11  the same; its raw input is a sealed record. Version 1, with a raw input that is not, is read
//	raw       1  2026-11  the raw input of a point
//	sequence  1  2026-11  the collection's last sequence number
//	          2  2026-11  and the number of its points; version 1 is read
//	manifest  1  2026-11  JSON of a snapshot in chunks of badger, without vectors: the graph is built from the points instead
//	          2  2026-11  JSON of a snapshot in a file (snapshot.go, graph_image.go)
//	detector  1  2026-11  clusters and calibration; left out: it cannot be made of what is stored
//	          2  2026-11  clusters, covariance, choice of the score, calibration by class (detector_codec.go)
//	          3  2026-11  and a distribution of each class, one score more; version 2 is made again
//	aside     1  2026-11  role, label and vector of a point that no search finds (aside.go)
//	          2  2026-11  and its score by another judge than the detector, if it has one; version 1 is read
//	curve     1  2026-11  JSON of recall over ef, by k (curve.go)
//	watch     1  2026-11  counts of verdicts, drift, and the scores that others are ranked among (watch_record.go)
//	          2  2026-11  and the scores of another judge than the detector; version 1 is read
type recordKind byte

const (
	kindStore    recordKind = 'S'
	kindConfig   recordKind = 'C'
	kindPoint    recordKind = 'P'
	kindRaw      recordKind = 'R'
	kindSequence recordKind = 'Q'
	kindManifest recordKind = 'M'
	kindDetector recordKind = 'D'
	kindCurve    recordKind = 'E'
	kindAside    recordKind = 'H'
	kindWatch    recordKind = 'W'
)

// version is what this akin writes of a kind.
func (k recordKind) version() byte {
	switch k {
	case kindDetector:
		return 3
	case kindPoint, kindSequence, kindManifest, kindWatch, kindAside:
		return 2
	}
	return 1
}

// oldest is the oldest version of a kind that this akin reads.
func (k recordKind) oldest() byte {
	switch k {
	case kindDetector:
		return 3
	case kindManifest:
		return 2
	}
	return 1
}

// sealOverhead is what sealing adds, in bytes.
const sealOverhead = 2 + 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// newRecord starts a record with room for n bytes of content, to be appended before seal.
func newRecord(k recordKind, n int) []byte {
	return append(make([]byte, 0, n+sealOverhead), byte(k), k.version())
}

// seal ends a record that belongs to owner.
func seal(record []byte, owner string) []byte {
	return binary.LittleEndian.AppendUint32(record, sum(record, owner))
}

func sum(record []byte, owner string) uint32 {
	c := crc32.Update(0, castagnoli, []byte(owner))
	return crc32.Update(c, castagnoli, record)
}

// unseal checks a record and returns its content.
func unseal(record []byte, k recordKind, owner string) ([]byte, error) {
	if len(record) < sealOverhead || record[0] != byte(k) {
		return nil, fmt.Errorf("record of %d bytes is not of kind %q: %w", len(record), byte(k), ErrCorrupt)
	}
	end := len(record) - 4
	if sum(record[:end], owner) != binary.LittleEndian.Uint32(record[end:]) {
		return nil, fmt.Errorf("record of kind %q fails its checksum: %w", byte(k), ErrCorrupt)
	}
	if v := record[1]; v < k.oldest() || v > k.version() {
		return nil, fmt.Errorf("record of kind %q has version %d: %w: this akin reads %d to %d, use one that reads it", byte(k), v, ErrFormat, k.oldest(), k.version())
	}
	return record[2:end], nil
}

// reader reads little-endian fields. After the first that is missing all are zero and ok is false.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) bytes(n int) []byte {
	if r.bad || n < 0 || n > len(r.b) {
		r.bad = true
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) uint8() uint8 {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint16() uint16 {
	if b := r.bytes(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if b := r.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if b := r.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// text reads a length and as many bytes.
func (r *reader) text() []byte { return r.bytes(int(r.uint32())) }

func appendText[T string | []byte](b []byte, text T) []byte {
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(text))), text...)
}

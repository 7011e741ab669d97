package index

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"unicode/utf8"
)

// Limits of a stored point.
const (
	MaxLabel   = 1 << 10  // bytes of a label (UTF-8)
	MaxPayload = 1 << 20  // bytes of a payload as JSON
	MaxRaw     = 16 << 20 // bytes of a raw input
)

// Point is what a collection keeps under an id.
type Point struct {
	ID string
	// Vector has the collection's dimension. With Cosine it is stored at unit length.
	Vector []float32
	// Label is the class, "" for none.
	Label string
	// Payload is any JSON object; nil for none. Numbers come back as float64.
	Payload map[string]any
	// Raw is the input that was embedded, kept so that a new model can embed it
	// again; nil for none.
	Raw []byte
	// Score is what another judge than the detector, as patches, made of a point that is kept aside to calibrate: CalibrationScores has it. Nil
	// for none; other points have none.
	Score *float64
}

// pointRecord is a point as it is stored. The content of its sealed record is
//
//	flags u8   seq u64   dimension u16   components f32…   label text   payload text
//
// and its raw input is a value of its own, so that reading all vectors does not read all images.
type pointRecord struct {
	hasRaw  bool
	bareRaw bool // it is not sealed
	seq     uint64
	row     []byte // components, 4 bytes each
	label   []byte
	payload []byte // JSON, empty for none
}

const flagRaw = 1

// check validates all but the vector and returns the payload as JSON.
func (p *Point) check() (payload []byte, err error) {
	if err := checkID(p.ID); err != nil {
		return nil, err
	}
	if len(p.Label) > MaxLabel || !utf8.ValidString(p.Label) {
		return nil, fmt.Errorf("id %q: label of %d bytes: %w: use up to %d bytes of UTF-8", p.ID, len(p.Label), ErrInvalid, MaxLabel)
	}
	if len(p.Raw) > MaxRaw {
		return nil, fmt.Errorf("id %q: raw input of %d bytes: %w: use up to %d", p.ID, len(p.Raw), ErrInvalid, MaxRaw)
	}
	if p.Payload == nil {
		return nil, nil
	}
	// Payloads go into answers as they are stored: with < and not its escape.
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(p.Payload); err != nil {
		return nil, fmt.Errorf("id %q: payload: %w: %w", p.ID, ErrInvalid, err)
	}
	payload = bytes.TrimSuffix(text.Bytes(), []byte("\n"))
	if len(payload) > MaxPayload {
		return nil, fmt.Errorf("id %q: payload of %d bytes as JSON: %w: use up to %d", p.ID, len(payload), ErrInvalid, MaxPayload)
	}
	return payload, nil
}

// encodePoint seals the record of a checked point.
func encodePoint(p *Point, payload []byte, row []float32, seq uint64) []byte {
	var flags byte
	if len(p.Raw) > 0 {
		flags |= flagRaw
	}
	b := newRecord(kindPoint, 11+4*len(row)+8+len(p.Label)+len(payload))
	b = append(b, flags)
	b = binary.LittleEndian.AppendUint64(b, seq)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(row)))
	for _, x := range row {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	b = appendText(b, p.Label)
	b = appendText(b, payload)
	return seal(b, p.ID)
}

// decodePoint opens a record. The result points into b.
func decodePoint(b []byte, id string, dim int) (pointRecord, error) {
	content, err := unseal(b, kindPoint, id)
	if err != nil {
		return pointRecord{}, fmt.Errorf("point %q: %w", id, err)
	}
	r := reader{b: content}
	p := pointRecord{bareRaw: b[1] == 1, hasRaw: r.uint8()&flagRaw != 0, seq: r.uint64()}
	n := int(r.uint16())
	p.row, p.label, p.payload = r.bytes(4*n), r.text(), r.text()
	if r.bad || n != dim || len(r.b) > 0 {
		return pointRecord{}, fmt.Errorf("point %q: its record of %d bytes has the wrong form: %w", id, len(b), ErrCorrupt)
	}
	return p, nil
}

// vector decodes the components into a row.
func (p *pointRecord) vector(row []float32) []float32 {
	row = row[:len(p.row)/4]
	for i := range row {
		row[i] = math.Float32frombits(binary.LittleEndian.Uint32(p.row[4*i:]))
	}
	return row
}

// point makes the public form, without the raw input.
func (p *pointRecord) point(id string) (Point, error) {
	out := Point{ID: id, Vector: p.vector(make([]float32, len(p.row)/4)), Label: string(p.label)}
	if len(p.payload) > 0 {
		if err := json.Unmarshal(p.payload, &out.Payload); err != nil {
			return Point{}, fmt.Errorf("point %q: payload: %w: %w", id, ErrCorrupt, err)
		}
	}
	return out, nil
}

// entries returns what the point can be filtered by.
func (p *pointRecord) entries() ([]entry, error) { return entriesOf(string(p.label), p.payload) }

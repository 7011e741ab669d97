package index

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// The file that github.com/coder/hnsw v0.6.1 saves (Graph.Export, SavedGraph.Save), with string keys:
//
//	file    version varint = 1   M varint   Ml float64   EfSearch varint   distance text   layers varint   layer…
//	layer   nodes varint   node…                                          from the bottom, which has all nodes
//	node    key text   components varint   float32…   neighbours varint   key text…
//	text    length varint   bytes
//
// Numbers are little endian, varints signed (zigzag). There is no checksum, and nothing says what type the keys have. The
// library's own Import checks nothing: it allocates what a length says, and panics or hangs where one is damaged.
const (
	coderVersion   = 1
	coderMaxLayers = 64
	coderMaxM      = 1 << 20
)

// coderMetrics are the distances that the library saves by name.
var coderMetrics = map[string]Metric{"cosine": Cosine, "euclidean": L2}

// CoderGraph is what a saved graph of github.com/coder/hnsw says of itself.
type CoderGraph struct {
	Metric    Metric
	Dimension int // 0 without points
	Points    int
	Layers    int
	M         int
}

// ReadCoder reads a saved graph of github.com/coder/hnsw with string keys and calls each, unless it is nil, for every point, as
// they come. The links are checked for their form and left out: a collection makes better ones. The vector is each's only until
// it returns. ErrCorrupt: the file is damaged, or has other keys than strings; ErrFormat: another version wrote it; ErrInvalid,
// ErrDimension, ErrNotFinite, ErrZeroVector: it holds what a collection does not. Points may have been handed out by then: read a
// file without each first. It takes memory for the keys, and no more than the file is long.
func ReadCoder(r io.Reader, each func(id string, vector []float32) error) (CoderGraph, error) {
	c := coderReader{r: bufio.NewReader(r), each: each, level: map[string]int8{}}
	err := c.read()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = c.corrupt("the file ends too early")
	}
	return c.info, err
}

type coderReader struct {
	r      *bufio.Reader
	at     int64 // bytes read
	failed error // of the last ReadByte
	each   func(string, []float32) error
	info   CoderGraph
	space  space
	level  map[string]int8 // highest layer so far of each key

	text   []byte
	raw    []byte // components as they are stored
	vector []float32
	row    []float32
}

// ReadByte makes the offset known, for ReadVarint.
func (c *coderReader) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.at++
	}
	c.failed = err
	return b, err
}

func (c *coderReader) full(b []byte) error {
	n, err := io.ReadFull(c.r, b)
	c.at += int64(n)
	return err
}

func (c *coderReader) corrupt(format string, a ...any) error {
	return fmt.Errorf("saved graph of coder/hnsw, byte %d: %s: %w: save it again, with string keys", c.at, fmt.Sprintf(format, a...), ErrCorrupt)
}

// number reads a varint from lo to hi.
func (c *coderReader) number(what string, lo, hi int64) (int, error) {
	n, err := binary.ReadVarint(c)
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return 0, io.ErrUnexpectedEOF
	case err != nil && c.failed != nil:
		return 0, err
	case err != nil:
		return 0, c.corrupt("%s: %v", what, err)
	case n < lo || n > hi:
		return 0, c.corrupt("%s %d is not between %d and %d", what, n, lo, hi)
	}
	return int(n), nil
}

// bytes reads a text, valid until the next.
func (c *coderReader) bytes(what string, limit int) ([]byte, error) {
	n, err := c.number("length of "+what, 0, int64(limit))
	if err != nil {
		return nil, err
	}
	if cap(c.text) < n {
		c.text = make([]byte, limit)
	}
	c.text = c.text[:n]
	return c.text, c.full(c.text)
}

func (c *coderReader) read() error {
	version, err := c.number("version", 0, math.MaxInt32)
	if err != nil {
		return err
	}
	if version != coderVersion {
		return fmt.Errorf("saved graph of coder/hnsw, version %d: %w: this reads version %d, of coder/hnsw v0.6.1", version, ErrFormat, coderVersion)
	}
	if c.info.M, err = c.number("M", 1, coderMaxM); err != nil {
		return err
	}
	var ml [8]byte
	if err := c.full(ml[:]); err != nil {
		return err
	}
	if x := math.Float64frombits(binary.LittleEndian.Uint64(ml[:])); !(x > 0 && x <= 1) {
		return c.corrupt("Ml %v is not above 0 and at most 1", x)
	}
	if _, err := c.number("EfSearch", 0, math.MaxInt32); err != nil {
		return err
	}
	name, err := c.bytes("the distance's name", MaxLabel)
	if err != nil {
		return err
	}
	metric, ok := coderMetrics[string(name)]
	if !ok {
		return fmt.Errorf("saved graph of coder/hnsw with the distance %q: %w: this reads cosine and euclidean", name, ErrInvalid)
	}
	c.info.Metric = metric
	if c.info.Layers, err = c.number("number of layers", 0, coderMaxLayers); err != nil {
		return err
	}
	for layer := range c.info.Layers {
		nodes, err := c.number("number of nodes", 0, math.MaxInt32)
		if err != nil {
			return err
		}
		for range nodes {
			if err := c.node(layer); err != nil {
				return err
			}
		}
	}
	if _, err := c.ReadByte(); !errors.Is(err, io.EOF) {
		if err != nil {
			return err
		}
		return c.corrupt("more follows after the last layer")
	}
	return nil
}

func (c *coderReader) node(layer int) error {
	key, err := c.bytes("a key", MaxID)
	if err != nil {
		return err
	}
	id := string(key)
	if err := checkID(id); err != nil {
		return fmt.Errorf("saved graph of coder/hnsw, byte %d: key %q: %w (are the keys strings?)", c.at, id, err)
	}
	if err := c.components(id); err != nil {
		return err
	}
	links, err := c.number("number of neighbours", 0, math.MaxInt32)
	if err != nil {
		return err
	}
	for range links {
		// It may be a key that was deleted: the library leaves such links behind.
		if _, err := c.bytes("a neighbour's key", MaxID); err != nil {
			return err
		}
	}
	below, known := c.level[id]
	if known != (layer > 0) || known && int(below) != layer-1 {
		return c.corrupt("key %q in layer %d is there twice, or not in the layer below", id, layer)
	}
	c.level[id] = int8(layer)
	if layer > 0 {
		return nil
	}
	c.info.Points++
	if c.each == nil {
		return nil
	}
	return c.each(id, c.vector)
}

// components reads a vector and checks that a collection would take it.
func (c *coderReader) components(id string) error {
	n, err := c.number("number of components", 1, MaxDimension)
	if err != nil {
		return err
	}
	if c.info.Dimension == 0 {
		c.info.Dimension = n
		c.space = newSpace(c.info.Metric, n)
		c.raw, c.vector, c.row = make([]byte, 4*n), make([]float32, n), make([]float32, c.space.stride)
	}
	if n != c.info.Dimension {
		return fmt.Errorf("saved graph of coder/hnsw, byte %d: key %q has %d components, others %d: %w: all vectors must be alike", c.at, id, n, c.info.Dimension, ErrDimension)
	}
	if err := c.full(c.raw); err != nil {
		return err
	}
	for i := range c.vector {
		c.vector[i] = math.Float32frombits(binary.LittleEndian.Uint32(c.raw[4*i:]))
	}
	if err := c.space.prepare(c.row, c.vector); err != nil {
		return fmt.Errorf("saved graph of coder/hnsw, byte %d: key %q: %w", c.at, id, err)
	}
	return nil
}

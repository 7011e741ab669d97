package index

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
)

// ExportCoder writes the collection's ids and vectors as a saved graph of github.com/coder/hnsw v0.6.1 with string keys, which
// its Import, or LoadSavedGraph, reads. The graph is made for it, with the collection's M and seed, by our rules and not the
// library's, so that the library finds more in it than in one of its own. Labels, payloads and raw inputs have no place in that
// file. ErrInvalid: the metric is Dot, which the library does not save. It takes memory for the vectors and links once more.
func (c *Collection) ExportCoder(ctx context.Context, w io.Writer) error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.store.gate.leave()
	cfg := c.Config()
	if cfg.Metric != Cosine && cfg.Metric != L2 {
		return fmt.Errorf("collection %q has the metric %v: %w: coder/hnsw saves cosine and l2", c.name, cfg.Metric, ErrInvalid)
	}
	o := cfg.options(c.store.opt.Threads)
	o.Engine, o.Quantization = EngineGraph, QuantizationFloat32
	o.SetDefaults()
	g := newGraph(o, nil)
	var ids []string
	var vectors [][]float32
	insert := func() error {
		err := g.Upsert(ids, vectors)
		ids, vectors = ids[:0], vectors[:0]
		return err
	}
	row := make([]float32, cfg.Dimension)
	err := c.eachVector(ctx, row, func(id string) error {
		ids, vectors = append(ids, id), append(vectors, slices.Clone(row))
		if len(ids) < MaxAtomicPoints {
			return nil
		}
		return insert()
	})
	if err == nil {
		err = insert()
	}
	if err != nil {
		return fmt.Errorf("collection %q: export: %w", c.name, err)
	}
	b := coderWriter{w: bufio.NewWriter(w)}
	return b.graph(ctx, g)
}

type coderWriter struct {
	w       *bufio.Writer // keeps the first error for Flush
	scratch []byte
}

func (w *coderWriter) number(n int) {
	w.scratch = binary.AppendVarint(w.scratch[:0], int64(n))
	w.w.Write(w.scratch)
}

func (w *coderWriter) text(s string) {
	w.number(len(s))
	w.w.WriteString(s)
}

func (w *coderWriter) graph(ctx context.Context, g *graph) error {
	w.number(coderVersion)
	w.number(g.opt.M)
	w.w.Write(binary.LittleEndian.AppendUint64(nil, math.Float64bits(1/float64(g.opt.M))))
	w.number(DefaultEF)
	for name, m := range coderMetrics {
		if m == g.metric {
			w.text(name)
		}
	}
	w.number(g.top + 1)
	for layer := range g.top + 1 {
		var slots []uint32
		nodes := 0
		for slot := range uint32(len(g.state)) {
			if g.state[slot] == live && g.level(slot) >= layer {
				slots = append(slots, slot)
				nodes++
				if layer == 0 {
					nodes += len(g.more[slot])
				}
			}
		}
		w.number(nodes)
		for i, slot := range slots {
			if i%1024 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			w.slot(g, slot, layer)
		}
	}
	return w.w.Flush()
}

// slot writes the node of a slot's first id. Further ids, of equal vectors, hang on it as a chain.
func (w *coderWriter) slot(g *graph, slot uint32, layer int) {
	var links []string
	for _, n := range g.neighbours(slot, layer, make([]uint32, g.room(layer))) {
		links = append(links, g.owner[n].id)
	}
	var more []member
	if layer == 0 {
		more = g.more[slot]
	}
	first := g.owner[slot].id
	if len(more) > 0 {
		links = append(links, more[0].id)
	}
	w.node(first, g.vector(slot)[:g.dim], links)
	for i, m := range more {
		links := []string{first}
		if i > 0 {
			links = append(links, more[i-1].id)
		}
		if i+1 < len(more) {
			links = append(links, more[i+1].id)
		}
		w.node(m.id, g.vector(slot)[:g.dim], links)
	}
}

func (w *coderWriter) node(id string, vector []float32, links []string) {
	w.text(id)
	w.number(len(vector))
	for _, x := range vector {
		w.scratch = binary.LittleEndian.AppendUint32(w.scratch[:0], math.Float32bits(x))
		w.w.Write(w.scratch)
	}
	w.number(len(links))
	for _, l := range links {
		w.text(l)
	}
}

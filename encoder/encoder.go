package encoder

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/akin-search/akin/encoder/kernel"
)

// Encoder embeds raw bytes: a decoder and a network with weights. It is safe for concurrent use.
type Encoder struct {
	id        string
	model     *Model
	modality  *modality
	decoder   Decoder
	dimension int
	batch     int // of the runners
	runners   chan *runner
	patches   *Encoder // of patches; nil where the model has none
}

// NewEncoder makes the encoder of a model with the given ModelID and at most threads blocks of items in work at once, decoding
// included; 0 means one a core. The same item gives the same bits in whatever company it comes.
func NewEncoder(m *Model, id string, threads int) (*Encoder, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	if threads < 0 || threads > kernel.MaxThreads {
		return nil, fmt.Errorf("encoder: %d threads: it must be 0 (one a core) to %d", threads, kernel.MaxThreads)
	}
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	e := &Encoder{id: id, model: m, runners: make(chan *runner, threads)}
	p, err := m.Network.plan(1)
	if err != nil {
		return nil, err
	}
	e.dimension = p.dimension + m.Thumb.dimension()
	if e.modality, err = m.Preprocessing.modality(); err != nil {
		return nil, err
	}
	if e.decoder, err = m.Preprocessing.Decoder(); err != nil {
		return nil, err
	}
	folded := p.folded(m.Weights, len(m.Network.Layers))
	for range threads {
		dev, err := kernel.NewCPU(1) // a device of one thread has nothing to close
		if err != nil {
			return nil, err
		}
		var weights []kernel.Buffer
		for _, w := range folded {
			b := dev.Alloc(len(w))
			dev.Upload(b, w)
			weights = append(weights, b)
		}
		r, err := newRunner(dev, m.Network, weights)
		if err != nil {
			return nil, err
		}
		e.batch = r.plan.batch
		e.runners <- r
	}
	if q := m.Patches; q != nil {
		if e.patches, err = NewEncoder(&Model{Network: q.Network, Preprocessing: q.Preprocessing, Weights: q.Weights}, "", threads); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// ModelID is the SHA-256 of the model file, in hexadecimal.
func (e *Encoder) ModelID() string { return e.id }

// Dimension is the length of the embeddings.
func (e *Encoder) Dimension() int { return e.dimension }

// Model returns what the encoder was made of; it must not be changed.
func (e *Encoder) Model() *Model { return e.model }

// Decoder returns the decoder of the model.
func (e *Encoder) Decoder() Decoder { return e.decoder }

// Encode decodes and embeds raw items; each embedding has unit length. The error of an item that cannot be decoded wraps
// ErrInput and names the item's place; then no embedding is returned.
func (e *Encoder) Encode(ctx context.Context, raw ...[]byte) ([][]float32, error) {
	return e.encode(ctx, len(raw), func(i int) (Features, error) {
		f, err := e.decoder.Decode(raw[i])
		if err != nil && len(raw) > 1 {
			err = fmt.Errorf("item %d: %w", i, err)
		}
		return f, err
	})
}

// EncodeFeatures embeds decoded items.
func (e *Encoder) EncodeFeatures(ctx context.Context, features []Features) ([][]float32, error) {
	return e.encode(ctx, len(features), func(i int) (Features, error) { return features[i], nil })
}

func (e *Encoder) encode(ctx context.Context, n int, item func(int) (Features, error)) ([][]float32, error) {
	out := make([][]float32, n)
	flat := make([]float32, n*e.dimension)
	for i := range out {
		out[i] = flat[i*e.dimension : (i+1)*e.dimension : (i+1)*e.dimension]
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	blocks := (n + e.batch - 1) / e.batch
	var next atomic.Int64
	work := func() {
		for {
			b := int(next.Add(1)) - 1
			if b >= blocks || ctx.Err() != nil {
				return
			}
			lo, hi := b*e.batch, min((b+1)*e.batch, n)
			if err := e.block(ctx, lo, hi, item, out[lo:hi]); err != nil {
				cancel(err)
				return
			}
		}
	}
	var wg sync.WaitGroup
	for range min(blocks, cap(e.runners)) - 1 {
		wg.Go(work)
	}
	work()
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return out, nil
}

// block decodes and embeds items lo to hi, as soon as a runner is free.
func (e *Encoder) block(ctx context.Context, lo, hi int, item func(int) (Features, error), out [][]float32) error {
	var r *runner
	select {
	case r = <-e.runners:
		defer func() { e.runners <- r }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	features := make([]Features, 0, hi-lo)
	for i := lo; i < hi; i++ {
		f, err := item(i)
		if err != nil {
			return err
		}
		if pre := e.model.Preprocessing; !e.modality.fits(pre, f) {
			return fmt.Errorf("%w: features of shape %v, the model takes %v", ErrInput, f.Shape, pre.Size)
		}
		features = append(features, f)
	}
	e.embed(r, features, out)
	if t := e.model.Thumb; t != nil {
		for i, f := range features {
			t.add(out[i], e.dimension-t.dimension(), e.model.Preprocessing.Size.Cells(f.Data))
		}
	}
	return nil
}

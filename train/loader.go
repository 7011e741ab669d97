package train

import (
	"context"
	"math/rand/v2"
	"sync"
)

// loaded is a batch ready for the graph.
type loaded struct {
	input []float32
	keys  []float32 // other views of the same items, for a momentum encoder
	batch *Batch
}

// loader makes batches beside the training steps: it samples, augments and places them into buffers that are used in turn.
type loader struct {
	ready, free chan *loaded
	cancel      context.CancelFunc
	done        sync.WaitGroup
}

// load starts the loader at the run's next step, replaying the sampler up to it. Every augmentation draws from a source of its own,
// seeded by the run's seed, the step and the row, so that a resumed run sees the same pictures.
func (r *run) load(ctx context.Context) *loader {
	ctx, cancel := context.WithCancel(ctx)
	const ahead = 2
	l := &loader{ready: make(chan *loaded, ahead), free: make(chan *loaded, ahead+1), cancel: cancel}
	size := r.sampler.Size()
	for range ahead + 1 {
		b := &loaded{input: make([]float32, r.graph.InputSize()), batch: NewBatch(size)}
		if r.momentum != nil {
			b.keys = make([]float32, r.graph.InputSize())
		}
		l.free <- b
	}
	first, sampler, objective := r.step, r.sampler, r.objective // the run's own counter moves on while the loader works
	l.done.Go(func() {
		defer close(l.ready)
		batch := NewBatch(size)
		in := r.Network.Input
		warped := make([]float32, in.Height*in.Width*in.Channels)
		var scratch, src []float32 // of copies
		source := rand.NewPCG(0, 0)
		rng := rand.New(source)
		views := r.modality.viewer(r.Options, r.pre, r.around)
		deals := newDealer(r.Augmentation.Sound, in)
		for step := range r.steps {
			if ctx.Err() != nil {
				return
			}
			if c, ok := objective.(*confusions); ok && step >= first && !c.await(ctx, step) {
				return
			}
			sampler.Next(batch)
			if step < first {
				continue
			}
			var b *loaded
			select {
			case b = <-l.free:
			case <-ctx.Done():
				return
			}
			copy(b.batch.Items, batch.Items)
			copy(b.batch.Labels, batch.Labels)
			b.batch.Scores = append(b.batch.Scores[:0], batch.Scores...)
			for row, item := range batch.Items {
				source.Seed(r.Seed^0x636f7079, uint64(step)<<32|uint64(item)) // "copy": views of one copy are of the same
				src, scratch = r.item(item, scratch, rng)
				view := func(dst []float32, seed uint64, key int) {
					sound := src
					if deals != nil {
						part, of := viewOf(batch.Items, row)
						if b.keys != nil { // a row has two views
							part, of = 2*part+key, 2*of
						}
						source.Seed(r.Seed^0x6465616c, uint64(step)<<32|uint64(item)) // "deal"
						sound = deals.deal(src, in.Height, part, of, rng)
					}
					source.Seed(r.Seed^seed, uint64(step*size+row))
					views.Apply(warped, sound, rng)
					r.graph.Place(dst, row, warped)
				}
				view(b.input, 0x6175676d, 0) // "augm"
				if b.keys != nil {
					view(b.keys, 0x6b657973, 1) // "keys"
				}
			}
			select {
			case l.ready <- b:
			case <-ctx.Done():
				return
			}
		}
	})
	return l
}

// next returns the next batch, or false once ctx is cancelled.
func (l *loader) next(ctx context.Context) (*loaded, bool) {
	if ctx.Err() != nil {
		return nil, false
	}
	b, ok := <-l.ready
	return b, ok
}

// recycle gives a batch back.
func (l *loader) recycle(b *loaded) { l.free <- b }

// stop ends the loader.
func (l *loader) stop() {
	l.cancel()
	l.done.Wait()
}

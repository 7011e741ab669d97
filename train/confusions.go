package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"

	"github.com/akin-search/akin/encoder/kernel"
	"github.com/akin-search/akin/index"
)

// Negatives mined from an index: what the network mixes up, found in a graph index over its own embeddings of the training items.
//
//	step ──embeddings──► the latest of each item ──each period──► graph index ──search──► confusions: items of other classes near an item
//	  ▲                                                                                                    │
//	  └──────────────────────────────── batches with items and their confusions ◄─────────────────────────┘
//
// The embeddings are those that the steps make anyway: mining costs an insertion an item and a search an anchor, and no pass of the
// network. Batches are made ahead of the steps and beside them: the confusions of a period are found a few steps before it begins,
// always as many, so that the result depends on no race.
const (
	confusionsAhead     = 4  // steps between finding confusions and their use: more than the loader prepares ahead
	confusionsKept      = 4  // of an item
	confusionNeighbours = 32 // searched of an item: one that has no other class among them is not mixed up
	confusionM          = 8  // a graph lives for one search of everything: that it is built fast counts for more than its last percent of recall
	confusionEF         = 32
)

// confusions is the objective of a run that mines an index: the inner one on each batch, whose embeddings it keeps. A period is an epoch.
type confusions struct {
	Objective
	labels     []int
	embeddings kernel.Matrix // an item's row is 0 until it is seen
	every      int           // steps of a period
	steps      int           // of the run: for later ones nothing is mined
	anchors    int           // at most so many items are searched for a period, drawn at random
	step       int           // batches seen
	seed       uint64
	threads    int

	mu     sync.Mutex
	tables []confusionTable // of the period in work and the next
	found  chan struct{}    // closed and replaced whenever tables change
}

// confusionTable holds what was found for a period, which begins at step period·every.
type confusionTable struct {
	period  int
	anchors []int // the items that have confusions
	near    []int // confusionsKept an anchor, nearest first; −1 where there are no more
}

// newConfusions wraps inner for a run of so many steps, so many of them an epoch; a period needs so many anchors.
func newConfusions(inner Objective, labels []int, dimension, every, steps, anchors, threads int, seed uint64) (*confusions, error) {
	c := &confusions{Objective: inner, labels: labels, embeddings: kernel.NewMatrix(len(labels), dimension), every: max(every, 2*confusionsAhead), steps: steps,
		anchors: anchors, seed: seed, threads: threads, found: make(chan struct{})}
	_, err := c.empty() // what could go wrong later goes wrong now
	return c, err
}

func (c *confusions) empty() (index.Index, error) {
	return index.New(index.Options{Dimension: c.embeddings.Cols, M: confusionM, EfConstruction: confusionEF, Threads: max(1, c.threads), Seed: c.seed})
}

// Loss implements Objective. It panics where the index fails, which finite embeddings of the right dimension give no reason for.
func (c *confusions) Loss(b *Batch, emb, grad kernel.Matrix) float32 {
	loss := c.Objective.Loss(b, emb, grad)
	if math.IsNaN(float64(loss)) || math.IsInf(float64(loss), 0) {
		return loss // the trainer says so, and the run is over
	}
	for row, item := range b.Items {
		copy(c.embeddings.Row(item), emb.Row(row))
	}
	c.step++
	if next := c.step + confusionsAhead; next%c.every == 0 && next < c.steps {
		t, err := c.find(next / c.every)
		if err != nil {
			panic(fmt.Sprintf("train: mining negatives: %v", err))
		}
		c.mu.Lock()
		c.tables = append(c.tables[max(0, len(c.tables)-1):], t)
		c.announce()
		c.mu.Unlock()
	}
	return loss
}

// announce wakes who awaits. The caller holds mu.
func (c *confusions) announce() {
	close(c.found)
	c.found = make(chan struct{})
}

// table returns the confusions for a step; none in the first period.
func (c *confusions) table(step int) (confusionTable, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.tables {
		if t.period == step/c.every {
			return t, true
		}
	}
	return confusionTable{}, false
}

// await waits until the confusions for a step are there; false says that ctx ended before.
func (c *confusions) await(ctx context.Context, step int) bool {
	for {
		c.mu.Lock()
		found := c.found
		c.mu.Unlock()
		if _, there := c.table(step); there || step < c.every {
			return true
		}
		select {
		case <-found:
		case <-ctx.Done():
			return false
		}
	}
}

// find builds an index of all items seen that have a class, and searches it for the neighbours of some.
func (c *confusions) find(period int) (confusionTable, error) {
	graph, err := c.empty()
	if err != nil {
		return confusionTable{}, err
	}
	var items []int
	var ids []string
	var rows [][]float32
	for item, label := range c.labels {
		if row := c.embeddings.Row(item); label != Unlabelled && slices.ContainsFunc(row, func(x float32) bool { return x != 0 }) {
			items, ids, rows = append(items, item), append(ids, strconv.Itoa(item)), append(rows, row)
		}
	}
	if err := graph.Upsert(ids, rows); err != nil {
		return confusionTable{}, err
	}
	rng := rand.New(rand.NewPCG(c.seed^0x636f6e66, uint64(period))) // "conf"
	rng.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
	items = items[:min(len(items), c.anchors)]

	near, failed := make([]int, len(items)*confusionsKept), make([]error, max(1, c.threads))
	var wait sync.WaitGroup
	for w := range failed {
		wait.Go(func() {
			for i := w; i < len(items); i += len(failed) {
				if err := c.neighbours(graph, items[i], near[i*confusionsKept:(i+1)*confusionsKept]); err != nil {
					failed[w] = err
					return
				}
			}
		})
	}
	wait.Wait()
	t := confusionTable{period: period}
	for i, item := range items {
		if near[i*confusionsKept] >= 0 {
			t.anchors, t.near = append(t.anchors, item), append(t.near, near[i*confusionsKept:(i+1)*confusionsKept]...)
		}
	}
	return t, errors.Join(failed...)
}

// neighbours fills near with the nearest items of other classes, and with −1 where there are fewer.
func (c *confusions) neighbours(graph index.Index, item int, near []int) error {
	hits, err := graph.Search(context.Background(), c.embeddings.Row(item), confusionNeighbours, index.Params{EF: confusionEF})
	if err != nil {
		return err
	}
	n := 0
	for _, h := range hits {
		other, err := strconv.Atoi(h.ID)
		if err != nil {
			return err
		}
		if c.labels[other] != c.labels[item] && n < len(near) {
			near[n] = other
			n++
		}
	}
	for ; n < len(near); n++ {
		near[n] = -1
	}
	return nil
}

// State implements Objective: the embeddings, the steps, each table, and what the inner objective keeps.
func (c *confusions) State() [][]float32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	state := [][]float32{slices.Clone(c.embeddings.Data), numbers(c.step, len(c.tables))}
	for _, t := range c.tables {
		state = append(state, numbers(t.period), numbers(t.anchors...), numbers(t.near...))
	}
	return append(state, c.Objective.State()...)
}

// Restore implements Objective.
func (c *confusions) Restore(state [][]float32) error {
	bad := func(what string) error {
		return fmt.Errorf("%w: %s of mined negatives: use the same data and options, or start without resuming", ErrCheckpoint, what)
	}
	if len(state) < 2 || len(state[0]) != len(c.embeddings.Data) || len(state[1]) != 2 {
		return bad(fmt.Sprintf("tables of %v values", sizesOf(state)))
	}
	step, tables := integerOf(state[1][0]), integerOf(state[1][1])
	if step < 0 || tables < 0 || tables > 2 || len(state) < 2+3*tables {
		return bad(fmt.Sprintf("%d tables after %d steps", tables, step))
	}
	var restored []confusionTable
	for i := range tables {
		part := state[2+3*i:]
		t := confusionTable{anchors: integersOf(part[1]), near: integersOf(part[2])}
		if len(part[0]) != 1 || len(t.near) != len(t.anchors)*confusionsKept {
			return bad(fmt.Sprintf("%d anchors with %d confusions", len(t.anchors), len(t.near)))
		}
		t.period = integerOf(part[0][0])
		for _, item := range slices.Concat(t.anchors, t.near) {
			if item < -1 || item >= len(c.labels) {
				return bad(fmt.Sprintf("item %d of %d", item, len(c.labels)))
			}
		}
		if slices.Contains(t.anchors, -1) {
			return bad("an anchor that is no item")
		}
		restored = append(restored, t)
	}
	if err := c.Objective.Restore(state[2+3*tables:]); err != nil {
		return err
	}
	copy(c.embeddings.Data, state[0])
	c.mu.Lock()
	defer c.mu.Unlock()
	c.step, c.tables = step, restored
	c.announce()
	return nil
}

// confused overlays the batches of another sampler with items and their confusions: a random stream of its own a step, so that there is
// nothing to replay.
type confused struct {
	Sampler
	source *confusions
	labels []int
	pairs  bool // rows 2i and 2i+1 are a pair, every second one dissimilar
	step   int
	pcg    *rand.PCG
	rng    *rand.Rand
}

func newConfused(plain Sampler, source *confusions, labels []int, pairs bool) *confused {
	pcg := rand.NewPCG(0, 0)
	return &confused{Sampler: plain, source: source, labels: labels, pairs: pairs, pcg: pcg, rng: rand.New(pcg)}
}

// Next implements Sampler. Of pairs, the dissimilar ones become an item and one of its confusions; of other batches every second row is
// replaced, by items and up to three confusions each.
func (s *confused) Next(b *Batch) {
	s.Sampler.Next(b)
	t, ok := s.source.table(s.step)
	s.pcg.Seed(s.source.seed^0x62617463, uint64(s.step)) // "batc"
	s.step++
	if !ok || len(t.anchors) == 0 {
		return
	}
	if s.pairs {
		for row := 2; row+1 < len(b.Items); row += 4 {
			at := s.rng.IntN(len(t.anchors))
			near := t.of(at)
			s.put(b, row, t.anchors[at])
			s.put(b, row+1, near[s.rng.IntN(len(near))])
		}
		return
	}
	for row := 1; row < len(b.Items); {
		at := s.rng.IntN(len(t.anchors))
		s.put(b, row, t.anchors[at])
		row += 2
		for i, near := 0, t.of(at); i < min(len(near), confusionsKept-1) && row < len(b.Items); i, row = i+1, row+2 {
			s.put(b, row, near[i])
		}
	}
}

func (s *confused) put(b *Batch, row, item int) { b.Items[row], b.Labels[row] = item, s.labels[item] }

// of returns the confusions of the anchor in a place.
func (t confusionTable) of(at int) []int {
	near := t.near[at*confusionsKept : (at+1)*confusionsKept]
	if end := slices.Index(near, -1); end >= 0 {
		near = near[:end]
	}
	return near
}

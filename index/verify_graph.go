package index

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/dgraph-io/badger/v4"
)

// verifySample is how many points of a graph Verify searches for, and verifyFound the share of them that have to be found. A
// graph is approximate: hardly any point is not found, but none is no promise.
const (
	verifySample = 1000
	verifyFound  = 0.99
)

// graphs opens the store as everybody does, which makes again what was deleted, and checks the graphs.
func (v *verifier) graphs(ctx context.Context) (err error) {
	s, err := Open(v.dir, StoreOptions{Threads: v.opt.Threads, Logger: v.opt.Logger})
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, s.Close()); err != nil || !v.again {
			return
		}
		if s, err = Open(v.dir, StoreOptions{Threads: v.opt.Threads, Logger: v.opt.Logger}); err == nil {
			err = s.Close()
		}
	}()
	for i := range v.report.Collections {
		report := &v.report.Collections[i]
		c, err := s.Collection(report.Name)
		if err != nil {
			return err
		}
		if c.Len() != report.Points {
			v.found(Finding{Collection: c.name, What: fmt.Sprintf("its index has %d points, %d are stored", c.Len(), report.Points), Mend: mendBackup})
		}
		g, ok := c.engine.(*graph)
		if !ok {
			continue
		}
		if err := v.graph(ctx, c, g, report); err != nil {
			return fmt.Errorf("collection %q: %w", c.name, err)
		}
	}
	return nil
}

func (v *verifier) graph(ctx context.Context, c *Collection, g *graph, report *CollectionReport) error {
	broken := g.checkLinks()
	if broken == nil {
		report.Links, broken = g.countLinks()
	}
	if broken == nil {
		report.Unreachable = g.unreachable()
		var ids []string
		g.members(func(m member) { ids = append(ids, m.id) })
		r := rand.New(rand.NewPCG(c.record.Config.Seed, uint64(len(ids))))
		r.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		for _, id := range ids[:min(verifySample, len(ids))] {
			records, err := c.Look(FieldVector, id)
			if err != nil {
				return err
			}
			hits, err := g.Search(ctx, records[0].Vector, 1, Params{})
			if err != nil {
				return err
			}
			report.Sampled++
			if len(hits) == 1 && g.metric == Dot || len(hits) == 1 && g.slotOf[hits[0].ID] == g.slotOf[id] {
				report.Found++
			}
		}
		if float64(report.Found) < verifyFound*float64(report.Sampled) {
			broken = fmt.Errorf("%d of %d points are found by their own vectors", report.Found, report.Sampled)
		}
	}
	if broken == nil {
		return nil
	}
	v.found(Finding{Collection: c.name, What: fmt.Sprintf("its graph: %v", broken), Mended: true, Mend: "built anew of the points"})
	v.again = true
	return c.store.update(func(txn *badger.Txn) error { return txn.Delete(numberKey(recordManifest, c.record.Number)) })
}

// countLinks counts the links of layer 0 and compares them with inLinks.
func (g *graph) countLinks() (int, error) {
	in, buf := make([]int32, len(g.state)), make([]uint32, g.room(0))
	n := 0
	for i, s := range g.state {
		if s == free {
			continue
		}
		links := g.neighbours(uint32(i), 0, buf)
		n += len(links)
		for _, to := range links {
			in[to]++
		}
	}
	for i, s := range g.state {
		if s != free && in[i] != g.inLinks[i] {
			return n, fmt.Errorf("%d links lead to slot %d, %d are counted: %w", in[i], i, g.inLinks[i], ErrCorrupt)
		}
	}
	return n, nil
}

// unreachable counts the live slots that no path of links leads to from the entry.
func (g *graph) unreachable() int {
	if g.top < 0 {
		return 0
	}
	seen, buf := make([]bool, len(g.state)), make([]uint32, g.room(0))
	queue := []uint32{g.entry}
	seen[g.entry] = true
	for len(queue) > 0 {
		slot := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		for layer := range g.level(slot) + 1 {
			for _, to := range g.neighbours(slot, layer, buf) {
				if !seen[to] {
					seen[to] = true
					queue = append(queue, to)
				}
			}
		}
	}
	n := 0
	for i, s := range g.state {
		if s == live && !seen[i] {
			n++
		}
	}
	return n
}

package index

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
)

// probe is a query whose answer is known: a point that is left out.
type probe struct {
	id      string
	vector  []float32
	row     []float32 // the vector, prepared
	nearest []Hit     // without the point itself
	worst   float32   // inner distance beyond which nothing is among the nearest
}

// probes draws points and finds the k nearest of each, by one pass over the store for all of them: whether the vectors are in
// memory or not, each is fetched once, and searches are not held up.
func (c *Collection) probes(ctx context.Context, g *graph, n, k int) ([]probe, error) {
	r := rand.New(rand.NewPCG(c.record.Config.Seed, uint64(k)))
	ids := g.sample(r, n)
	records, err := c.look(FieldVector, ids...)
	if err != nil {
		return nil, err
	}
	s := newSpace(g.metric, g.dim)
	var probes []probe
	for _, p := range records {
		if p.ID == "" { // deleted since
			continue
		}
		row := make([]float32, s.stride)
		if err := s.prepare(row, p.Vector); err != nil {
			return nil, err
		}
		probes = append(probes, probe{id: p.ID, vector: p.Vector, row: row, worst: float32(math.Inf(1))})
	}
	block := make([]string, 0, scanBlock)
	rows := make([]float32, scanBlock*s.stride)
	var out [scanBlock]float32
	compare := func() error {
		for i := range probes {
			p := &probes[i]
			s.distances(p.row, rows, blockRows[:len(block)], out[:], nil)
			for j, d := range out[:len(block)] {
				if d <= p.worst && block[j] != p.id {
					p.add(block[j], d, k)
				}
			}
		}
		block = block[:0]
		return ctx.Err()
	}
	row := make([]float32, g.dim)
	err = c.eachVector(ctx, row, func(id string) error {
		copy(rows[len(block)*s.stride:], row)
		if block = append(block, id); len(block) < scanBlock {
			return nil
		}
		return compare()
	})
	if err == nil {
		err = compare()
	}
	if err != nil {
		return nil, err
	}
	for i := range probes {
		p := &probes[i]
		p.cut(k)
		for j, h := range p.nearest {
			p.nearest[j] = s.hit(h.ID, h.Distance)
		}
		sortHits(p.nearest) // the root of L2 makes ties
	}
	return slices.DeleteFunc(probes, func(p probe) bool { return len(p.nearest) == 0 }), nil
}

// add takes one that may be among the k nearest. Until cut, Hit.Distance is the inner distance.
func (p *probe) add(id string, d float32, k int) {
	p.nearest = append(p.nearest, Hit{ID: id, Distance: d})
	if len(p.nearest) >= 2*k+scanBlock {
		p.cut(k)
		p.worst = p.nearest[k-1].Distance
	}
}

// cut leaves the k nearest.
func (p *probe) cut(k int) {
	sortHits(p.nearest)
	p.nearest = p.nearest[:min(k, len(p.nearest))]
}

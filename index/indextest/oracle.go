package indextest

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/akin-search/akin/index"
)

// Oracle is the simplest index there is: a map, searched by a loop in float64.
type Oracle struct {
	Metric  index.Metric
	Vectors map[string][]float32
}

// NewOracle returns an empty oracle.
func NewOracle(m index.Metric) *Oracle {
	return &Oracle{Metric: m, Vectors: map[string][]float32{}}
}

// Upsert keeps copies.
func (o *Oracle) Upsert(ids []string, vectors [][]float32) {
	for i, id := range ids {
		o.Vectors[id] = slices.Clone(vectors[i])
	}
}

// Delete forgets ids.
func (o *Oracle) Delete(ids []string) {
	for _, id := range ids {
		delete(o.Vectors, id)
	}
}

// Neighbor is a result of the oracle.
type Neighbor struct {
	ID       string
	Distance float64 // as index.Hit has it
}

// Search returns all points, nearest first.
func (o *Oracle) Search(q []float32) []Neighbor {
	all := make([]Neighbor, 0, len(o.Vectors))
	for id, v := range o.Vectors {
		all = append(all, Neighbor{id, Distance(o.Metric, q, v)})
	}
	slices.SortFunc(all, func(a, b Neighbor) int {
		return cmp.Or(cmp.Compare(a.Distance, b.Distance), cmp.Compare(a.ID, b.ID))
	})
	return all
}

// Distance is index.Hit.Distance by the definition of the metric.
func Distance(m index.Metric, a, b []float32) float64 {
	var dot, aa, bb, l2 float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		dot += x * y
		aa += x * x
		bb += y * y
		l2 += (x - y) * (x - y)
	}
	switch m {
	case index.L2:
		return math.Sqrt(l2)
	case index.Dot:
		return -dot
	}
	return 1 - dot/math.Sqrt(aa*bb)
}

// Score is index.Hit.Score for a distance.
func Score(m index.Metric, distance float64) float64 {
	switch m {
	case index.L2:
		return distance
	case index.Dot:
		return -distance
	}
	return 1 - distance
}

// Clustered returns n vectors around random centers of length 1; spread is the length of the noise.
func Clustered(r *rand.Rand, n, dim, clusters int, spread float64) [][]float32 {
	centers := make([][]float64, clusters)
	for i := range centers {
		centers[i] = gaussian(r, dim)
	}
	out := make([][]float32, n)
	for i := range out {
		c, noise := centers[r.IntN(clusters)], gaussian(r, dim)
		out[i] = make([]float32, dim)
		for j := range c {
			out[i][j] = float32(c[j] + spread*noise[j])
		}
	}
	return out
}

// gaussian returns a normal vector of length about 1.
func gaussian(r *rand.Rand, dim int) []float64 {
	v := make([]float64, dim)
	for i := range v {
		v[i] = r.NormFloat64() / math.Sqrt(float64(dim))
	}
	return v
}

package benchmarks

import (
	"math/rand/v2"
	"slices"

	"github.com/akin-search/akin/index"
)

// order numbers the points so that neighbours mostly have numbers close to each other: the leaves, from left to right, of a tree
// that halves the points by their projections onto the line through two of them (random projection tree, Dasgupta and Freund 2008).
type order struct {
	metric  index.Metric
	root    *orderNode
	placeOf []int // of each row of the base
}

// orderNode holds the places from … to−1.
type orderNode struct {
	from, to    int
	axis        []float32 // nil at a leaf
	cut         float64   // projections below it go left
	left, right *orderNode
}

// orderLeaf is how many points are not halved further.
const orderLeaf = 8

func newOrder(d Data, rng *rand.Rand) *order {
	o := &order{metric: d.Metric, placeOf: make([]int, len(d.Base))}
	rows := make([]int, len(d.Base))
	for i := range rows {
		rows[i] = i
	}
	projections := make([]float64, len(d.Base))
	o.root = o.split(d, rows, 0, projections, rng)
	for place, row := range rows {
		o.placeOf[row] = place
	}
	return o
}

// split sorts the rows of a node, which begin at place from, into its children.
func (o *order) split(d Data, rows []int, from int, projections []float64, rng *rand.Rand) *orderNode {
	n := &orderNode{from: from, to: from + len(rows)}
	if len(rows) <= orderLeaf {
		return n
	}
	first := rng.IntN(len(rows))
	second := (first + 1 + rng.IntN(len(rows)-1)) % len(rows)
	a, b := d.Base[rows[first]], d.Base[rows[second]]
	n.axis = make([]float32, len(a))
	scaleA, scaleB := o.scale(a), o.scale(b)
	for i := range n.axis {
		n.axis[i] = float32(float64(b[i])*scaleB - float64(a[i])*scaleA)
	}
	for _, row := range rows {
		projections[row] = o.project(d.Base[row], n.axis)
	}
	slices.SortFunc(rows, func(x, y int) int {
		switch px, py := projections[x], projections[y]; {
		case px < py:
			return -1
		case px > py:
			return 1
		}
		return x - y
	})
	half := len(rows) / 2
	n.cut = projections[rows[half]]
	n.left = o.split(d, rows[:half], from, projections, rng)
	n.right = o.split(d, rows[half:], from+half, projections, rng)
	return n
}

// place returns the number that a vector would have.
func (o *order) place(v []float32) int {
	n := o.root
	for n.axis != nil {
		if o.project(v, n.axis) < n.cut {
			n = n.left
		} else {
			n = n.right
		}
	}
	return (n.from + n.to) / 2
}

func (o *order) project(v, axis []float32) float64 {
	sum := 0.0
	for i, x := range v {
		sum += float64(x) * float64(axis[i])
	}
	return sum * o.scale(v)
}

// scale is what a vector is multiplied by: for the cosine only its direction counts.
func (o *order) scale(v []float32) float64 {
	if o.metric != index.Cosine {
		return 1
	}
	return 1 / norm(v)
}

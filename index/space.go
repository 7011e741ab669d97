package index

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/akin-search/akin/index/distance"
)

// maxNorm bounds the length of L2 and Dot vectors: (2·maxNorm)² still is a float32.
const maxNorm = 1e18

// unitSlack is how far the squared length of a vector may be from 1 and count as unit length. Scaling to unit length and
// rounding to float32 leaves at most 2⁻²³, so that scaling twice is scaling once, bit for bit.
const unitSlack = 0x1p-22

// lanes is what rows are padded to, in float32s: one cache line.
const lanes = 16

// space is a metric on vectors of one dimension, kept as rows of stride float32s, zeros behind the dimension.
//
// Inside the package a distance is one that sorts like Hit.Distance: 1−cos, the squared Euclidean distance, or minus the
// inner product. It is never NaN and never −0.
type space struct {
	metric Metric
	dim    int
	stride int
}

func newSpace(m Metric, dim int) space {
	return space{metric: m, dim: dim, stride: (dim + lanes - 1) / lanes * lanes}
}

// prepare checks v and writes its row: with Cosine at unit length.
func (s space) prepare(row, v []float32) error {
	if len(v) != s.dim {
		return fmt.Errorf("vector of %d components: %w: want %d", len(v), ErrDimension, s.dim)
	}
	var sum float64
	for i, x := range v {
		if x != x || math.IsInf(float64(x), 0) {
			return fmt.Errorf("component %d is %v: %w: use finite numbers", i, x, ErrNotFinite)
		}
		sum += float64(x) * float64(x)
	}
	clear(row[copy(row, v):])
	switch {
	case s.metric != Cosine:
		if sum > maxNorm*maxNorm {
			return fmt.Errorf("vector of length %.3g: %w: distances overflow float32 beyond %.3g, scale the vectors down", math.Sqrt(sum), ErrNotFinite, maxNorm)
		}
	case sum == 0:
		return fmt.Errorf("%w: cosine needs a component other than 0", ErrZeroVector)
	case math.Abs(sum-1) > unitSlack:
		scale := 1 / math.Sqrt(sum)
		for i, x := range v {
			row[i] = float32(float64(x) * scale)
		}
	}
	for i, x := range row[:s.dim] {
		if x == 0 {
			row[i] = 0 // −0 has other bits: equal vectors shall look equal
		}
	}
	return nil
}

// prepareAll checks ids and vectors and returns the rows, one after the other.
func (s space) prepareAll(ids []string, vectors [][]float32) ([]float32, error) {
	if len(ids) != len(vectors) {
		return nil, fmt.Errorf("%d ids for %d vectors: %w: give one id a vector", len(ids), len(vectors), ErrInvalid)
	}
	rows := make([]float32, len(ids)*s.stride)
	for i, id := range ids {
		if err := checkID(id); err != nil {
			return nil, err
		}
		if err := s.prepare(rows[i*s.stride:(i+1)*s.stride], vectors[i]); err != nil {
			return nil, fmt.Errorf("id %q: %w", id, err)
		}
	}
	return rows, nil
}

// distances fills out with the distance of the row q to rows of the arena.
func (s space) distances(q, arena []float32, rows []uint32, out []float32, next *uint32) {
	if s.metric == L2 {
		distance.SquaredL2Rows(q, arena, s.stride, rows, out, next)
		return
	}
	distance.DotRows(q, arena, s.stride, rows, out, next)
	s.fromDot(out[:len(rows)])
}

// fromDot makes distances of inner products.
func (s space) fromDot(out []float32) {
	if s.metric == Dot {
		for i, x := range out {
			out[i] = 0 - x
		}
		return
	}
	for i, x := range out {
		d := 1 - x
		if d < 0 { // rounding
			d = 0
		}
		out[i] = d
	}
}

// panelDistances is distances to all rows of panels; out has room for full ones.
func (s space) panelDistances(q []float32, p *distance.Panels, out []float32) {
	if s.metric == L2 {
		p.SquaredL2(q[:s.dim], out)
		return
	}
	p.Dot(q[:s.dim], out)
	s.fromDot(out[:p.Len()])
}

// hit makes the result for an inner distance.
func (s space) hit(id string, d float32) Hit {
	switch s.metric {
	case L2:
		d = float32(math.Sqrt(float64(d)))
		return Hit{ID: id, Score: d, Distance: d}
	case Dot:
		return Hit{ID: id, Score: -d, Distance: d}
	}
	return Hit{ID: id, Score: 1 - d, Distance: d}
}

func compareHits(a, b Hit) int {
	if a.Distance != b.Distance {
		return cmp.Compare(a.Distance, b.Distance)
	}
	return cmp.Compare(a.ID, b.ID)
}

// sortHits sorts nearest first. Most lists come sorted but for their ties.
func sortHits(hits []Hit) {
	if !slices.IsSortedFunc(hits, compareHits) {
		slices.SortFunc(hits, compareHits)
	}
}

func checkID(id string) error {
	switch {
	case id == "":
		return fmt.Errorf("empty id: %w: use 1 to %d bytes of UTF-8", ErrInvalid, MaxID)
	case len(id) > MaxID:
		return fmt.Errorf("id of %d bytes: %w: use 1 to %d bytes of UTF-8", len(id), ErrInvalid, MaxID)
	case !utf8.ValidString(id):
		return fmt.Errorf("id %q: %w: use 1 to %d bytes of UTF-8", id, ErrInvalid, MaxID)
	}
	return nil
}

// candidates checks k and p and returns how many candidates a graph search keeps.
func (p Params) candidates(k int) (int, error) {
	if k < 1 || k > MaxK {
		return 0, fmt.Errorf("k %d: %w: use 1 to %d", k, ErrInvalid, MaxK)
	}
	if p.RecallTarget != 0 {
		return 0, fmt.Errorf("recall target %v: %w: only a Collection knows its recall, give an index an ef", p.RecallTarget, ErrInvalid)
	}
	if p.EF < 0 || p.EF > MaxEF {
		return 0, fmt.Errorf("ef %d: %w: use 1 to %d, or 0 for max(%d, k)", p.EF, ErrInvalid, MaxEF, DefaultEF)
	}
	if p.EF == 0 {
		return max(DefaultEF, k), nil
	}
	return max(p.EF, k), nil
}

// compiled refuses a filter of which no collection made a selection.
func (p Params) compiled() error {
	if p.Filter != nil && p.chosen == nil {
		return fmt.Errorf("a filter: %w: this index keeps vectors only, search a Collection", ErrInvalid)
	}
	return nil
}

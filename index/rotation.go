package index

import (
	"math"
	"math/rand/v2"

	"github.com/akin-search/akin/index/distance"
)

// rotationBlock is the largest Hadamard block: big enough that its outputs look normal, whatever the inputs.
const rotationBlock = 64

// rotation is a random orthogonal map that spreads the length of a vector evenly over its components, so that one scale fits
// them all: a permutation, random signs and Hadamard blocks (Ailon & Chazelle, SIAM J. Comput. 2009, of whose transform this
// is the dense part). Where the dimension is no multiple of the block, the last block overlaps the one before it.
type rotation struct {
	from  []int32   // component i comes from component from[i]
	sign  []float32 // and is multiplied by sign[i], ±1/√block
	last  []float32 // signs of the overlapping block; empty without one
	block int
}

func newRotation(dim int, seed uint64) rotation {
	r := rand.New(rand.NewPCG(seed, 0x726f74617465)) // "rotate"
	rot := rotation{block: 1}
	for 2*rot.block <= min(dim, rotationBlock) {
		rot.block *= 2
	}
	unit := float32(1 / math.Sqrt(float64(rot.block)))
	signs := func(n int) []float32 {
		s := make([]float32, n)
		for i := range s {
			s[i] = unit
			if r.Uint64()>>63 != 0 {
				s[i] = -unit
			}
		}
		return s
	}
	rot.from = make([]int32, dim)
	for i, j := range r.Perm(dim) {
		rot.from[i] = int32(j)
	}
	rot.sign = signs(dim)
	if rest := dim % rot.block; rest > 0 {
		rot.last = signs(rot.block)
		for i := dim - rest; i < dim; i++ { // these are in the last block only
			rot.sign[i] *= float32(math.Sqrt(float64(rot.block)))
		}
	}
	return rot
}

// apply writes the rotated v − center to out.
func (r *rotation) apply(out, v, center []float32) {
	out = out[:len(r.from)]
	sign := r.sign[:len(r.from)]
	for i, j := range r.from {
		out[i] = (v[j] - center[j]) * sign[i]
	}
	distance.Hadamard(out[:len(out)/r.block*r.block], r.block)
	if len(r.last) > 0 {
		end := out[len(out)-r.block:]
		for i, s := range r.last {
			end[i] *= s
		}
		distance.Hadamard(end, r.block)
	}
}

package index

import (
	"math"
	"slices"
	"sort"
)

// DefaultDriftTime is how many items pass on average, at least, between two false drift alarms.
const DefaultDriftTime = 100_000

// drift bets against the exchangeability of what is judged with the known data. While all is well, each new score has an even
// rank among the calibration scores and the scores before it, so that
//
//	p = (#{greater} + u·(#{equal} + 1)) / (m + 1),   u even in (0, 1)
//
// are independent and even in (0, 1) (Vovk, Gammerman & Shafer 2005, theorem 8.1). (Ranks among the calibration scores alone
// would not do: a thousand of them are off by some percent, and a hundred thousand items tell.) A bet is a function f of p with
// ∫f = 1; the Shiryaev–Roberts procedure on its martingale, R ← (R + 1)·f(p) with an alarm at R ≥ c, has R − n as a martingale,
// so that the mean time to a false alarm is at least c (Vovk, Testing randomness online, Statistical Science 36, 2021, section
// 6). So it is for the mean of several R.
type drift struct {
	limit   float64
	r       [2 * len(powers)]float64
	seen    uint64
	alarmAt uint64 // what seen was at the alarm, 0 for none
}

// powers are the ε of the bets ε·p^(ε−1), against p-values that are too small, and the same of 1 − p, against ones too large.
var powers = [...]float64{0.2, 0.5, 0.8}

// step takes the next p-value, in (0, 1). After an alarm it does nothing.
func (d *drift) step(p float64) {
	if d.alarmAt > 0 {
		return
	}
	d.seen++
	for i, power := range powers {
		d.r[2*i] = (d.r[2*i] + 1) * power * math.Pow(p, power-1)
		d.r[2*i+1] = (d.r[2*i+1] + 1) * power * math.Pow(1-p, power-1)
	}
	if !(d.statistic() < d.limit) {
		d.alarmAt = d.seen
	}
}

// statistic is what reaches the limit.
func (d *drift) statistic() float64 {
	var sum float64
	for _, r := range d.r {
		sum += r
	}
	return sum / float64(len(d.r))
}

const (
	// maxRanked bounds the scores that are compared with: then no more come in. So many are off by a quarter of a percent at most.
	maxRanked = 1 << 17
	// rankBlock is how many of them lie together at most.
	rankBlock = 512
)

// ranked is a set of numbers that tells ranks: ascending, in blocks.
type ranked struct {
	blocks [][]float64
	n      int
}

func newRanked(ascending []float64) *ranked {
	r := &ranked{n: len(ascending)}
	for part := range slices.Chunk(ascending, rankBlock/2) {
		r.blocks = append(r.blocks, slices.Clone(part))
	}
	return r
}

// rank counts the numbers that are greater than x, and those equal to it.
func (r *ranked) rank(x float64) (greater, equal int) {
	first := sort.Search(len(r.blocks), func(i int) bool { b := r.blocks[i]; return b[len(b)-1] >= x })
	below := 0
	for _, b := range r.blocks[:first] {
		below += len(b)
	}
	for _, b := range r.blocks[first:] {
		if b[0] > x {
			break
		}
		from := sort.SearchFloat64s(b, x)
		to := from + sort.Search(len(b)-from, func(i int) bool { return b[from+i] > x })
		below += from
		equal += to - from
		if to < len(b) {
			break
		}
	}
	return r.n - below - equal, equal
}

// add takes a number in, while there is room.
func (r *ranked) add(x float64) {
	if r.n >= maxRanked {
		return
	}
	r.n++
	if len(r.blocks) == 0 {
		r.blocks = [][]float64{{x}}
		return
	}
	i := min(sort.Search(len(r.blocks), func(i int) bool { b := r.blocks[i]; return b[len(b)-1] >= x }), len(r.blocks)-1)
	b := r.blocks[i]
	b = slices.Insert(b, sort.SearchFloat64s(b, x), x)
	r.blocks[i] = b
	if len(b) > rankBlock {
		r.blocks = slices.Insert(r.blocks, i+1, slices.Clone(b[len(b)/2:]))
		r.blocks[i] = b[:len(b)/2]
	}
}

package train

import (
	"math"

	"github.com/akin-search/akin/encoder/kernel"
)

const (
	rankedQueries = 32   // rows of a block of queries
	rankedTop     = 10   // ranks that are looked at however rare the class
	rankBuckets   = 4096 // of similarities from −1 to 1
)

// retrieved is what searching base for each query's class found.
type retrieved struct {
	first     []int     // rank of the first row of the query's class, from 1; beyond rankedTop where that is not among the first R either
	precision []float64 // average precision at R
}

// within tells of each query whether a row of its class is among the first k ≤ rankedTop (1) or not (0).
func (r retrieved) within(k int) []float64 {
	in := make([]float64, len(r.first))
	for q, rank := range r.first {
		in[q] = hit(rank <= k)
	}
	return in
}

// retrieve ranks base for each query by cosine, rows of base that are equally near in their order, and finds the query's class in it:
//
//	MAP@R = 1/R · Σ_{i=1…R} P(i),  P(i) = precision of the first i where rank i is of the class, else 0
//
// with R the rows of the class in base (Musgrave, Belongie and Lim, "A Metric Learning Reality Check", ECCV 2020, section 3.2).
func (e *evaluation) retrieve() (retrieved, error) {
	size := map[int]int{}
	for _, l := range e.baseLabels {
		size[l]++
	}
	r := retrieved{make([]int, e.queries.Rows), make([]float64, e.queries.Rows)}
	err := eachBlock(e.ctx, e.Threads, (e.queries.Rows+rankedQueries-1)/rankedQueries, func() func(int) {
		rows, dim := e.base.Rows, e.base.Cols
		sims := make([]float32, rankedQueries*rows)
		k := ranker{buckets: make([]uint16, rows), keys: make([]uint64, rows), swap: make([]uint64, rows)}
		return func(block int) {
			from, to := block*rankedQueries, min((block+1)*rankedQueries, e.queries.Rows)
			kernel.Gemm(false, true, to-from, rows, dim, e.queries.Data[from*dim:], dim, e.base.Data, dim, sims, rows, false)
			for q := from; q < to; q++ {
				label := e.queryLabels[q]
				n, hits, sum := size[label], 0, 0.0
				r.first[q] = math.MaxInt
				for i, key := range k.rank(sims[(q-from)*rows:(q-from+1)*rows], min(max(n, rankedTop), rows)) {
					if e.baseLabels[uint32(key)] != label {
						continue
					}
					r.first[q] = min(r.first[q], i+1)
					if i < n {
						hits++
						sum += float64(hits) / float64(i+1)
					}
				}
				if n > 0 {
					r.precision[q] = sum / float64(n)
				}
			}
		}
	})
	return r, err
}

// ranker orders rows by falling similarity.
type ranker struct {
	buckets    []uint16 // of the rows
	keys, swap []uint64 // similarity, turned round, in the upper half, row in the lower
	count      [rankBuckets]int
}

// rank returns the keys of the first n rows by falling similarity, equals by row: a histogram finds about how similar the n-th is, what is
// at least so similar is sorted by radix. sims must be finite.
func (k *ranker) rank(sims []float32, n int) []uint64 {
	clear(k.count[:])
	for row, s := range sims {
		b := bucket(s)
		k.buckets[row] = b
		k.count[b]++
	}
	least := rankBuckets - 1
	for above := k.count[least]; above < n; above += k.count[least] {
		least--
	}
	in := k.keys[:0]
	for row, b := range k.buckets {
		if int(b) >= least {
			in = append(in, uint64(falling(sims[row]))<<32|uint64(row))
		}
	}
	out := k.swap[:len(in)]
	const bits, mask = 11, 1<<11 - 1
	for shift := 32; shift < 64; shift += bits { // stable: the rows of equals stay in order
		places := k.count[:mask+1]
		clear(places)
		for _, key := range in {
			places[key>>shift&mask]++
		}
		at := 0
		for d, c := range places {
			places[d] = at
			at += c
		}
		for _, key := range in {
			d := key >> shift & mask
			out[places[d]] = key
			places[d]++
		}
		in, out = out, in
	}
	return in[:n]
}

// bucket never falls where the similarity rises.
func bucket(s float32) uint16 {
	switch at := (s + 1) * (rankBuckets / 2); {
	case at < 0:
		return 0
	case at >= rankBuckets:
		return rankBuckets - 1
	default:
		return uint16(at)
	}
}

// falling returns bits that fall as unsigned numbers where s rises; equal for both zeros.
func falling(s float32) uint32 {
	b := math.Float32bits(s)
	switch {
	case s == 0:
		b = 0
	case s < 0:
		return b
	}
	return ^b &^ (1 << 31)
}

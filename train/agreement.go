package train

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/akin-search/akin/encoder/kernel"
)

// NMI returns the normalized mutual information of two partitions of the same rows, 2·I(U;V)/(H(U)+H(V)): the one with the arithmetic
// mean of the entropies (Vinh, Epps and Bailey, JMLR 2010, table 2). 1 says that they are the same, 0 that one tells nothing of the
// other. Two partitions that both leave all rows together are the same. Any numbers name the parts.
func NMI(u, v []int) (float64, error) {
	t, err := tabulate(u, v)
	if err != nil {
		return 0, err
	}
	return t.nmi(), nil
}

func (t contingency) nmi() float64 {
	n := 0.0
	for _, s := range t.u {
		n += float64(s)
	}
	entropy := func(sizes []int) (h float64) {
		for _, s := range sizes {
			if s > 0 {
				h -= float64(s) / n * math.Log(float64(s)/n)
			}
		}
		return h
	}
	hu, hv, joint := entropy(t.u), entropy(t.v), entropy(t.both)
	if hu+hv == 0 {
		return 1
	}
	return min(1, max(0, 2*(hu+hv-joint)/(hu+hv)))
}

// ARI returns the adjusted Rand index of two partitions of the same rows (Hubert and Arabie 1985, equation 5): 1 says that they are the
// same, 0 is what partitions drawn at random with parts of these sizes have on average. Any numbers name the parts.
func ARI(u, v []int) (float64, error) {
	t, err := tabulate(u, v)
	if err != nil {
		return 0, err
	}
	return t.ari(), nil
}

func (t contingency) ari() float64 {
	n := 0.0
	for _, s := range t.u {
		n += float64(s)
	}
	pairs := func(sizes []int) (sum float64) {
		for _, s := range sizes {
			sum += float64(s) * float64(s-1) / 2
		}
		return sum
	}
	pu, pv, both, all := pairs(t.u), pairs(t.v), pairs(t.both), n*(n-1)/2
	if pu == pv && (pu == 0 || pu == all) { // all apart in both, or all together in both
		return 1
	}
	expected := pu * pv / all
	return (both - expected) / ((pu+pv)/2 - expected)
}

// contingency has the sizes of the parts of two partitions and of their common refinement.
type contingency struct{ u, v, both []int }

func tabulate(u, v []int) (contingency, error) {
	if len(u) != len(v) || len(u) == 0 {
		return contingency{}, fmt.Errorf("%w: partitions of %d and %d rows; they must be of the same rows, and there must be one", ErrEvaluate, len(u), len(v))
	}
	both := make([][2]int, len(u))
	for i := range u {
		both[i] = [2]int{u[i], v[i]}
	}
	slices.SortFunc(both, func(a, b [2]int) int { return slices.Compare(a[:], b[:]) })
	return contingency{u: runs(slices.Sorted(slices.Values(u))), v: runs(slices.Sorted(slices.Values(v))), both: runs(both)}, nil
}

// runs returns the lengths of the runs of equal values.
func runs[T comparable](sorted []T) (lengths []int) {
	for i := range sorted {
		if i == 0 || sorted[i] != sorted[i-1] {
			lengths = append(lengths, 0)
		}
		lengths[len(lengths)-1]++
	}
	return lengths
}

// agreementIntervals returns the intervals of bootstrap for NMI and ARI, by their JSON names. A row that is drawn twice agrees with itself, which
// moves NMI up a little where parts are small.
func agreementIntervals(ctx context.Context, u, v []int, o DownstreamOptions) (map[string]Interval, error) {
	numbered := func(n int, of func(i int) [2]int) (number []int, count int) {
		seen := map[[2]int]int{}
		for i := range n {
			k, known := seen[of(i)]
			if !known {
				k = len(seen)
				seen[of(i)] = k
			}
			number = append(number, k)
		}
		return number, len(seen)
	}
	n := len(u)
	inU, us := numbered(n, func(i int) [2]int { return [2]int{u[i]} })
	inV, vs := numbered(n, func(i int) [2]int { return [2]int{v[i]} })
	inBoth, boths := numbered(n, func(i int) [2]int { return [2]int{u[i], v[i]} })
	nmi, ari := make([]float64, resamples), make([]float64, resamples)
	err := eachBlock(ctx, o.Threads, resamples/resamplesBlock, func() func(int) {
		t := contingency{make([]int, us), make([]int, vs), make([]int, boths)}
		return func(block int) {
			for sample := block * resamplesBlock; sample < (block+1)*resamplesBlock; sample++ {
				rng := rand.New(rand.NewPCG(o.Seed, 0x626f6f74<<16|uint64(sample))) // "boot", as bootstrap draws queries
				clear(t.u)
				clear(t.v)
				clear(t.both)
				for range n {
					i := rng.IntN(n)
					t.u[inU[i]]++
					t.v[inV[i]]++
					t.both[inBoth[i]]++
				}
				nmi[sample], ari[sample] = t.nmi(), t.ari()
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return map[string]Interval{"nmi": middle(nmi), "ari": middle(ari)}, nil
}

// Silhouette returns the mean over the rows of (b−a)/max(a, b), with a the mean cosine distance 1 − cos to the other rows of the row's part
// and b the smallest mean distance to those of another part; 0 for a row alone in its part (Rousseeuw 1987). It is −1 to 1, higher where
// parts are tighter and farther apart. m holds unit rows and must have two parts. It is exact for any number of rows in time O(rows ·
// parts · columns): the mean distance to many unit rows is 1 − x·(their mean).
func Silhouette(m kernel.Matrix, parts []int) (float64, error) {
	if err := checkRows("rows", m, parts); err != nil {
		return 0, err
	}
	groups := map[int]int{}
	var sums [][]float64
	var sizes []float64
	for i, p := range parts {
		g, known := groups[p]
		if !known {
			g = len(sums)
			groups[p], sums, sizes = g, append(sums, make([]float64, m.Cols)), append(sizes, 0)
		}
		sizes[g]++
		for j, x := range m.Row(i) {
			sums[g][j] += float64(x)
		}
	}
	if len(sums) < 2 {
		return 0, fmt.Errorf("%w: the silhouette of %d parts; it needs two", ErrEvaluate, len(sums))
	}
	total := 0.0
	for i, p := range parts {
		own, row := groups[p], m.Row(i)
		if sizes[own] == 1 {
			continue
		}
		a, b := 0.0, math.Inf(1)
		for g, sum := range sums {
			distances := sizes[g]
			for j, x := range row {
				distances -= float64(x) * sum[j]
			}
			if g == own { // without the row itself
				a = (distances - (1 - dot(row, row))) / (sizes[g] - 1)
			} else {
				b = min(b, distances/sizes[g])
			}
		}
		if most := max(a, b); most > 0 {
			total += (b - a) / most
		}
	}
	return total / float64(m.Rows), nil
}

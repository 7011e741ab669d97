package train

import (
	"context"
	"math"
	"slices"

	"github.com/akin-search/akin/encoder/kernel"
)

const (
	dbscanPoints = 10     // neighbours, the row itself among them, that make a row dense
	dbscanRows   = 10_000 // rows that are clustered, at most: the time grows with their square
	noise        = -1     // the cluster of rows that are in none
)

// dbscan parts unit rows, at least two, into clusters of any shape by density, or leaves them as noise (DBSCAN: Ester, Kriegel, Sander and Xu, KDD 1996):
// a row with dbscanPoints rows within the radius is a core, cores within the radius of each other are of one cluster, and another
// row within it of a core joins the nearest core's. The radius comes from the data: see radiusOf. A cluster's number is its first core.
func dbscan(ctx context.Context, m kernel.Matrix, threads int) ([]int, error) {
	k := min(dbscanPoints, m.Rows)
	reach := make([]float32, m.Rows) // cosine to the k-th nearest row, itself the first
	err := eachBlock(ctx, threads, (m.Rows+knnQueries-1)/knnQueries, func() func(int) {
		v := newVoter(m, nil, k)
		return func(block int) {
			from, to := block*knnQueries, min((block+1)*knnQueries, m.Rows)
			v.search(m, from, to)
			for i := from; i < to; i++ {
				reach[i] = v.near[(i-from+1)*k-1].similarity
			}
		}
	})
	if err != nil {
		return nil, err
	}
	within := radiusOf(reach)
	f := forest(integers(m.Rows))
	joins := make([]neighbour, m.Rows) // nearest core of a row that is none
	sims := make([]float32, knnQueries*m.Rows)
	for from := 0; from < m.Rows; from += knnQueries {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		to := min(from+knnQueries, m.Rows)
		kernel.Gemm(false, true, to-from, m.Rows, m.Cols, m.Data[from*m.Cols:], m.Cols, m.Data, m.Cols, sims, m.Rows, false)
		for i := from; i < to; i++ {
			joins[i] = neighbour{within, noise}
			for j, s := range sims[(i-from)*m.Rows : (i-from+1)*m.Rows] {
				switch {
				case s < within || reach[j] < within: // far, or no core
				case reach[i] >= within:
					f.join(i, j)
				case s > joins[i].similarity || joins[i].row == noise:
					joins[i] = neighbour{s, j}
				}
			}
		}
	}
	clusters := make([]int, m.Rows)
	for i := range clusters {
		switch {
		case reach[i] >= within:
			clusters[i] = f.root(i)
		case joins[i].row == noise:
			clusters[i] = noise
		default:
			clusters[i] = f.root(joins[i].row)
		}
	}
	return clusters, nil
}

// radiusOf returns the cosine that the radius stands for: that of the knee of the sorted distances to the k-th neighbour, the row farthest
// below the line from the first to the last (the "valley" of Ester et al., section 4.2, found as by Satopää et al. 2011).
func radiusOf(reach []float32) float32 {
	sorted := slices.Clone(reach)
	slices.Sort(sorted)
	slices.Reverse(sorted) // rising distance
	first, last := sorted[0], sorted[len(sorted)-1]
	knee, most := len(sorted)-1, math.Inf(-1)
	for i, s := range sorted {
		line := float64(first) + float64(last-first)*float64(i)/float64(max(1, len(sorted)-1))
		if above := float64(s) - line; above > most {
			knee, most = i, above
		}
	}
	return sorted[knee]
}

// forest is sets of rows that are joined, each with its least row as the root.
type forest []int

func (f forest) root(i int) int {
	for f[i] != i {
		f[i] = f[f[i]]
		i = f[i]
	}
	return i
}

func (f forest) join(i, j int) {
	a, b := f.root(i), f.root(j)
	f[max(a, b)] = min(a, b)
}

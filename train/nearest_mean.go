package train

import "github.com/akin-search/akin/encoder/kernel"

// nearestMean tells of each query whether the class whose mean direction in base has the highest cosine to it is the query's (1) or not
// (0): the nearest class mean classifier (Mensink et al., TPAMI 2013) on the sphere. Of equally near means the class that comes first
// in base wins.
func (e *evaluation) nearestMean() ([]float64, error) {
	classes, _ := itemsByClass(e.baseLabels)
	means := meanDirections(e.base, classes)
	labels := make([]int, len(classes))
	for c, items := range classes {
		labels[c] = e.baseLabels[items[0]]
	}
	m := evaluation{ctx: e.ctx, base: means, queries: e.queries, baseLabels: labels, queryLabels: e.queryLabels, DownstreamOptions: e.DownstreamOptions}
	right, _, err := m.nearest(1)
	return right, err
}

// meanDirections returns the means of groups of rows, each of unit length; one that is zero stays so.
func meanDirections(m kernel.Matrix, groups [][]int) kernel.Matrix {
	means := kernel.NewMatrix(len(groups), m.Cols)
	sum := make([]float64, m.Cols)
	for g, rows := range groups {
		clear(sum)
		for _, r := range rows {
			for i, v := range m.Row(r) {
				sum[i] += float64(v)
			}
		}
		kernel.Unit(means.Row(g), sum)
	}
	return means
}

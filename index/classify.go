package index

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
)

// Classification is which of the known classes a vector may be of.
type Classification struct {
	Verdict
	Classes []ClassFit // all but points without a label: those that it may be of, the best first by p-value, then by distance; those not judged; those ruled out
}

// ClassFit says how well a vector fits a class.
type ClassFit struct {
	Class       string
	PValue      float64 // how usual its distance to the class is for held-out points of the class, in (0, 1]
	Distance    float64 // to the nearest cluster of the class: 1−cos, or Euclidean
	Calibration int     // held-out points of the class: with n of them no p-value is below 1/(n+1)
}

// In reports whether a class is in the prediction set at the verdict's alpha: of points like the held-out ones of a class, at
// most the share alpha is not in the set that this gives (Mondrian conformal prediction). A class that is not judged is always
// in it.
func (c *Classification) In(f ClassFit) bool { return f.PValue > c.Alpha || !c.Judged(f) }

// Judged reports whether a class could be ruled out at the verdict's alpha: whether it has 1/alpha − 1 held-out points or more.
func (c *Classification) Judged(f ClassFit) bool { return pValueOf(0, f.Calibration) <= c.Alpha }

// Classify compares a vector with each class; near is what VerdictOf takes. The verdict is that of VerdictOf: an anomaly is of
// none of the classes. ErrNotCalibrated: none of the known vectors has a label.
func (d *Detector) Classify(v []float32, near []Hit, alpha float64) (Classification, error) {
	if len(d.classes) == 1 && d.classes[0] == "" {
		return Classification{}, fmt.Errorf("no known point has a label, so that there is no class to tell: %w: label points and keep some of each class aside, or ask for the anomaly verdict, which needs no labels", ErrNotCalibrated)
	}
	m, err := d.measure(v, near, true)
	if err != nil {
		return Classification{}, err
	}
	verdict, err := d.verdict(m, alpha)
	if err != nil {
		return Classification{}, err
	}
	out := Classification{Verdict: verdict}
	own := map[string]float64{}
	for i, class := range d.classes {
		if class == "" {
			continue
		}
		own[class] = m.own[i]
		out.Classes = append(out.Classes, ClassFit{class, pValue(d.byLabel[i], m.own[i]), m.distances[i], len(d.byLabel[i])})
	}
	rank := func(f ClassFit) int {
		switch {
		case !out.Judged(f):
			return 1
		case out.In(f):
			return 0
		}
		return 2
	}
	slices.SortStableFunc(out.Classes, func(a, b ClassFit) int {
		order := cmp.Compare(rank(a), rank(b))
		if order == 0 && out.Judged(a) { // p-values of few held-out points say little: none is 1
			order = cmp.Compare(b.PValue, a.PValue)
		}
		return cmp.Or(order, cmp.Compare(own[a.Class], own[b.Class]))
	})
	return out, nil
}

// Deviation is how far a component is from what it is among the neighbours.
type Deviation struct {
	Component int
	Value     float64
	Mean      float64 // of the neighbours
	Z         float64 // in their standard deviations
}

// deviationNeighbors is how many neighbours a component is compared with.
const deviationNeighbors = 20

// Deviations returns the count components of a vector that deviate most from its nearest points, the largest |Z| first. With
// Cosine all are taken at unit length. Standard deviations below a thousandth of that of all components count as that much.
func (c *Collection) Deviations(ctx context.Context, v []float32, count int) ([]Deviation, error) {
	hits, err := c.Search(ctx, v, deviationNeighbors, Params{})
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(hits))
	for i, h := range hits {
		ids[i] = h.ID
	}
	records, err := c.Look(FieldVector, ids...)
	if err != nil {
		return nil, err
	}
	s := newSpace(c.record.Config.Metric, c.record.Config.Dimension)
	row := make([]float32, s.stride)
	if err := s.prepare(row, v); err != nil {
		return nil, err
	}
	out := make([]Deviation, s.dim)
	variances, all := make([]float64, s.dim), 0.0
	for j := range out {
		var n, sum, square float64
		for _, r := range records {
			if r.ID != "" {
				x := float64(r.Vector[j])
				n, sum, square = n+1, sum+x, square+x*x
			}
		}
		n = max(n, 1)
		out[j] = Deviation{Component: j, Value: float64(row[j]), Mean: sum / n}
		variances[j] = max(0, square/n-sum/n*sum/n)
		all += variances[j] / float64(s.dim)
	}
	for j := range out {
		if spread := math.Sqrt(max(variances[j], all*1e-6)); spread > 0 {
			out[j].Z = (out[j].Value - out[j].Mean) / spread
		}
	}
	slices.SortStableFunc(out, func(a, b Deviation) int { return cmp.Compare(math.Abs(b.Z), math.Abs(a.Z)) })
	return out[:min(count, len(out))], nil
}

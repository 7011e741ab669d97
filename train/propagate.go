package train

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/akin-search/akin/encoder/kernel"
)

// PropagateOptions say how labels spread. The zero value of a field means its default.
type PropagateOptions struct {
	Neighbours int     // nearest rows that a row is joined to; default 15, fewer where there are fewer rows; 1 to 1000
	Alpha      float64 // share of a row's class that comes from its neighbours, the rest from its own label; default 0.999; above 0 and below 1
	Sharpness  float64 // how fast a link weakens with the distance, see Propagate; default 4; above 0, at most 100
	Seed       uint64  // of the graph index
	Threads    int     // 0 means one a core; changes nothing in the result
}

// SetDefaults fills in what is zero.
func (o *PropagateOptions) SetDefaults() {
	set(&o.Neighbours, 15)
	set(&o.Alpha, 0.999)
	set(&o.Sharpness, 4)
}

// Validate reports the first option out of range.
func (o PropagateOptions) Validate() error {
	switch {
	case o.Neighbours < 1 || o.Neighbours > 1000:
		return fmt.Errorf("%w: propagation to %d neighbours: it must be 1 to 1000", ErrOptions, o.Neighbours)
	case !(o.Alpha > 0 && o.Alpha < 1): // also refuses NaN
		return fmt.Errorf("%w: propagation with alpha %g: it must be above 0 and below 1", ErrOptions, o.Alpha)
	case !(o.Sharpness > 0 && o.Sharpness <= 100):
		return fmt.Errorf("%w: propagation with sharpness %g: it must be above 0, at most 100", ErrOptions, o.Sharpness)
	case o.Threads < 0 || o.Threads > kernel.MaxThreads:
		return fmt.Errorf("%w: propagation with %d threads: it must be 0 (one a core) to %d", ErrOptions, o.Threads, kernel.MaxThreads)
	}
	return nil
}

// Propagation is what Propagate found, a value a row.
type Propagation struct {
	Labels     []int     // the label that was given, else the likeliest; Unlabelled where no chain of neighbours leads to a label
	Confidence []float64 // from 0, all classes alike, to 1, no doubt; 1 where the label was given
	share      []float64 // of the likeliest label among all, 0 to 1
}

// Propagate gives every row of emb, which have unit length, a label, starting from the rows that have one: labels are classes, or Unlabelled.
// It is label spreading over a graph of nearest neighbours (Zhou et al. 2004, "Learning with local and global consistency"; Iscen et al.
// 2019, "Label propagation for deep semi-supervised learning", equations 7 to 10):
//
//	A_ij = exp(−sharpness·(1−e_i·e_j)/σ) where j is among the nearest of i, else 0     W = A + Aᵀ     S = D^−½ W D^−½, D = row sums of W
//	F = (I − αS)⁻¹ Y, where Y_ic = 1 iff row i was given class c
//
// σ is the median distance 1−cos at which neighbourhoods end: one scale for all, so that links in sparse places, which run between
// classes more often, are weak. The columns of F are scaled so that what they give to the rows without a label is in proportion to the labels given (class mass
// normalisation, Zhu et al. 2003, section 4): give labels of each class as often as it occurs, or alike where you do not know. The label
// is the largest of a row, the confidence 1 − entropy(row)/log(classes).
//
// A label that lies at the edge of its class reaches others first. So with fewer than fewSeeds labels a class the labels found are
// spread again, at an α of growthAlpha if that is less: of each class those whose label has the largest share of their row, as many as the labels given
// are in proportion, first of a part of the rows and at last of all (growth). Classes grow side by side, each from its middle.
//
// The neighbours come from the graph index, so a few may not be the true ones. Time grows as rows·(neighbours·classes + what a search
// takes). The result depends on the input and the CPU tier alone. Without two classes among labels it is an error wrapping ErrDataset.
func Propagate(ctx context.Context, emb kernel.Matrix, labels []int, o PropagateOptions) (Propagation, error) {
	o.SetDefaults()
	if err := o.Validate(); err != nil {
		return Propagation{}, err
	}
	if err := checkRows("embeddings", emb, labels); err != nil {
		return Propagation{}, err
	}
	if _, err := rowLabels(labels); err != nil {
		return Propagation{}, err
	}
	seeds, unlabelled := itemsByClass(labels)
	if len(seeds) < 2 {
		return Propagation{}, fmt.Errorf("%w: the labels of %d items name %d classes; labels can be propagated where there are two or more", ErrDataset, len(labels), len(seeds))
	}
	slices.SortFunc(seeds, func(a, b []int) int { return cmp.Compare(labels[a[0]], labels[b[0]]) })
	g, err := affinity(ctx, emb, o)
	if err != nil {
		return Propagation{}, err
	}
	p, err := g.propagate(ctx, seeds, seeds, unlabelled, labels, o.Alpha)
	for _, part := range growth {
		if err != nil || len(labels)-len(unlabelled) >= fewSeeds*len(seeds) {
			break
		}
		p, err = g.propagate(ctx, p.middles(seeds, unlabelled, labels, part), seeds, unlabelled, labels, min(o.Alpha, growthAlpha))
	}
	return p, err
}

const fewSeeds = 5 // on average: one bad label among more matters less

const growthAlpha = 0.95 // near enough that a row follows its neighbours, and not what is far

// growth is the part of the rows whose labels are spread, a spreading after the other.
var growth = []float64{0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1}

// middles returns, of each class, the rows given and those others that were most surely found to be of it, so that they are as many as this part of
// all rows, shared out as the labels given.
func (p Propagation) middles(seeds [][]int, unlabelled, labels []int, part float64) [][]int {
	found := map[int][]int{}
	for _, i := range unlabelled {
		found[p.Labels[i]] = append(found[p.Labels[i]], i)
	}
	given := len(labels) - len(unlabelled)
	out := make([][]int, len(seeds))
	for c, own := range seeds {
		items := found[labels[own[0]]]
		slices.SortStableFunc(items, func(a, b int) int { return cmp.Compare(p.share[b], p.share[a]) })
		want := int(math.Ceil(part*float64(len(labels))*float64(len(own))/float64(given))) - len(own)
		out[c] = slices.Concat(own, items[:max(0, min(want, len(items)))])
	}
	return out
}

// propagate spreads the labels of some rows of each class; those given are among them.
func (g *links) propagate(ctx context.Context, from, seeds [][]int, unlabelled, labels []int, alpha float64) (Propagation, error) {
	v := newVerdicts(len(labels))
	for first := 0; first < len(seeds); first += spreadColumns { // so that the memory is that of a few classes
		last := min(first+spreadColumns, len(seeds))
		f, err := g.spread(ctx, from[first:last], alpha)
		if err != nil {
			return Propagation{}, err
		}
		v.add(f, seeds[first:last], first, unlabelled)
	}
	return v.propagation(labels, seeds), nil
}

// verdicts gathers, over blocks of classes, what a row's label and confidence depend on.
type verdicts struct {
	best     []int     // class with the largest share, an index into the seeds
	largest  []float64 // its share
	sum, log []float64 // Σ f and Σ f·log f
}

func newVerdicts(rows int) *verdicts {
	return &verdicts{best: make([]int, rows), largest: make([]float64, rows), sum: make([]float64, rows), log: make([]float64, rows)}
}

// add takes the columns of the classes first, first+1, …, of which block are the rows given.
func (v *verdicts) add(f []float64, block [][]int, first int, unlabelled []int) {
	n := len(block)
	for c, seeds := range block {
		mass := 0.0
		for _, i := range unlabelled {
			mass += f[i*n+c]
		}
		if mass == 0 {
			continue // the class reaches nothing
		}
		scale := float64(len(seeds)) / mass
		for _, i := range unlabelled {
			x := f[i*n+c] * scale
			if !(x > 0) {
				continue
			}
			if x > v.largest[i] {
				v.best[i], v.largest[i] = first+c, x
			}
			v.sum[i] += x
			v.log[i] += x * math.Log(x)
		}
	}
}

func (v *verdicts) propagation(labels []int, seeds [][]int) Propagation {
	p := Propagation{Labels: slices.Clone(labels), Confidence: make([]float64, len(labels)), share: make([]float64, len(labels))}
	for i, l := range labels {
		switch {
		case l != Unlabelled:
			p.Confidence[i] = 1
		case v.sum[i] > 0:
			p.Labels[i], p.share[i] = labels[seeds[v.best[i]][0]], v.largest[i]/v.sum[i]
			entropy := math.Log(v.sum[i]) - v.log[i]/v.sum[i] // of f/sum
			p.Confidence[i] = min(1, max(0, 1-entropy/math.Log(float64(len(seeds)))))
		}
	}
	return p
}

// Confident returns the labels of p with those of the least confident rows taken back to Unlabelled: of the rows that were given no label,
// each class keeps this share (of 0 to 1, rounded up), the most confident, the first of equals. So every class stays, however hard it is.
func (p Propagation) Confident(given []int, share float64) []int {
	labels := slices.Clone(given)
	found := slices.Clone(p.Labels)
	for i, l := range given {
		if l != Unlabelled {
			found[i] = Unlabelled
		}
	}
	classes, _ := itemsByClass(found)
	for _, items := range classes {
		slices.SortStableFunc(items, func(a, b int) int { return cmp.Compare(p.Confidence[b], p.Confidence[a]) })
		for _, i := range items[:int(math.Ceil(share*float64(len(items))))] {
			labels[i] = p.Labels[i]
		}
	}
	return labels
}

package train

import (
	"context"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/akin-search/akin/encoder"
)

// Members learn the same from other weights and other batches, one after the other, and are joined to one network: where there is little data, what a
// network makes of a class that it never saw depends on chance, and that of several is surer (Hansen and Salamon 1990, "Neural network ensembles").
// Behind them, the last linear layer is turned so that directions in which parts of one sound differ count less, within-class covariance normalisation
// (Hatch et al. 2006, "Within-class covariance normalization for SVM-based speaker recognition"), and those that are left out are where all sounds are most alike.

const (
	maxMembers      = 16
	withinShrinkage = 3   // of the covariance within a class: its mean variance is added so many times to that of each direction
	withinSounds    = 500 // sounds that it is measured on, at most, spread over all,
	withinBatch     = 16  // of which so many are copied at a time
)

// withinParts are the numbers of parts that a sound is cut into, in turn.
var withinParts = []int{2, 3}

// memberSeed tells the members of a run apart.
func memberSeed(seed uint64, member int) uint64 { return seed ^ uint64(member)<<32 }

// apart trains what is left to train of a run's members, one after the other, and returns the last. b is what came before, nil for nothing.
func (r *run) apart(ctx context.Context, o Options, b *before) (*run, error) {
	for {
		member := o
		done := b.members()
		member.Seed = memberSeed(o.Seed, done)
		s, err := r.stage(ctx, member, b)
		if err != nil {
			return nil, err
		}
		s.Options.Seed = o.Seed
		if done+1 >= o.Members {
			return s, nil
		}
		b = b.with(s)
		o.Resume = false
	}
}

// joined returns the network and the weights of all members, those of earlier runs and weights, with their last linear layer turned, and as many components
// as one member has.
func (r *run) joined(ctx context.Context, weights [][]float32) (encoder.Network, [][]float32, error) {
	parts := [][][]float32{weights}
	if r.before != nil {
		parts = slices.Concat(r.before.weights, parts)
	}
	n, joint, err := r.Network.Join(parts...)
	if err != nil {
		return n, nil, err
	}
	x, classes, err := r.partVectors(ctx, n, joint)
	if err != nil {
		return n, nil, err
	}
	scale, mean, turn, err := within(x, classes, len(parts), r.dimension)
	if err != nil {
		return n, nil, err
	}
	last := lastLinear(n)
	n.Layers[last].Units = r.dimension
	w, b := joint[len(joint)-2], joint[len(joint)-1]
	_, wide := x.Dims()
	inputs := len(w) / wide
	all := mat.NewDense(inputs+1, wide, nil) // the bias behind the weights
	for i := range inputs {
		for j := range wide {
			all.Set(i, j, float64(w[i*wide+j])*scale[j])
		}
	}
	for j := range wide {
		all.Set(inputs, j, float64(b[j])*scale[j]-mean[j])
	}
	turned := make([]float32, (inputs+1)*r.dimension)
	for i, v := range product(all, turn).RawMatrix().Data {
		turned[i] = float32(v)
	}
	joint[len(joint)-2], joint[len(joint)-1] = turned[:inputs*r.dimension], turned[inputs*r.dimension:]
	return n, joint, nil
}

// partVectors returns what the network's last linear layer makes of parts of the sounds that are trained on and of their warped copies, as long as it is, and
// which class each is of.
func (r *run) partVectors(ctx context.Context, n encoder.Network, weights [][]float32) (*mat.Dense, []int, error) {
	e, err := r.lengthy(n, weights)
	if err != nil {
		return nil, nil, err
	}
	var values []float64
	var classes []int
	var items []int // and copies
	for copied := 0; copied < r.drawn.Len(); copied += r.data.Len() {
		for i := 0; i < r.data.Len(); i += stride(r.data.Len(), withinSounds) {
			if r.drawn.Labels[copied+i] != Unlabelled {
				items = append(items, copied+i)
			}
		}
	}
	for some := range slices.Chunk(items, withinBatch) {
		var sounds []encoder.Features
		var labels []int
		for _, i := range some {
			data, _ := r.item(i, nil, nil)
			sounds, labels = append(sounds, encoder.Features{Data: data, Shape: r.features[i%len(r.features)].Shape}), append(labels, r.drawn.Labels[i])
		}
		for _, n := range withinParts {
			parts, of := CutSounds(sounds, labels, n, 0)
			emb, err := EncodeFeatures(ctx, e, parts)
			if err != nil {
				return nil, nil, err
			}
			for _, v := range asLong(emb).Data {
				values = append(values, float64(v))
			}
			classes = append(classes, of...)
		}
	}
	if len(classes) == 0 {
		return nil, nil, fmt.Errorf("%w: no sound is long enough to be cut into %d parts", ErrDataset, withinParts[0])
	}
	return mat.NewDense(len(classes), len(values)/len(classes), values), classes, nil
}

// within brings each member's columns of x to a mean square length of 1 by scale, and returns the mean of what that makes of x and the map that whitens
// what is within classes, by its shrunk covariance, and keeps so many directions, those in which rows vary most then.
func within(x *mat.Dense, classes []int, members, keep int) (scale, mean []float64, turn *mat.Dense, err error) {
	rows, wide := x.Dims()
	scale, mean = make([]float64, wide), make([]float64, wide)
	for m := range members {
		of := x.Slice(0, rows, m*wide/members, (m+1)*wide/members)
		length := mat.Norm(of, 2) / math.Sqrt(float64(rows))
		for j := m * wide / members; j < (m+1)*wide/members; j++ {
			scale[j] = 1 / max(length, 1e-12)
		}
	}
	for i := range rows {
		row := x.RawRowView(i)
		for j := range row {
			row[j] *= scale[j]
			mean[j] += row[j] / float64(rows)
		}
	}
	groups, _ := itemsByClass(classes)
	inner, outer := mat.NewDense(rows, wide, nil), mat.NewDense(rows, wide, nil) // distances to the mean of the class, and to that of all
	for _, of := range groups {
		middle := make([]float64, wide)
		for _, i := range of {
			for j, v := range x.RawRowView(i) {
				middle[j] += v / float64(len(of))
			}
		}
		for _, i := range of {
			for j, v := range x.RawRowView(i) {
				inner.Set(i, j, v-middle[j])
				outer.Set(i, j, v-mean[j])
			}
		}
	}
	white, err := principal(inner, float64(max(1, rows-len(groups))), wide, true)
	if err != nil {
		return nil, nil, nil, err
	}
	if turn, err = principal(product(outer, white), float64(rows), keep, false); err != nil {
		return nil, nil, nil, err
	}
	return scale, mean, product(white, turn), nil
}

// principal returns the directions in which rows, of which there are n, vary most, the first first; white ones are as long as shrinkage and variance make
// them, so that rows vary alike in all.
func principal(x *mat.Dense, n float64, keep int, white bool) (*mat.Dense, error) {
	_, wide := x.Dims()
	var covariance mat.SymDense
	covariance.SymOuterK(1/n, x.T())
	var e mat.EigenSym
	if !e.Factorize(&covariance, true) {
		return nil, fmt.Errorf("%w: the eigenvalues of the embeddings' covariance do not converge", ErrEvaluate)
	}
	var turn mat.Dense
	e.VectorsTo(&turn)
	variance := e.Values(nil) // ascending
	shrinkage := withinShrinkage * mat.Trace(&covariance) / float64(wide)
	out := mat.NewDense(wide, keep, nil)
	for k := range keep {
		from, length := wide-1-k, 1.0
		if white {
			length = 1 / math.Sqrt(max(0, variance[from])+shrinkage+1e-12)
		}
		for i := range wide {
			out.Set(i, k, turn.At(i, from)*length)
		}
	}
	return out, nil
}

// membersOf cuts the tables of a checkpoint into those of each member.
func membersOf(tables [][]float32, each int) (weights [][][]float32) {
	for ; each > 0 && len(tables) >= each; tables = tables[each:] {
		weights = append(weights, tables[:each])
	}
	return weights
}

package train

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
)

// TestWithin: the map that is found makes the shrunk covariance within classes that of a ball, and tells classes apart where what differs within them is loud.
func TestWithin(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const classes, each, wide = 60, 4, 6
	x, labels := mat.NewDense(classes*each, wide, nil), make([]int, classes*each)
	for c := range classes {
		a, b := rng.NormFloat64(), rng.NormFloat64()
		for i := range each {
			labels[c*each+i] = c
			x.SetRow(c*each+i, []float64{a + 0.1*rng.NormFloat64(), b, 5 * rng.NormFloat64(), 300, 20 * a, 0}) // two members of three columns, of other scales
		}
	}
	given := mat.DenseCopyOf(x)
	scale, mean, turn, err := within(x, labels, 2, 4)
	if err != nil {
		t.Fatal(err)
	}
	if _, keep := turn.Dims(); keep != 4 {
		t.Fatalf("%d directions, want 4", keep)
	}
	for m := range 2 {
		square := 0.0
		for i := range classes * each {
			for j := 3 * m; j < 3*m+3; j++ {
				v := given.At(i, j) * scale[j]
				square += v * v / (classes * each)
			}
		}
		if math.Abs(square-1) > 1e-9 {
			t.Errorf("member %d: mean square length %g, want 1", m, square)
		}
	}
	// The covariance within classes by the formula.
	w := mat.NewSymDense(wide, nil)
	for c := range classes {
		for j := range wide {
			for k := j; k < wide; k++ {
				sum, mj, mk := 0.0, 0.0, 0.0
				for i := c * each; i < (c+1)*each; i++ {
					mj, mk = mj+x.At(i, j)/each, mk+x.At(i, k)/each
				}
				for i := c * each; i < (c+1)*each; i++ {
					sum += (x.At(i, j) - mj) * (x.At(i, k) - mk)
				}
				w.SetSym(j, k, w.At(j, k)+sum/(classes*each-classes))
			}
		}
	}
	trace := mat.Trace(w)
	for j := range wide {
		w.SetSym(j, j, w.At(j, j)+withinShrinkage*trace/wide)
	}
	for i, v := range product(turn.T(), product(w, turn)).RawMatrix().Data {
		want := 0.0
		if i%5 == 0 { // the diagonal of 4×4
			want = 1
		}
		if math.Abs(v-want) > 1e-6 {
			t.Errorf("element %d of the covariance within classes is %g, want %g", i, v, want)
		}
	}
	for j := range wide {
		sum := 0.0
		for i := range classes * each {
			sum += x.At(i, j) / (classes * each)
		}
		if math.Abs(sum-mean[j]) > 1e-9 {
			t.Errorf("mean %d is %g, want %g", j, mean[j], sum)
		}
	}
}

// TestMembers: the embedding of the model is that of its members, turned as joined says.
func TestMembers(t *testing.T) {
	data := speakers(leastVoices, 1, 1.6, 4)
	ran, stages, err := newDecidedRun(t.Context(), data, Dataset{}, Options{Epochs: 2, Batch: 16, Seed: 5, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer ran.cache.Close()
	s, err := ran.apart(t.Context(), stages[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	members := append(slices.Clone(s.before.weights), s.bestWeights())
	if len(members) != voiceMembers || slices.Equal(members[0][0], members[1][0]) || slices.Equal(members[1][0], members[2][0]) {
		t.Fatalf("%d members, or some of them alike", len(members))
	}
	n, joint, err := s.Network.Join(members...)
	if err != nil {
		t.Fatal(err)
	}
	x, classes, err := s.partVectors(t.Context(), n, joint)
	if err != nil {
		t.Fatal(err)
	}
	if rows, wide := x.Dims(); rows != 3*5*leastVoices || wide != 3*voiceDimension || len(classes) != rows || slices.Max(classes) != 3*leastVoices-1 {
		t.Fatalf("%d rows of %d, classes up to %d", rows, wide, slices.Max(classes))
	}
	first := mat.DenseCopyOf(x.Slice(0, 1, 0, 3*voiceDimension)) // of the first half of the first sound
	scale, mean, turn, err := within(x, classes, voiceMembers, voiceDimension)
	if err != nil {
		t.Fatal(err)
	}
	for j := range scale {
		first.Set(0, j, first.At(0, j)*scale[j]-mean[j])
	}
	want := product(first, turn).RawRowView(0)
	m, err := s.model(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e, err := encoder.NewEncoder(m, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	parts, _ := CutSounds(s.features[:1], []int{0}, 2, 0)
	got, err := EncodeFeatures(t.Context(), e, parts[:1])
	if err != nil {
		t.Fatal(err)
	}
	unit := kernel.NewMatrix(1, len(want))
	kernel.Unit(unit.Row(0), want)
	for j, v := range got.Row(0) {
		if math.Abs(float64(v-unit.Row(0)[j])) > 1e-4 {
			t.Fatalf("component %d is %g, want %g", j, v, unit.Row(0)[j])
		}
	}
}

// TestMembersRefused: members are of voices, and of networks that can be joined.
func TestMembersRefused(t *testing.T) {
	size := encoder.Size{Height: 40, Width: voiceInput, Channels: 1}
	yes := true
	residual := encoder.Network{Input: size, Layers: []encoder.Layer{{Kind: encoder.KindResidual, Filters: 4}, {Kind: encoder.KindGlobalPool}, {Kind: encoder.KindLinear, Units: 8}, {Kind: encoder.KindNormalize}}}
	for name, o := range map[string]Options{
		"too many": {Voices: &yes, Members: maxMembers + 1}, "below 0": {Voices: &yes, Members: -1}, "without voices": {Members: 2},
		"a network that cannot be joined": {Voices: &yes, Members: 2, Network: residual},
	} {
		o.Modality = encoder.ModalityAudio
		o.SetDefaults(100, 5, size)
		if err := o.Validate(); !errors.Is(err, ErrOptions) {
			t.Errorf("%s: error %v, want %v", name, err, ErrOptions)
		}
	}
	if got := membersOf([][]float32{{1}, {2}, {3}, {4}}, 2); len(got) != 2 || got[1][0][0] != 3 {
		t.Errorf("members of a checkpoint: %v", got)
	}
	if got := membersOf(nil, 2); got != nil {
		t.Errorf("members of a checkpoint without any: %v", got)
	}
}

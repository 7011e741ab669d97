package train

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
)

// TestViewerCorruptsItsShare: about the share of the views is corrupted, by each kind alike; the rest is what the augmentation makes.
func TestViewerCorruptsItsShare(t *testing.T) {
	const side, views = 10, 4000
	p := inUnits(encoder.Preprocessing{Size: encoder.Size{Height: side, Width: side, Channels: 1}})
	v := newPictureViewer(Augmentation{}, &Robust{Share: 0.3, Kinds: []Augmentation{{Brightness: 0.5}, {Erase: 1}}}, p, p.Background())
	src, dst := shade(0.5, side*side), make([]float32, side*side)
	rng := rand.New(rand.NewPCG(1, 1))
	clean, flat := 0, 0
	for range views {
		v.Apply(dst, src, rng)
		switch {
		case slices.Equal(dst, src):
			clean++
		case slices.Min(dst) == slices.Max(dst): // brightness; rarely an erased whole
			flat++
		}
	}
	if c := float64(clean) / views; math.Abs(c-0.7) > 0.03 {
		t.Errorf("%.3f of the views are clean, want 0.7", c)
	}
	if f := float64(flat) / views; math.Abs(f-0.15) > 0.03 {
		t.Errorf("%.3f of the views are brightened, want 0.15", f)
	}
}

// TestOverTakesEveryPart: a field that over forgets would leave a kind without effect. Fields are found through their JSON names.
func TestOverTakesEveryPart(t *testing.T) {
	all := everything()
	all.EraseArea = 0.5
	var names map[string]any
	b, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &names); err != nil {
		t.Fatal(err)
	}
	if want := reflect.TypeFor[Augmentation]().NumField() - 3; len(names) != want { // all but those of sounds, rows and texts
		t.Fatalf("%d parts are set, want all %d: %s", len(names), want, b)
	}
	if got := (Augmentation{}).over(all); got != all {
		t.Errorf("got %+v, want %+v", got, all)
	}
	if got, want := Digits().over(Augmentation{Rotate: 45}), (Augmentation{Shift: 0.08, Rotate: 45, Scale: 0.12, Shear: 0.15, Elastic: 0.12, ElasticCells: 4}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestRobustValidate(t *testing.T) {
	if err := DefaultRobust().Validate(); err != nil {
		t.Fatal(err)
	}
	kinds := []Augmentation{{Noise: 0.1}}
	for want, r := range map[string]*Robust{
		"share is 0, want more than 0 to 1":        {Share: 0, Kinds: kinds},
		"share is NaN":                             {Share: float32(math.NaN()), Kinds: kinds},
		"share is 1.5":                             {Share: 1.5, Kinds: kinds},
		"no kinds of corruption":                   {Share: 0.5},
		"kind 1: augmentation: noise is 2, want 0": {Share: 0.5, Kinds: []Augmentation{{Noise: 0.1}, {Noise: 2}}},
		"kind 0 changes nothing":                   {Share: 0.5, Kinds: []Augmentation{{EraseArea: 0.5}}},
	} {
		o := quick("supcon")
		o.Robust = r
		if _, err := Run(context.Background(), stripes(60, 1), Dataset{}, o); !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// TestDefaultRobustKnowsNothingHeldOut: no kind has a part that a held-out corruption measures.
func TestDefaultRobustKnowsNothingHeldOut(t *testing.T) {
	for i, k := range DefaultRobust().Kinds {
		if k.Brightness != 0 || k.Gamma != 0 {
			t.Errorf("kind %d changes brightness: %+v", i, k)
		}
	}
}

// TestRobustTrainingHelps: on the same data and seed, corrupted queries find their class more often, the record says how it was
// trained, and two runs are the same.
func TestRobustTrainingHelps(t *testing.T) {
	d, v := stripes(600, 1), stripes(150, 2)
	o := quick("supcon")
	o.Epochs = 8
	known := []Corruption{CorruptGaussianNoise, CorruptContrast, CorruptOcclusion}
	mean := func(m *encoder.Model) float64 {
		e, base := embedded(t, m, d)
		r, err := EvaluateCorrupted(context.Background(), e, base, d.Labels, v, CorruptOptions{Corruptions: known, Severities: []int{5}})
		if err != nil {
			t.Fatal(err)
		}
		return r.Means[0].KNNAccuracy
	}
	plain := mean(mustRun(t, d, v, o))
	o.Robust = DefaultRobust()
	m := mustRun(t, d, v, o)
	if robust := mean(m); robust < plain+0.05 {
		t.Errorf("mean accuracy of corrupted queries %.3f with robust training, %.3f without", robust, plain)
	}
	if !bytes.Equal(modelBytes(t, m), modelBytes(t, mustRun(t, d, v, o))) {
		t.Error("two runs give two models")
	}
	var rec Record
	if err := json.Unmarshal(m.Record, &rec); err != nil || rec.Options.Robust == nil || rec.Options.Robust.Share != o.Robust.Share {
		t.Errorf("record %s: %v", m.Record, err)
	}
}

// embedded returns the encoder of a model and the embeddings of a data set.
func embedded(t *testing.T, m *encoder.Model, d Dataset) (*encoder.Encoder, kernel.Matrix) {
	t.Helper()
	e, err := encoder.NewEncoder(m, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := e.Encode(context.Background(), d.Raw...)
	if err != nil {
		t.Fatal(err)
	}
	return e, kernel.MatrixOf(rows, e.Dimension())
}

// TestEvaluateCorruptedByHand follows one corruption outside: decode, corrupt, embed, and ask one by one.
func TestEvaluateCorruptedByHand(t *testing.T) {
	d, v := stripes(90, 1), stripes(60, 2)
	o := quick("supcon")
	o.Epochs = 1
	e, base := embedded(t, mustRun(t, d, Dataset{}, o), d)
	_, clean := embedded(t, e.Model(), v)
	done := 0
	got, err := EvaluateCorrupted(t.Context(), e, base, d.Labels, v, CorruptOptions{Seed: 4, Progress: func(n, of int) {
		if done++; n != done || of != 60 {
			t.Errorf("progress %d of %d, want %d of 60", n, of, done)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	check := func(name string, q kernel.Matrix, accuracy, recall float64) {
		for _, c := range []struct {
			k    int
			have float64
		}{{5, accuracy}, {1, recall}} {
			if want, err := KNNAccuracy(t.Context(), base, d.Labels, q, v.Labels, c.k); err != nil || want != c.have {
				t.Errorf("%s, k %d: %v, want %v (%v)", name, c.k, c.have, want, err)
			}
		}
	}
	check("clean", clean, got.CleanAccuracy, got.CleanRecall)
	if len(got.Scores) != 60 || len(got.Means) != 5 {
		t.Fatalf("%d scores, %d means", len(got.Scores), len(got.Means))
	}
	const at = 2*MaxSeverity + 3 // occlusion at severity 4
	s := got.Scores[at]
	if s.Corruption != "occlusion" || s.Severity != 4 || s.HeldOut {
		t.Fatalf("score %d is %+v", at, s)
	}
	pre := e.Model().Preprocessing
	decoder, err := inUnits(pre).Decoder()
	if err != nil {
		t.Fatal(err)
	}
	c := corrupter(t, CorruptOcclusion, 4, 12, 12, 1, 4)
	var features []encoder.Features
	for i, raw := range v.Raw {
		f, err := decoder.Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		bad := make([]float32, len(f.Data))
		c.Apply(bad, f.Data, i)
		f.Data = bad
		features = append(features, f)
	}
	standardize(pre, features)
	q, err := EncodeFeatures(t.Context(), e, features)
	if err != nil {
		t.Fatal(err)
	}
	check("occlusion at 4", q, s.KNNAccuracy, s.RecallAt1)

	known, heldOut := 0.0, 0.0
	for _, s := range got.Scores {
		if s.Severity == 3 && s.HeldOut {
			heldOut += s.RecallAt1 / 5
		} else if s.Severity == 3 {
			known += s.KNNAccuracy / 7
		}
	}
	if m := got.Means[2]; m.Severity != 3 || math.Abs(m.KNNAccuracy-known) > 1e-12 || math.Abs(m.HeldOutRecall-heldOut) > 1e-12 {
		t.Errorf("mean %+v, want %v and held out %v", m, known, heldOut)
	}

	for want, o := range map[string]CorruptOptions{
		"severity 0: it must be 1 to 5": {Severities: []int{3, 0}}, "corruption 99": {Corruptions: []Corruption{99}}, "0 corruptions at 5": {Corruptions: []Corruption{}},
		"k is 91": {K: 91},
	} {
		if _, err := EvaluateCorrupted(t.Context(), e, base, d.Labels, v, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	broken := v.Subset([]int{0, 1})
	broken.Raw = [][]byte{v.Raw[0], []byte("x")}
	if _, err := EvaluateCorrupted(t.Context(), e, base, d.Labels, broken, CorruptOptions{}); !errors.Is(err, ErrDataset) || !strings.Contains(err.Error(), "1 of 2 queries cannot be decoded") {
		t.Error(err)
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := EvaluateCorrupted(stopped, e, base, d.Labels, v, CorruptOptions{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

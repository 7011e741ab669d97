package op

import (
	"strings"
	"testing"

	"gorgonia.org/gorgonia"

	"github.com/akin-search/akin/encoder/kernel"
)

// halfSquare is Σ e²/2, whose gradient is e.
func halfSquare(emb, grad kernel.Matrix) (sum float32) {
	for i, v := range emb.Data {
		sum += v * v / 2
		grad.Data[i] = v
	}
	return sum
}

// linearGraph is loss(x·w + b) for one row of two inputs and one output.
func linearGraph(t *testing.T, x, w, b []float32) (loss *gorgonia.Node, grads gorgonia.Nodes, run func()) {
	t.Helper()
	dev, err := kernel.NewCPU(1)
	if err != nil {
		t.Fatal(err)
	}
	array := func(v []float32, rows, cols int) *Array {
		buf := dev.Alloc(len(v))
		dev.Upload(buf, v)
		return NewArray(buf, rows, cols)
	}
	g := gorgonia.NewGraph()
	params := []*Array{array(w, 2, 1), array(b, 1, 1)}
	nodes := gorgonia.Nodes{Input(g, "w", params[0]), Input(g, "b", params[1])}
	y, err := Layer(dev, kernel.LinearShape{Batch: 1, In: 2, Out: 1}, 1, Input(g, "x", array(x, 1, 2)), params, nodes)
	if err != nil {
		t.Fatal(err)
	}
	if loss, err = Loss(dev, halfSquare, y); err != nil {
		t.Fatal(err)
	}
	if grads, err = gorgonia.Grad(loss, nodes...); err != nil {
		t.Fatal(err)
	}
	m := gorgonia.NewTapeMachine(g)
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return loss, grads, func() {
		m.Reset()
		if err := m.RunAll(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestGradientByHand: y = 2·3 + 5·(-1) + 4 = 5, loss 12.5, dw = x·y, db = y; a second run gives the same.
func TestGradientByHand(t *testing.T) {
	loss, grads, run := linearGraph(t, []float32{2, 5}, []float32{3, -1}, []float32{4})
	dev, err := kernel.NewCPU(1)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		run()
		if v := *loss.Value().(*gorgonia.F32); v != 12.5 {
			t.Errorf("loss %v, want 12.5", v)
		}
		dw, db := make([]float32, 2), make([]float32, 1)
		dev.Download(dw, grads[0].Value().(*Array).Buffer)
		dev.Download(db, grads[1].Value().(*Array).Buffer)
		if dw[0] != 10 || dw[1] != 25 || db[0] != 5 {
			t.Errorf("gradients %v and %v, want [10 25] and [5]", dw, db)
		}
	}
}

// TestOperationsAreNeverMerged: gorgonia merges operations of equal hash, and two layers of one shape have a state each.
func TestOperationsAreNeverMerged(t *testing.T) {
	a, b := newBase("layer", 1, nil), newBase("layer", 1, nil)
	if a.Hashcode() == b.Hashcode() {
		t.Error("two operations have one hash")
	}
}

// TestForeignValueIsRefused: an operation whose input is no Array says so.
func TestForeignValueIsRefused(t *testing.T) {
	l := &layer{base: newBase("layer", 1, nil)}
	v := gorgonia.F32(1)
	if _, err := l.Do(&v); err == nil || !strings.Contains(err.Error(), "not an Array") {
		t.Errorf("a scalar input: %v", err)
	}
	if _, err := l.Do(); err == nil {
		t.Error("no input was accepted")
	}
}

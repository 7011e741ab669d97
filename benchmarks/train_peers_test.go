package benchmarks

import (
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestPeersTrainTheSame replays our steps in PyTorch, from the same weights and images, in every variant that is measured: the
// networks have the same parameters, and the losses, before and after updates, are the same.
func TestPeersTrainTheSame(t *testing.T) {
	python := "/usr/bin/python3" // Debian's: python3-torch belongs to no other
	if err := exec.Command(python, "-c", "import torch").Run(); err != nil {
		t.Skipf("no PyTorch to compare with: apt-get install python3-torch (%v)", err)
	}
	const script = "peers/torch_train.py"
	if _, err := os.ReadFile(script); err != nil { // read here, so that a change of it makes go test run this again
		t.Fatal(err)
	}
	type batch struct {
		Images [][]float32 `json:"images"`
		Labels []int       `json:"labels"`
	}
	for _, name := range NetworkNames() {
		o := TrainOptions{Network: name, Batch: 24, Threads: 2, Seed: 11}
		o.SetDefaults()
		run, err := newTraining(o)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		model := filepath.Join(dir, "start.akin")
		if _, err := modelOf(run).WriteFile(model); err != nil {
			t.Fatal(err)
		}
		var batches []batch
		var want []float64
		for range 4 {
			b := run.pool[run.done%len(run.pool)]
			batches = append(batches, batch{b.images, b.labels})
			loss, err := run.step()
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, float64(loss))
		}
		parameters := run.parameters()
		closing(t, run)
		spec, err := json.Marshal(map[string]any{"network": name, "model": model, "batches": batches})
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "steps.json")
		if err := os.WriteFile(file, spec, 0o644); err != nil {
			t.Fatal(err)
		}
		c := exec.Command(python, script, "--verify", file)
		c.Stderr = os.Stderr
		out, err := c.Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got struct {
			Parameters int
			Losses     map[string][]float64
		}
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatalf("%s: %v in %s", name, err, out)
		}
		if got.Parameters != parameters || len(got.Losses) < 4 {
			t.Errorf("%s: PyTorch trains %d parameters in %d variants, we %d", name, got.Parameters, len(got.Losses), parameters)
		}
		for variant, losses := range got.Losses {
			for i, loss := range losses {
				// Adam's first steps go by the sign of a gradient: those near zero tell sums in another order apart.
				limit := []float64{1e-5, 1e-4, 1e-3, 5e-3}[i]
				if !(math.Abs(loss-want[i]) <= limit*want[i]) {
					t.Errorf("%s, seed %d, PyTorch's %s: loss %d is %g, ours %g", name, o.Seed, variant, i, loss, want[i])
				}
			}
		}
		t.Logf("%s: %d parameters, losses %.6g, PyTorch %.6g", name, parameters, want, got.Losses["default"])
	}
}

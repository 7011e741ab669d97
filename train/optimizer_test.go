package train

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/akin-search/akin/encoder/kernel"
)

// tensors is a Trainable without a network.
type tensors struct {
	roles             []kernel.Role
	weights, gradient []kernel.Buffer
}

func (t *tensors) Trained() int                              { return len(t.roles) }
func (t *tensors) Parameter(i int) kernel.Parameter          { return kernel.Parameter{Role: t.roles[i]} }
func (t *tensors) Weight(i int) kernel.Buffer                { return t.weights[i] }
func (t *tensors) Gradient(i int) (kernel.Buffer, error)     { return t.gradient[i], nil }
func (t *tensors) Rows(int) []int                            { return nil }
func (t *tensors) set(dev kernel.Device, i int, g []float32) { dev.Upload(t.gradient[i], g) }

func newTensors(t *testing.T, dev kernel.Device, rng *rand.Rand, sizes ...int) *tensors {
	t.Helper()
	w := &tensors{roles: []kernel.Role{kernel.RoleWeight, kernel.RoleBias, kernel.RoleScale, kernel.RoleWeight}}
	for i, n := range sizes {
		w.weights, w.gradient = append(w.weights, dev.Alloc(n)), append(w.gradient, dev.Alloc(n))
		if i < 3 { // the last one starts at zero
			dev.Upload(w.weights[i], normals(rng, n))
		}
	}
	return w
}

func normals(rng *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(rng.NormFloat64())
	}
	return v
}

func device(t *testing.T) kernel.Device {
	t.Helper()
	dev, err := kernel.NewCPU(1)
	if err != nil {
		t.Fatal(err)
	}
	return dev
}

// TestOptimizersAgainstFormulas follows SGD and LARS in float64, with a rate that changes, and takes their state to a second optimiser
// half way.
func TestOptimizersAgainstFormulas(t *testing.T) {
	const momentum, decay = 0.9, 0.01
	norm := func(v []float64) float64 {
		s := 0.0
		for _, x := range v {
			s += x * x
		}
		return math.Sqrt(s)
	}
	// A rule changes w and v by g.
	rules := map[OptimizerKind]func(role kernel.Role, rate float64, w, g, v []float64){
		OptimizerSGD: func(_ kernel.Role, rate float64, w, g, v []float64) {
			for i := range w {
				v[i] = momentum*v[i] + rate*(g[i]+decay*w[i])
				w[i] -= v[i]
			}
		},
		OptimizerNesterov: func(_ kernel.Role, rate float64, w, g, v []float64) {
			for i := range w {
				d := rate * (g[i] + decay*w[i])
				v[i] = momentum*v[i] + d
				w[i] -= momentum*v[i] + d
			}
		},
		OptimizerLARS: func(role kernel.Role, rate float64, w, g, v []float64) {
			local, decay := rate, decay
			if role != kernel.RoleWeight {
				decay = 0
			} else if norm(w) > 0 {
				local = rate * 0.001 * norm(w) / (norm(g) + decay*norm(w))
			}
			for i := range w {
				v[i] = momentum*v[i] + local*(g[i]+decay*w[i])
				w[i] -= v[i]
			}
		},
	}
	for kind, rule := range rules {
		t.Run(kind.String(), func(t *testing.T) {
			dev, rng := device(t), rand.New(rand.NewPCG(3, 4))
			w := newTensors(t, dev, rng, 37, 5, 5, 8)
			o, err := kind.New(dev, w, momentum, decay)
			if err != nil {
				t.Fatal(err)
			}
			var want, velocity [][]float64
			for _, table := range download(dev, w.weights) {
				want, velocity = append(want, widen(kernel.Matrix{Rows: 1, Cols: len(table), Data: table})[0]), append(velocity, make([]float64, len(table)))
			}
			for step := range 6 {
				if step == 3 {
					state := o.State()
					if o, err = kind.New(dev, w, momentum, decay); err != nil {
						t.Fatal(err)
					}
					if err := o.Restore(state[1:]); !errors.Is(err, ErrCheckpoint) {
						t.Errorf("half a state: %v", err)
					}
					if err := o.Restore(state); err != nil {
						t.Fatal(err)
					}
				}
				rate := 0.3 / float64(1+step)
				for i := range want {
					g := normals(rng, len(want[i]))
					w.set(dev, i, g)
					rule(w.roles[i], rate, want[i], widen(kernel.Matrix{Rows: 1, Cols: len(g), Data: g})[0], velocity[i])
				}
				if err := o.Step(rate, step+1); err != nil {
					t.Fatal(err)
				}
			}
			for i, table := range download(dev, w.weights) {
				for j, x := range table {
					if math.Abs(float64(x)-want[i][j]) > 1e-5 {
						t.Fatalf("tensor %d: w[%d] = %g, want %g", i, j, x, want[i][j])
					}
				}
			}
		})
	}
}

func TestOptimizerKind(t *testing.T) {
	for kind, name := range optimizerNames {
		if k, err := ParseOptimizer(name); err != nil || k != OptimizerKind(kind) || k.String() != name {
			t.Errorf("%s is parsed as %v, %v", name, k, err)
		}
	}
	if k, err := ParseOptimizer("adam"); err == nil {
		t.Errorf("adam is parsed as %v", k)
	}
	dev := device(t)
	if o, err := OptimizerKind(77).New(dev, &tensors{}, 0, 0); err == nil || OptimizerKind(77).String() != "OptimizerKind(77)" {
		t.Errorf("an optimiser of no kind: %v", o)
	}
}

package encoder

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/akin-search/akin/encoder/kernel"
)

// ErrSpec is wrapped by every error about a network or preprocessing that cannot be built.
var ErrSpec = errors.New("invalid model spec")

// Kinds of layers.
const (
	KindConv      = "conv"
	KindLinear    = "linear"
	KindNormalize = "normalize"
)

// Layer is one fused layer, as data. Which fields count depends on Kind.
type Layer struct {
	Kind    string `json:"kind"`
	Filters int    `json:"filters,omitempty"` // conv: output channels
	Kernel  int    `json:"kernel,omitempty"`  // conv: side of the filter, odd
	Stride  int    `json:"stride,omitempty"`  // conv: 0 means 1
	Pool    bool   `json:"pool,omitempty"`    // conv: 2×2 max pooling after ReLU
	Units   int    `json:"units,omitempty"`   // linear: outputs
	ReLU    bool   `json:"relu,omitempty"`    // conv, linear
}

// Size is the shape of an image: Height × Width × Channels.
type Size struct {
	Height   int `json:"height"`
	Width    int `json:"width"`
	Channels int `json:"channels"`
}

func (s Size) values() int { return s.Height * s.Width * s.Channels }

// Network describes an encoder network: an input size and a list of layers.
type Network struct {
	Input  Size    `json:"input"`
	Layers []Layer `json:"layers"`
}

// Limits of a network, so that a broken or hostile model file cannot ask for all memory.
const (
	MaxSide       = 1024    // pixels
	MaxChannels   = 4096    // of an input or a layer
	MaxLayers     = 256     //
	MaxParameters = 1 << 28 // float32 weights of one network
	MaxDimension  = 4096    // of the embedding
)

// Default returns the image network of akin: convolutions with pooling, 16, 32 and then 64 filters wide, until a side is below 6
// pixels, then a linear layer to dimension.
func Default(input Size, dimension int) Network {
	n := Network{Input: input}
	for h, w, filters := input.Height, input.Width, 16; ; h, w, filters = h/2, w/2, min(2*filters, 64) {
		pool := min(h, w) >= 6
		if !pool && len(n.Layers) > 0 {
			break
		}
		n.Layers = append(n.Layers, Layer{Kind: KindConv, Filters: filters, Kernel: 3, ReLU: true, Pool: pool})
		if !pool {
			break
		}
	}
	n.Layers = append(n.Layers, Layer{Kind: KindLinear, Units: dimension}, Layer{Kind: KindNormalize})
	return n
}

// step is a layer bound to a shape: exactly one of the three kernels' shapes is set.
type step struct {
	conv      *kernel.ConvShape
	linear    *kernel.LinearShape
	normalize *kernel.NormalizeShape
	weights   int // index of w in the parameters, b follows; -1 without
	out       int // values of one item's output, border included
}

// parameter is the shape of one weight matrix.
type parameter struct {
	name       string
	rows, cols int
	fanIn      int // 0: a bias
}

// plan is a Network bound to a batch size.
type plan struct {
	batch      int
	pad        int // border of the input images
	input      int // values of one input with border
	steps      []step
	parameters []parameter
	dimension  int
}

// Validate reports the first layer that cannot be built, naming the value and the limit.
func (n Network) Validate() error {
	_, err := n.plan(1)
	return err
}

// Dimension returns the length of the embedding.
func (n Network) Dimension() (int, error) {
	p, err := n.plan(1)
	if err != nil {
		return 0, err
	}
	return p.dimension, nil
}

// Parameters returns the number of weights.
func (n Network) Parameters() (int, error) {
	p, err := n.plan(1)
	if err != nil {
		return 0, err
	}
	return p.total(), nil
}

func (p *plan) total() (sum int) {
	for _, q := range p.parameters {
		sum += q.rows * q.cols
	}
	return sum
}

func (n Network) plan(batch int) (*plan, error) {
	if n.Input.Height < 1 || n.Input.Height > MaxSide || n.Input.Width < 1 || n.Input.Width > MaxSide || n.Input.Channels < 1 || n.Input.Channels > MaxChannels {
		return nil, fmt.Errorf("%w: input %d×%d×%d: height and width must be 1 to %d, channels 1 to %d", ErrSpec, n.Input.Height, n.Input.Width, n.Input.Channels, MaxSide, MaxChannels)
	}
	if len(n.Layers) == 0 || len(n.Layers) > MaxLayers {
		return nil, fmt.Errorf("%w: %d layers: it must be 1 to %d", ErrSpec, len(n.Layers), MaxLayers)
	}
	p := &plan{batch: batch}
	at, flat := n.Input, false // the shape so far; flat after the first linear layer
	for i, l := range n.Layers {
		bad := func(format string, args ...any) error {
			return fmt.Errorf("%w: layer %d (%s): %s", ErrSpec, i, l.Kind, fmt.Sprintf(format, args...))
		}
		width := l.Filters + l.Units
		if l.Kind != KindNormalize && (width < 1 || width > MaxChannels) {
			return nil, bad("%d outputs: it must be 1 to %d", width, MaxChannels)
		}
		learns := l.Kind != KindNormalize
		weights := -1
		if learns {
			weights = len(p.parameters)
		}
		grad := weights > 0 // the first layer's input gradient is never needed
		switch l.Kind {
		case KindConv:
			s := kernel.ConvShape{Batch: batch, Height: at.Height, Width: at.Width, Channels: at.Channels, Filters: l.Filters,
				Kernel: l.Kernel, InPad: l.Kernel / 2, Stride: max(l.Stride, 1), ReLU: l.ReLU, Pool: l.Pool, InputGrad: grad}
			if flat || l.Units != 0 || l.Stride < 0 || l.Kernel > MaxSide {
				return nil, bad("a convolution needs an image before it, no units, a stride of at least 0 and a kernel of at most %d", MaxSide)
			}
			if err := s.Validate(); err != nil {
				return nil, bad("%v", err)
			}
			if i+1 < len(n.Layers) && n.Layers[i+1].Kind == KindConv {
				s.OutPad = n.Layers[i+1].Kernel / 2
			}
			if s.OutPad > MaxSide/2 {
				return nil, bad("the next kernel is larger than %d", MaxSide)
			}
			if i == 0 {
				p.pad = s.Pad()
			}
			at.Height, at.Width = s.Out()
			at.Channels = l.Filters
			_, w, b, out := s.Sizes()
			p.steps = append(p.steps, step{conv: &s, weights: weights, out: out / batch})
			p.parameters = append(p.parameters, parameter{fmt.Sprintf("%d.w", i), w / l.Filters, l.Filters, w / l.Filters}, parameter{fmt.Sprintf("%d.b", i), 1, b, 0})
		case KindLinear:
			if l.Filters != 0 || l.Kernel != 0 || l.Stride != 0 || l.Pool {
				return nil, bad("a linear layer has units and relu only")
			}
			s := kernel.LinearShape{Batch: batch, In: at.values(), Out: l.Units, ReLU: l.ReLU, InputGrad: grad}
			at, flat = Size{1, 1, l.Units}, true
			p.steps = append(p.steps, step{linear: &s, weights: weights, out: l.Units})
			p.parameters = append(p.parameters, parameter{fmt.Sprintf("%d.w", i), s.In, s.Out, s.In}, parameter{fmt.Sprintf("%d.b", i), 1, s.Out, 0})
		case KindNormalize:
			if l != (Layer{Kind: KindNormalize}) {
				return nil, bad("normalisation has no options")
			}
			flat = true
			at = Size{1, 1, at.values()}
			p.steps = append(p.steps, step{normalize: &kernel.NormalizeShape{Batch: batch, Cols: at.values()}, weights: -1, out: at.values()})
		default:
			return nil, bad("unknown kind %q: use %s, %s or %s", l.Kind, KindConv, KindLinear, KindNormalize)
		}
		if p.total() > MaxParameters {
			return nil, bad("the network has more than %d parameters", MaxParameters)
		}
	}
	if n.Layers[len(n.Layers)-1].Kind != KindNormalize {
		return nil, fmt.Errorf("%w: the last layer must be %q: embeddings have unit length", ErrSpec, KindNormalize)
	}
	if len(p.parameters) == 0 {
		return nil, fmt.Errorf("%w: no layer has weights", ErrSpec)
	}
	p.dimension = at.values()
	if p.dimension > MaxDimension {
		return nil, fmt.Errorf("%w: the embedding has %d dimensions: at most %d", ErrSpec, p.dimension, MaxDimension)
	}
	p.input = (n.Input.Height + 2*p.pad) * (n.Input.Width + 2*p.pad) * n.Input.Channels
	return p, nil
}

// Initialize draws the weights: normal with variance 2/fan-in (He et al. 2015, eq. 10), biases zero.
func (n Network) Initialize(rng *rand.Rand) ([][]float32, error) {
	p, err := n.plan(1)
	if err != nil {
		return nil, err
	}
	weights := make([][]float32, len(p.parameters))
	for i, q := range p.parameters {
		weights[i] = make([]float32, q.rows*q.cols)
		if q.fanIn == 0 {
			continue
		}
		s := math.Sqrt(2 / float64(q.fanIn))
		for j := range weights[i] {
			weights[i][j] = float32(rng.NormFloat64() * s)
		}
	}
	return weights, nil
}

// checkWeights reports weights that do not fit the network.
func (p *plan) checkWeights(weights [][]float32) error {
	if len(weights) != len(p.parameters) {
		return fmt.Errorf("%w: %d weight matrices for a network of %d", ErrSpec, len(weights), len(p.parameters))
	}
	for i, q := range p.parameters {
		if len(weights[i]) != q.rows*q.cols {
			return fmt.Errorf("%w: parameter %s has %d weights, the network needs %d×%d", ErrSpec, q.name, len(weights[i]), q.rows, q.cols)
		}
	}
	return nil
}

// place copies one item's features into its bordered image.
func (p *plan) place(dst []float32, in Size, features []float32) {
	row := in.Width * in.Channels
	wide := (in.Width + 2*p.pad) * in.Channels
	for y := range in.Height {
		copy(dst[(y+p.pad)*wide+p.pad*in.Channels:], features[y*row:(y+1)*row])
	}
}

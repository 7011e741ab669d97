package encoder

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/akin-search/akin/encoder/kernel"
)

// ErrSpec is wrapped by every error about a network or preprocessing that cannot be built.
var ErrSpec = errors.New("invalid model spec")

// Kinds of layers.
const (
	KindConv       = "conv"
	KindResidual   = "residual"
	KindBands      = "bands"      // makes channels of the rows: Height × Width × C to 1 × Width × Height·C
	KindCells      = "cells"      // fixed features of squares of pixels, a layer that comes first
	KindGlobalPool = "globalpool" // mean of each channel
	KindStatistics = "statistics" // mean and deviation of each channel
	KindBag        = "bag"        // sums rows of a table: entries of a text to a vector
	KindLinear     = "linear"
	KindNormalize  = "normalize"
)

// Layer is one fused layer, as data. Which fields count depends on Kind; the others must be zero.
type Layer struct {
	Kind    string `json:"kind"`
	Filters int    `json:"filters,omitempty"` // conv, residual: output channels
	Kernel  int    `json:"kernel,omitempty"`  // conv: side of the filter, odd; cells: side of a square
	Line    bool   `json:"line,omitempty"`    // conv: the filter is one row high, along the width
	Stride  int    `json:"stride,omitempty"`  // conv, residual: 0 means 1
	Norm    bool   `json:"norm,omitempty"`    // conv: batch normalisation in place of the bias
	Pool    bool   `json:"pool,omitempty"`    // conv: 2×2 max pooling after ReLU
	Rows    int    `json:"rows,omitempty"`    // bag: of the table
	Units   int    `json:"units,omitempty"`   // bag, linear: outputs
	Keep    int    `json:"keep,omitempty"`    // linear: so many of the first inputs come before the outputs, as they are
	Fixed   bool   `json:"fixed,omitempty"`   // linear: it is not trained, nor is what comes before it
	ReLU    bool   `json:"relu,omitempty"`    // conv, linear
	Whole   bool   `json:"whole,omitempty"`   // statistics: those of all of an item that is embedded by parts, as a long sound is, and not of each part
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
	MaxSide        = 1024    // pixels
	MaxChannels    = 4096    // of an input or a layer
	MaxLayers      = 256     //
	MaxParameters  = 1 << 28 // float32 weights of one network
	MaxDimension   = 4096    // of the embedding
	MaxActivations = 1 << 25 // float32 of all layers for one item
)

// largestPlain is the longer side in pixels up to which Default looks at every pixel with the filters of its stages.
const largestPlain = 64

// Default returns the image network of akin: normalised 3×3 convolutions in stages that end in 2×2 pooling, 16, 32 and then 64 filters
// wide, one in the first stage and two in each later one, until a side is below 6 pixels; then a linear layer to dimension. Before
// them, an image with a side above 64 pixels is halved by a normalised 5×5 convolution as wide as the first stage: it costs a third of
// the time at 96 and at 224 pixels.
func Default(input Size, dimension int) Network { return staged(input, dimension, 16) }

// Wide returns the network of Default with twice as many filters in every layer: it takes about three and a half times as long, and learns more from
// photographs.
func Wide(input Size, dimension int) Network { return staged(input, dimension, 32) }

// Light returns a network for training that shows every picture many times, in other shapes: a normalised 5×5 convolution with stride 2, 16 filters wide,
// then stages of one normalised 3×3 convolution that ends in 2×2 pooling, 32 and then 64 filters wide, until a side is below 6; then a linear
// layer to dimension. It takes a third of the time of Default.
func Light(input Size, dimension int) Network {
	n := Network{Input: input, Layers: []Layer{{Kind: KindConv, Filters: 16, Kernel: 5, Stride: 2, Norm: true, ReLU: true}}}
	for h, w, filters := (input.Height+1)/2, (input.Width+1)/2, 32; min(h, w) >= 6; h, w, filters = h/2, w/2, 64 {
		n.Layers = append(n.Layers, Layer{Kind: KindConv, Filters: filters, Kernel: 3, Norm: true, ReLU: true, Pool: true})
	}
	n.Layers = append(n.Layers, Layer{Kind: KindLinear, Units: dimension}, Layer{Kind: KindNormalize})
	return n
}

// ForSounds returns the network for sounds: stages of normalised 3×3 convolutions that end in 2×2 pooling, 16, 32 and then 64 filters wide,
// one in the first stage and two in each later one, until a side is below 10; mean and deviation over time of what is left of each frequency,
// so that it does not matter when something is heard; then a linear layer to dimension.
func ForSounds(input Size, dimension int) Network {
	n := Network{Input: input}
	h, w, filters := input.Height, input.Width, 16
	for first := true; first || min(h, w) >= 10; h, w, filters, first = h/2, w/2, min(2*filters, 64), false {
		conv := Layer{Kind: KindConv, Filters: filters, Kernel: 3, Norm: true, ReLU: true}
		if !first {
			n.Layers = append(n.Layers, conv)
		}
		conv.Pool = min(h, w) >= 2
		n.Layers = append(n.Layers, conv)
	}
	n.Layers = append(n.Layers, Layer{Kind: KindBands}, Layer{Kind: KindStatistics}, Layer{Kind: KindLinear, Units: dimension}, Layer{Kind: KindNormalize})
	return n
}

// ForVoices returns the network for long sounds, of which it is heard how they sound and not what happens when, and for training that shows every
// sound many times, in other shapes, since it is a light one: the filters' powers are channels, four normalised convolutions of so many filters go
// along time, the first over 5 frames and the others over 3; then mean and deviation over all the time that the sound lasts, and a linear layer to
// dimension. It is a small x-vector network (Snyder et al. 2018, "X-vectors: robust DNN embeddings for speaker recognition").
func ForVoices(input Size, dimension, filters int) Network {
	n := Network{Input: input, Layers: []Layer{{Kind: KindBands}}}
	for _, kernel := range []int{5, 3, 3, 3} {
		n.Layers = append(n.Layers, Layer{Kind: KindConv, Filters: filters, Kernel: kernel, Line: true, Norm: true, ReLU: true})
	}
	n.Layers = append(n.Layers, Layer{Kind: KindStatistics, Whole: true}, Layer{Kind: KindLinear, Units: dimension}, Layer{Kind: KindNormalize})
	return n
}

// ForRows returns the network of rows of features: a fixed map to kept of their directions and a constant, which stay as they are up to the embedding, two
// layers of hidden units on all that comes before them, and learned components beside what is kept.
func ForRows(input Size, kept, hidden, learned int) Network {
	return Network{Input: input, Layers: []Layer{
		{Kind: KindLinear, Units: kept + 1, Fixed: true},
		{Kind: KindLinear, Keep: kept + 1, Units: hidden, ReLU: true},
		{Kind: KindLinear, Keep: kept + 1, Units: hidden, ReLU: true},
		{Kind: KindLinear, Keep: kept + 1, Units: learned},
		{Kind: KindNormalize},
	}}
}

// ForPatches returns the network for patches of surfaces: features of cells of 4×4 pixels, two normalised 3×3 convolutions of 64 filters, with 2×2 pooling
// between them, and a linear layer to dimension.
func ForPatches(dimension int) Network {
	return Network{Input: Size{PatchSide, PatchSide, PatchScales}, Layers: []Layer{
		{Kind: KindCells, Kernel: 4},
		{Kind: KindConv, Filters: 64, Kernel: 3, Norm: true, ReLU: true, Pool: true},
		{Kind: KindConv, Filters: 64, Kernel: 3, Norm: true, ReLU: true},
		{Kind: KindLinear, Units: dimension},
		{Kind: KindNormalize},
	}}
}

// whole returns the layer whose statistics are of the whole item, and how many columns to either side the layers before it look; -1 where
// there is none.
func (n Network) whole() (layer, reach int) {
	for i, l := range n.Layers {
		switch l.Kind {
		case KindConv:
			reach += l.Kernel / 2
		case KindResidual:
			reach += 2
		case KindStatistics:
			if l.Whole {
				return i, reach
			}
		}
	}
	return -1, 0
}

// ForTexts returns the network for texts: a table with a row for all that has one, whose rows are summed up.
func ForTexts(p Preprocessing, dimension int) Network {
	return Network{Input: p.Size, Layers: []Layer{{Kind: KindBag, Rows: p.Text.Rows, Units: dimension}, {Kind: KindNormalize}}}
}

// staged returns a network of stages whose first has the given number of filters, and the last ones four times as many.
func staged(input Size, dimension, narrowest int) Network {
	n := Network{Input: input}
	h, w, filters := input.Height, input.Width, narrowest
	if max(h, w) > largestPlain {
		n.Layers = append(n.Layers, Layer{Kind: KindConv, Filters: filters, Kernel: 5, Stride: 2, Norm: true, ReLU: true})
		h, w = (h+1)/2, (w+1)/2
	}
	conv := func(pool bool) {
		n.Layers = append(n.Layers, Layer{Kind: KindConv, Filters: filters, Kernel: 3, Norm: true, ReLU: true, Pool: pool})
	}
	if min(h, w) < 6 {
		conv(false)
	}
	for first := true; min(h, w) >= 6; h, w, filters, first = h/2, w/2, min(2*filters, 4*narrowest), false {
		if !first {
			conv(false)
		}
		conv(true)
	}
	n.Layers = append(n.Layers, Layer{Kind: KindLinear, Units: dimension}, Layer{Kind: KindNormalize})
	return n
}

// step is a layer bound to a shape.
type step struct {
	shape  kernel.Shape
	params int  // index of its first parameter
	out    Size // of its output
}

// plan is a Network bound to a batch size.
type plan struct {
	batch       int
	pad         int // border of the input images
	input       int // values of one input with border
	steps       []step
	parameters  []kernel.Parameter
	dimension   int
	activations int // values of all layers for one item
}

// Validate reports the first layer that cannot be built, naming the value and the limit.
func (n Network) Validate() error {
	_, err := n.plan(1)
	return err
}

func (p *plan) total() (sum int) {
	for _, q := range p.parameters {
		sum += q.Len()
	}
	return sum
}

// Freezable returns how many of the first layers can be frozen: at least one layer with weights stays to be trained.
func (n Network) Freezable() int {
	p, err := n.plan(1)
	if err != nil {
		return 0
	}
	for i := len(p.steps) - 1; i >= 0; i-- {
		if len(p.steps[i].shape.Parameters()) > 0 {
			return i
		}
	}
	return 0
}

// Dimension returns the length of the embeddings.
func (n Network) Dimension() (int, error) {
	p, err := n.plan(1)
	if err != nil {
		return 0, err
	}
	return p.dimension, nil
}

// ParameterLayers returns the layer that each parameter belongs to.
func (n Network) ParameterLayers() ([]int, error) {
	p, err := n.plan(1)
	if err != nil {
		return nil, err
	}
	var layers []int
	for i, s := range p.steps {
		for range s.shape.Parameters() {
			layers = append(layers, i)
		}
	}
	return layers, nil
}

// Summary is a layer as it came out in a network.
type Summary struct {
	Layer
	Output     Size // of one item; a vector is 1×1
	Parameters int  // weights, running statistics included
}

// Summary returns what each layer makes and how many weights it has.
func (n Network) Summary() ([]Summary, error) {
	p, err := n.plan(1)
	if err != nil {
		return nil, err
	}
	out := make([]Summary, len(p.steps))
	for i, s := range p.steps {
		out[i] = Summary{Layer: n.Layers[i], Output: s.out}
		for _, q := range s.shape.Parameters() {
			out[i].Parameters += q.Len()
		}
	}
	return out, nil
}

// Flops returns the floating-point operations of one item: forward, and forward with backward.
func (n Network) Flops() (forward, step int, err error) {
	p, err := n.plan(1)
	if err != nil {
		return 0, 0, err
	}
	for _, s := range p.steps {
		f := s.shape.Flops()
		forward, step = forward+f, step+2*f
		if s.shape.Differentiable() {
			step += f
		}
	}
	return forward, step, nil
}

func (n Network) plan(batch int) (*plan, error) { return n.planFor(batch, 0) }

// planFor binds the network to a batch size. The first folded layers are for inference only: their normalisation is folded into biases,
// and there is no gradient of them.
func (n Network) planFor(batch, folded int) (*plan, error) {
	if n.Input.Height < 1 || n.Input.Height > MaxSide || n.Input.Width < 1 || n.Input.Width > MaxSide || n.Input.Channels < 1 || n.Input.Channels > MaxChannels {
		return nil, fmt.Errorf("%w: input %d×%d×%d: height and width must be 1 to %d, channels 1 to %d", ErrSpec, n.Input.Height, n.Input.Width, n.Input.Channels, MaxSide, MaxChannels)
	}
	if len(n.Layers) == 0 || len(n.Layers) > MaxLayers {
		return nil, fmt.Errorf("%w: %d layers: it must be 1 to %d", ErrSpec, len(n.Layers), MaxLayers)
	}
	b := binder{plan: &plan{batch: batch, pad: n.Layers[0].border()}, at: n.Input, width: n.Input.Width}
	for i, l := range n.Layers {
		out := 0
		if i+1 < len(n.Layers) {
			out = n.Layers[i+1].border()
		}
		b.folded = i < folded
		s, err := b.bind(l, out)
		if err == nil {
			err = s.Validate()
		}
		if err != nil {
			return nil, fmt.Errorf("%w: layer %d (%s): %v", ErrSpec, i, l.Kind, err)
		}
		b.grad = b.grad || !b.folded && trains(s)
		b.steps = append(b.steps, step{shape: s, params: len(b.parameters), out: b.at})
		for _, q := range s.Parameters() {
			q.Name = fmt.Sprintf("%d.%s", i, q.Name)
			b.parameters = append(b.parameters, q)
		}
		if b.activations += s.Output(); b.activations > MaxActivations {
			return nil, fmt.Errorf("%w: layer %d (%s): the layers so far make %d values of one item: at most %d", ErrSpec, i, l.Kind, b.activations, MaxActivations)
		}
		if b.total() > MaxParameters {
			return nil, fmt.Errorf("%w: layer %d (%s): the network has more than %d parameters", ErrSpec, i, l.Kind, MaxParameters)
		}
	}
	if layer, reach := n.whole(); 2*reach >= n.Input.Width {
		return nil, fmt.Errorf("%w: layer %d (%s) of the whole: the layers before it look %d columns to either side, the input has %d", ErrSpec, layer, KindStatistics, reach, n.Input.Width)
	}
	if n.Layers[len(n.Layers)-1].Kind != KindNormalize {
		return nil, fmt.Errorf("%w: the last layer must be %q: embeddings have unit length", ErrSpec, KindNormalize)
	}
	if len(b.parameters) == 0 {
		return nil, fmt.Errorf("%w: no layer has weights", ErrSpec)
	}
	if b.dimension = b.at.values(); b.dimension > MaxDimension {
		return nil, fmt.Errorf("%w: the embedding has %d dimensions: at most %d", ErrSpec, b.dimension, MaxDimension)
	}
	b.input = (n.Input.Height + 2*b.pad) * (n.Input.Width + 2*b.pad) * n.Input.Channels
	return b.plan, nil
}

// trains reports whether a shape has a parameter that is trained.
func trains(s kernel.Shape) bool {
	return slices.ContainsFunc(s.Parameters(), func(p kernel.Parameter) bool { return p.Role.Trained() })
}

// border is what a layer wants around its input, in pixels.
func (l Layer) border() int {
	switch l.Kind {
	case KindConv:
		return max(0, min(l.Kernel, MaxSide)/2)
	case KindResidual:
		return 1
	}
	return 0
}

// binder binds layers to shapes, one after the other.
type binder struct {
	*plan
	at     Size // the shape so far
	width  int  // of the input
	flat   bool // no longer an image
	folded bool // the next layer is
	grad   bool // a layer before has weights that are trained: the next one needs its input's gradient
}

// bind returns the shape of the next layer, whose output wants a border of outPad pixels.
func (b *binder) bind(l Layer, outPad int) (kernel.Shape, error) {
	only := func(fields Layer, names string) error {
		fields.Kind = l.Kind
		if l != fields {
			return fmt.Errorf("it takes %s and nothing else", names)
		}
		return nil
	}
	width := l.Filters + l.Units + max(l.Keep, 0)
	switch l.Kind {
	case KindConv, KindResidual, KindBag, KindLinear:
		if width < 1 || width > MaxChannels || l.Stride < 0 {
			return nil, fmt.Errorf("%d outputs at stride %d: 1 to %d outputs, and a stride of at least 1", width, l.Stride, MaxChannels)
		}
	}
	if b.flat && l.Kind != KindLinear && l.Kind != KindNormalize {
		return nil, fmt.Errorf("it needs an image before it, and the layer before made a vector")
	}
	grad, in, stride := b.grad, b.at, max(l.Stride, 1)
	switch l.Kind {
	case KindConv:
		if err := only(Layer{Filters: l.Filters, Kernel: l.Kernel, Line: l.Line, Stride: l.Stride, Norm: l.Norm, Pool: l.Pool, ReLU: l.ReLU}, "filters, kernel, line, stride, norm, pool and relu"); err != nil {
			return nil, err
		}
		if l.Kernel > MaxSide {
			return nil, fmt.Errorf("kernel %d: at most %d", l.Kernel, MaxSide)
		}
		s := kernel.ConvShape{Batch: b.batch, Height: in.Height, Width: in.Width, Channels: in.Channels, Filters: l.Filters,
			Kernel: l.Kernel, Line: l.Line, InPad: l.border(), OutPad: outPad, Stride: stride, ReLU: l.ReLU, Pool: l.Pool, InputGrad: grad}
		b.at.Height, b.at.Width = s.Out()
		b.at.Channels = l.Filters
		if l.Norm && !b.folded {
			return kernel.NormConvShape{ConvShape: s}, nil
		}
		return s, nil
	case KindResidual:
		if err := only(Layer{Filters: l.Filters, Stride: l.Stride}, "filters and stride"); err != nil {
			return nil, err
		}
		s := kernel.ResidualShape{Batch: b.batch, Height: in.Height, Width: in.Width, Channels: in.Channels, Filters: l.Filters, Stride: stride,
			InPad: 1, OutPad: outPad, InputGrad: grad, Folded: b.folded}
		b.at.Height, b.at.Width = s.Out()
		b.at.Channels = l.Filters
		return s, nil
	case KindBands:
		if in.Height > MaxChannels/in.Channels {
			return nil, fmt.Errorf("%d rows of %d channels: at most %d channels in all", in.Height, in.Channels, MaxChannels)
		}
		b.at = Size{1, in.Width, in.Height * in.Channels}
		return kernel.BandsShape{Batch: b.batch, Height: in.Height, Width: in.Width, Channels: in.Channels, OutPad: outPad}, only(Layer{}, "no options")
	case KindCells:
		if len(b.steps) > 0 {
			return nil, fmt.Errorf("it describes pixels, not what a layer makes: put it first")
		}
		if in.Channels > MaxChannels/kernel.CellFeatures {
			return nil, fmt.Errorf("%d features of each of %d channels: at most %d channels in all", kernel.CellFeatures, in.Channels, MaxChannels)
		}
		s := kernel.CellsShape{Batch: b.batch, Height: in.Height, Width: in.Width, Channels: in.Channels, Side: l.Kernel, OutPad: outPad}
		if err := cmp.Or(only(Layer{Kernel: l.Kernel}, "kernel"), s.Validate()); err != nil {
			return nil, err
		}
		b.at.Height, b.at.Width = s.Out()
		b.at.Channels = kernel.CellFeatures * in.Channels
		return s, nil
	case KindStatistics:
		if l.Whole && (len(b.steps) == 0 || in.Width != b.width) {
			return nil, fmt.Errorf("whole: the layers before must leave a column for each of the input's %d, and there are %d: leave strides and pools out", b.width, in.Width)
		}
		b.at, b.flat = Size{1, 1, 2 * in.Channels}, true
		return kernel.StatisticsShape{Batch: b.batch, Height: in.Height, Width: in.Width, Channels: in.Channels}, only(Layer{Whole: l.Whole}, "whole")
	case KindGlobalPool:
		b.at, b.flat = Size{1, 1, in.Channels}, true
		return kernel.GlobalPoolShape{Batch: b.batch, Height: in.Height, Width: in.Width, Channels: in.Channels}, only(Layer{}, "no options")
	case KindBag:
		if len(b.steps) > 0 {
			return nil, fmt.Errorf("it takes entries, not what a layer makes: put it first")
		}
		b.at, b.flat = Size{1, 1, l.Units}, true
		return kernel.BagShape{Batch: b.batch, Entries: in.Height * in.Width, Fields: in.Channels, Rows: l.Rows, Out: l.Units}, only(Layer{Rows: l.Rows, Units: l.Units}, "rows and units")
	case KindLinear:
		b.at, b.flat = Size{1, 1, l.Keep + l.Units}, true
		if l.Fixed {
			if grad {
				return nil, fmt.Errorf("fixed behind layers that are trained: nothing before it can be")
			}
			return kernel.FixedShape{Batch: b.batch, In: in.values(), Out: l.Units}, only(Layer{Units: l.Units, Fixed: true}, "units and fixed")
		}
		s := kernel.LinearShape{Batch: b.batch, In: in.values(), Out: l.Units, ReLU: l.ReLU, InputGrad: grad}
		if l.Keep != 0 {
			return kernel.BesideShape{LinearShape: s, Keep: l.Keep}, only(Layer{Units: l.Units, Keep: l.Keep, ReLU: l.ReLU}, "units, keep and relu")
		}
		return s, only(Layer{Units: l.Units, ReLU: l.ReLU}, "units, keep, relu and fixed")
	case KindNormalize:
		b.at, b.flat = Size{1, 1, in.values()}, true
		return kernel.NormalizeShape{Batch: b.batch, Cols: in.values()}, only(Layer{}, "no options")
	}
	return nil, fmt.Errorf("unknown kind %q: use %s, %s, %s, %s, %s, %s, %s, %s or %s", l.Kind, KindConv, KindResidual, KindBands, KindCells, KindGlobalPool, KindStatistics, KindBag, KindLinear, KindNormalize)
}

// Initialize draws the weights: normal with variance 2/fan-in (He et al. 2015, eq. 10), fixed ones too, scales and variances one,
// rows of a table as kernel.BagRow makes them, the rest zero.
func (n Network) Initialize(rng *rand.Rand) ([][]float32, error) {
	p, err := n.plan(1)
	if err != nil {
		return nil, err
	}
	weights := make([][]float32, len(p.parameters))
	for i, q := range p.parameters {
		weights[i] = make([]float32, q.Len())
		if q.Role == kernel.RoleTable {
			for row := range q.Rows {
				kernel.BagRow(weights[i][row*q.Cols:][:q.Cols], row)
			}
			continue
		}
		for j := range weights[i] {
			switch q.Role {
			case kernel.RoleWeight, kernel.RoleFixed:
				weights[i][j] = float32(rng.NormFloat64() * math.Sqrt(2/float64(q.Rows)))
			case kernel.RoleScale, kernel.RoleVariance:
				weights[i][j] = 1
			}
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
		if len(weights[i]) != q.Len() {
			return fmt.Errorf("%w: parameter %s has %d weights, the network needs %d×%d", ErrSpec, q.Name, len(weights[i]), q.Rows, q.Cols)
		}
		if q.Role == kernel.RoleVariance {
			for _, v := range weights[i] {
				if v < 0 {
					return fmt.Errorf("%w: variance %g in %s: it must not be negative", ErrSpec, v, q.Name)
				}
			}
		}
	}
	return nil
}

// folded returns the weights as a plan with the first layers folded takes them.
func (p *plan) folded(weights [][]float32, layers int) (out [][]float32) {
	for i, s := range p.steps {
		w := weights[s.params : s.params+len(s.shape.Parameters())]
		if i >= layers {
			out = append(out, w...)
			continue
		}
		switch shape := s.shape.(type) {
		case kernel.NormConvShape:
			a, b := shape.Fold(w)
			out = append(out, a, b)
		case kernel.ResidualShape:
			out = append(out, shape.Fold(w)...)
		default:
			out = append(out, w...)
		}
	}
	return out
}

// place copies one item's features into its bordered image; 0 follows those that are fewer.
func (p *plan) place(dst []float32, in Size, features []float32) {
	row := in.Width * in.Channels
	wide := (in.Width + 2*p.pad) * in.Channels
	for y := range in.Height {
		to := dst[(y+p.pad)*wide+p.pad*in.Channels:][:row]
		clear(to[copy(to, features[min(y*row, len(features)):]):])
	}
}

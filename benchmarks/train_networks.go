package benchmarks

import (
	"fmt"
	"strings"

	"github.com/akin-search/akin/encoder"
)

// digit is the size of the images that networks are measured on: that of MNIST.
var digit = encoder.Size{Height: 28, Width: 28, Channels: 1}

// embedding is the dimension that all networks end in.
const embedding = 64

// DefaultNetwork is what Train and Encode measure where none is named.
const DefaultNetwork = "cnn"

var networks = []struct {
	name   string
	layers []encoder.Layer
}{
	{"mlp", []encoder.Layer{ // 784-256-128-64
		{Kind: encoder.KindLinear, Units: 256, ReLU: true},
		{Kind: encoder.KindLinear, Units: 128, ReLU: true},
		{Kind: encoder.KindLinear, Units: embedding},
		{Kind: encoder.KindNormalize}}},
	{"cnn", []encoder.Layer{ // LeNet-like
		{Kind: encoder.KindConv, Filters: 16, Kernel: 3, ReLU: true, Pool: true},
		{Kind: encoder.KindConv, Filters: 32, Kernel: 3, ReLU: true, Pool: true},
		{Kind: encoder.KindLinear, Units: 128, ReLU: true},
		{Kind: encoder.KindLinear, Units: embedding},
		{Kind: encoder.KindNormalize}}},
	{"default", encoder.Default(digit, embedding).Layers},
	{"resnet", []encoder.Layer{ // ResNet-8-like: He et al. 2016, three blocks
		{Kind: encoder.KindConv, Filters: 32, Kernel: 3, Norm: true, ReLU: true},
		{Kind: encoder.KindResidual, Filters: 32, Stride: 1},
		{Kind: encoder.KindResidual, Filters: 64, Stride: 2},
		{Kind: encoder.KindResidual, Filters: 128, Stride: 2},
		{Kind: encoder.KindGlobalPool},
		{Kind: encoder.KindLinear, Units: embedding},
		{Kind: encoder.KindNormalize}}},
}

// NetworkNames lists what NetworkOf takes.
func NetworkNames() []string {
	names := make([]string, len(networks))
	for i, n := range networks {
		names[i] = n.name
	}
	return names
}

// NetworkOf returns the network of the given name, for 28×28×1 images and embeddings of 64 dimensions.
func NetworkOf(name string) (encoder.Network, error) {
	for _, n := range networks {
		if n.name == name {
			return encoder.Network{Input: digit, Layers: n.layers}, nil
		}
	}
	return encoder.Network{}, fmt.Errorf("network %q: use one of %s", name, strings.Join(NetworkNames(), ", "))
}

package kernel

import (
	"fmt"
	"os"
	"strings"
)

// tier is one level of CPU kernels. Every tier computes the same functions; sums are ordered differently, so results of two
// tiers differ in the last bits.
type tier struct {
	name   string
	lanes  int // element-wise loops work on a multiple of lanes; the references do the rest
	wide   int // widest tile, in columns
	choose func(cols int) *tileShape

	reluGrad    func(dz, y, dy *float32, n int)
	addTo       func(dst, src *float32, n int)
	addScaled   func(dst, src, scale *float32, n int)
	maxPool     func(out *float32, idx *int32, p00, p01, p10, p11 *float32, skip, pixels, n int)
	maxPoolGrad func(dy *float32, idx *int32, p00, p01, p10, p11 *float32, skip, pixels, n int)
	adam        func(w, grad, m, v, k *float32, n int)

	channelSums       func(sum, square, z, shift *float32, stride, n int)
	channelAffine     func(y, z, a, b, floor *float32, stride, n int)
	channelAffineSkip func(y, z, a, b, floor, skip, scale *float32, stride, n int)
	channelGradSums   func(sum, product, dv, z *float32, stride, n int)
	channelGrad       func(dz, dv, z, k *float32, stride, n int)

	channelGradSumsReLU func(sum, product, dv, z, y *float32, stride, n int)
	channelGradSumsNorm func(sum, product, dv, z, a, b *float32, stride, n int)
	channelGradNorm     func(dz, dv, z, k, a, b *float32, stride, n int)

	cellRows func(out, rows *float32, stride, next, side, n int)
}

var genericShape = &tileShape{kernels: []func(*tile){nil, tileReference(1), tileReference(2), tileReference(3), tileReference(4)}}

var generic = &tier{
	name: "generic", lanes: 0, wide: 16,
	choose: func(int) *tileShape { return genericShape },
}

// EnvCPU names the environment variable that lowers the CPU tier: amx or avx512bf16, which are avx512 and differ in bf16 only; avx512, avx2
// or generic.
const EnvCPU = "AKIN_CPU"

// best is the tier of this process, chosen when it starts: with "go test", add -count=1, for a cached result is of another tier.
var best, bestErr = pick(supported(), os.Getenv(EnvCPU))

// pick returns the tier named want, or the first of have when want is empty.
func pick(have []*tier, want string) (*tier, error) {
	if want == "" {
		return have[0], nil
	}
	for _, b := range supportedBF16() {
		if b.name == want {
			return have[0], nil
		}
	}
	names := make([]string, len(have))
	for i, t := range have {
		if t.name == want {
			return t, nil
		}
		names[i] = t.name
	}
	return have[0], fmt.Errorf("kernel: %s=%q is not a CPU tier of this machine: use one of %s, or unset it", EnvCPU, want, strings.Join(names, ", "))
}

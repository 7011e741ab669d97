//go:build amd64 && !noasm

package kernel

import "golang.org/x/sys/cpu"

//go:generate go run gen.go gen_bf16.go

var (
	shape512x1     = &tileShape{kernels: tiles512x1}
	shape512edgex1 = &tileShape{kernels: tiles512edgex1}
	shape512x2     = &tileShape{kernels: tiles512x2}
	shape512edgex2 = &tileShape{kernels: tiles512edgex2}
	shape256x2     = &tileShape{kernels: tiles256x2}
	shape256edgex2 = &tileShape{kernels: tiles256edgex2}
)

var avx512 = &tier{
	name: "avx512", lanes: 16, wide: 32,
	choose: func(cols int) *tileShape {
		switch {
		case cols < 16:
			return shape512edgex1
		case cols == 16:
			return shape512x1
		case cols < 32:
			return shape512edgex2
		}
		return shape512x2
	},
	reluGrad: reluGrad512, addTo: addTo512, addScaled: addScaled512, maxPool: maxPool512, maxPoolGrad: maxPoolGrad512, adam: adam512,
	channelSums: channelSums512, channelAffine: channelAffine512, channelAffineSkip: channelAffineSkip512, channelGradSums: channelGradSums512, channelGrad: channelGrad512,
	channelGradSumsReLU: channelGradSumsReLU512, channelGradSumsNorm: channelGradSumsNorm512, channelGradNorm: channelGradNorm512, cellRows: cellRows512,
}

var avx2 = &tier{
	name: "avx2", lanes: 8, wide: 16,
	choose: func(cols int) *tileShape {
		if cols == 16 {
			return shape256x2
		}
		return shape256edgex2
	},
	reluGrad: reluGrad256, addTo: addTo256, addScaled: addScaled256, maxPool: maxPool256, maxPoolGrad: maxPoolGrad256, adam: adam256,
	channelSums: channelSums256, channelAffine: channelAffine256, channelAffineSkip: channelAffineSkip256, channelGradSums: channelGradSums256, channelGrad: channelGrad256,
	channelGradSumsReLU: channelGradSumsReLU256, channelGradSumsNorm: channelGradSumsNorm256, channelGradNorm: channelGradNorm256, cellRows: cellRows256,
}

// supported lists the tiers of this machine, fastest first.
func supported() []*tier {
	var t []*tier
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VL {
		t = append(t, avx512)
	}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		t = append(t, avx2)
	}
	return append(t, generic)
}

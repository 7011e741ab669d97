package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// BenchmarkGemm reports GFLOP/s of square products and of the shapes of a batch of 128 through 784-256-128-64.
func BenchmarkGemm(b *testing.B) {
	for _, tr := range supported() {
		for _, s := range [][3]int{{512, 512, 512}, {128, 256, 784}, {784, 256, 128}, {128, 128, 256}, {128, 64, 128}} {
			m, n, k := s[0], s[1], s[2]
			for _, transB := range []bool{false, true} {
				b.Run(fmt.Sprintf("%s/%dx%dx%d/transB=%v", tr.name, m, n, k, transB), func(b *testing.B) {
					rng := rand.New(rand.NewPCG(1, 1))
					x, y, z := random(rng, m*k), random(rng, k*n), make([]float32, m*n)
					ldb := n
					if transB {
						ldb = k
					}
					for b.Loop() {
						gemm(tr, false, transB, m, n, k, x, k, y, ldb, z, n, false)
					}
					b.ReportMetric(2*float64(m*n*k)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
				})
			}
		}
	}
}

// BenchmarkConv reports GFLOP/s of the layers of a small network, padding taps not counted as useful.
func BenchmarkConv(b *testing.B) {
	for _, s := range []ConvShape{
		{Batch: 128, Height: 28, Width: 28, Channels: 1, Filters: 16, Kernel: 3, InPad: 1, Stride: 1, ReLU: true, Pool: true},
		{Batch: 128, Height: 14, Width: 14, Channels: 16, Filters: 32, Kernel: 3, InPad: 1, Stride: 1, ReLU: true, Pool: true, InputGrad: true},
		{Batch: 128, Height: 7, Width: 7, Channels: 32, Filters: 64, Kernel: 3, InPad: 1, Stride: 1, ReLU: true, Pool: true, InputGrad: true},
	} {
		dev, err := newCPU(1, best)
		if err != nil {
			b.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(1, 1))
		x, params, y := bufferOf(random(rng, s.Batch*s.input())), randomParams(rng, s), dev.Alloc(s.Batch*s.Output())
		dy, dx, grads := bufferOf(random(rng, y.Len())), dev.Alloc(x.Len()), gradsOf(dev, s)
		conv := newLayer(b, dev, s)
		flop := float64(s.Batch * s.Flops())
		name := fmt.Sprintf("%dx%dx%dto%d", s.Height, s.Width, s.Channels, s.Filters)
		b.Run(name+"/forward", func(b *testing.B) {
			for b.Loop() {
				conv.Forward(s.Batch, x, params, y)
			}
			b.ReportMetric(flop*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
		passes := 1.0
		if s.InputGrad {
			passes = 2
		}
		b.Run(name+"/backward", func(b *testing.B) {
			for b.Loop() {
				conv.Backward(s.Batch, x, params, y, dy, dx, grads)
			}
			b.ReportMetric(passes*flop*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}

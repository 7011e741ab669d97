package distance

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"
)

func TestHadamard(t *testing.T) {
	r := rand.New(rand.NewPCG(41, 41))
	for block := 1; block <= 256; block *= 2 {
		x := padded(3*block, block%7)
		fill(r, x)
		y := append([]float32(nil), x...)
		Hadamard(y, block)
		for i, got := range y {
			want, scale := 0.0, 0.0
			for j, v := range x[i/block*block:][:block] {
				if bits.OnesCount(uint(i%block&j))&1 == 1 {
					v = -v
				}
				want, scale = want+float64(v), scale+math.Abs(float64(v))
			}
			if !near(got, want, scale, block) {
				t.Fatalf("blocks of %d: value %d is %v, want %v", block, i, got, want)
			}
		}
	}
	for _, tr := range supported() {
		for n := 1; n < 20; n++ {
			x := padded(n*hadamardBlock, n%5)
			fill(r, x)
			x[0], x[1] = 0, float32(math.Copysign(0, -1))
			want := append([]float32(nil), x...)
			hadamardBlocks(want)
			tr.hadamard(x)
			for i := range x {
				if math.Float32bits(x[i]) != math.Float32bits(want[i]) {
					t.Fatalf("%v: value %d of %d blocks is %v, want %v to the bit", tr, i, n, x[i], want[i])
				}
			}
		}
	}
	for _, c := range [][2]int{{64, 0}, {64, 48}, {65, 64}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%d values in blocks of %d were taken", c[0], c[1])
				}
			}()
			Hadamard(make([]float32, c[0]), c[1])
		}()
	}
}

func BenchmarkHadamard(b *testing.B) {
	for _, tr := range supported() {
		b.Run(fmt.Sprintf("%v/768", tr), func(b *testing.B) {
			x := make([]float32, 768)
			for range b.N {
				tr.hadamard(x)
			}
		})
	}
}

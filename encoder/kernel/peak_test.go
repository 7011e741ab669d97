package kernel

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestPeakBounds: the peak is above what a matrix product reaches on the same tier, whose arithmetic is the same, and not out of
// this world.
func TestPeakBounds(t *testing.T) {
	const n = 192
	rng := rand.New(rand.NewPCG(1, 1))
	x, y, z := random(rng, n*n), random(rng, n*n), make([]float32, n*n)
	for _, tr := range supported() {
		peak := peakFlops(tr)
		shortest := time.Hour
		for range 30 {
			start := time.Now()
			gemm(tr, false, false, n, n, n, x, n, y, n, z, n, false)
			shortest = min(shortest, time.Since(start))
		}
		reached := 2 * n * n * n / shortest.Seconds()
		t.Logf("%s: peak %.1f GFLOP/s, product of %d³ %.1f", tr.name, peak/1e9, n, reached/1e9)
		if reached > 1.1*peak || peak > 1e12 {
			t.Errorf("%s: a product reaches %.3g FLOP/s, the peak is %.3g", tr.name, reached, peak)
		}
	}
}

// TestPeakReference: the loop really does n steps in each chain.
func TestPeakReference(t *testing.T) {
	var sum float32
	if peakReference(5, 2, 1, &sum); sum != 31*peakChains {
		t.Errorf("the chains add up to %g", sum)
	}
	if flops, err := PeakFlops(); err != nil || flops < 1e8 {
		t.Errorf("PeakFlops is %g, %v", flops, err)
	}
}

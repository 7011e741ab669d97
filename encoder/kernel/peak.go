package kernel

import (
	"math"
	"time"
)

const (
	peakChains = 12                    // multiply-adds in flight: more than latency × units of any core, few enough for the registers
	peakBurst  = time.Millisecond / 2  // short, so that most bursts are not interrupted
	peakTime   = 50 * time.Millisecond // of all bursts together
)

// PeakFlops measures the floating-point operations a second that one core can reach with the tier in use: multiply-adds on
// registers that do not wait for each other, nothing else. It is the best of many bursts, so other work on the machine
// hardly lowers it. It takes about 50 ms, and fails where NewCPU would.
func PeakFlops() (float64, error) {
	if bestErr != nil {
		return 0, bestErr
	}
	return peakFlops(best), nil
}

func peakFlops(t *tier) float64 {
	loop := peakLoop(t)
	timed := func(n int) time.Duration {
		start := time.Now()
		loop(n)
		return time.Since(start)
	}
	n := 1 << 8
	for timed(n) < peakBurst {
		n *= 2
	}
	shortest := time.Duration(math.MaxInt64)
	for start := time.Now(); time.Since(start) < peakTime; {
		shortest = min(shortest, timed(n))
	}
	return 2 * peakChains * float64(max(t.lanes, 1)) * float64(n) / shortest.Seconds()
}

// peakGeneric is the loop of the generic tier.
func peakGeneric(n int) {
	var sum float32
	peakReference(n, 0.5, 1, &sum)
}

// peakReference is one lane, as the compiler makes it: n times each of peakChains is multiplied by x and y is added. It returns their
// sum in sum, so that none of them is left out.
//
//go:noinline
func peakReference(n int, x, y float32, sum *float32) {
	var a, b, c, d, e, f, g, h, i, j, k, l float32
	for range n {
		a = a*x + y
		b = b*x + y
		c = c*x + y
		d = d*x + y
		e = e*x + y
		f = f*x + y
		g = g*x + y
		h = h*x + y
		i = i*x + y
		j = j*x + y
		k = k*x + y
		l = l*x + y
	}
	*sum = a + b + c + d + e + f + g + h + i + j + k + l
}

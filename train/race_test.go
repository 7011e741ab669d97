//go:build race

package train

// Under the race detector sync.Pool drops items at random, so that kernel.Gemm allocates.
const raceDetector = true

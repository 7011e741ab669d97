//go:build amd64 && !noasm

package kernel

// peakLoop returns a function that does n times peakChains independent multiply-adds on the tier's widest registers.
func peakLoop(t *tier) func(n int) {
	switch t {
	case avx512:
		return peak512
	case avx2:
		return peak256
	}
	return peakGeneric
}

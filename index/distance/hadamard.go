package distance

import "fmt"

// hadamardBlock is the block that has a kernel.
const hadamardBlock = 64

// Hadamard replaces each block of x, a power of two of values, by its Walsh–Hadamard transform, not scaled:
//
//	y[i] = Σ (−1)^popcount(i&j) · x[j]
//
// The sums are ordered alike on every tier: the same bits.
func Hadamard(x []float32, block int) {
	if block < 1 || block&(block-1) != 0 || len(x)%block != 0 {
		panic(fmt.Sprintf("distance: %d values in blocks of %d", len(x), block))
	}
	if block == hadamardBlock && len(x) > 0 {
		active.hadamard(x)
		return
	}
	for ; len(x) > 0; x = x[block:] {
		hadamardGeneric(x[:block])
	}
}

// hadamardBlocks is the kernel's reference.
func hadamardBlocks(x []float32) {
	for ; len(x) > 0; x = x[hadamardBlock:] {
		hadamardGeneric(x[:hadamardBlock])
	}
}

// hadamardGeneric transforms one block.
func hadamardGeneric(x []float32) {
	n := len(x)
	h := 1
	if n >= 4 { // two steps at once
		for i := 0; i+4 <= n; i += 4 {
			y := x[i : i+4 : i+4]
			a, b, c, d := y[0]+y[1], y[0]-y[1], y[2]+y[3], y[2]-y[3]
			y[0], y[1], y[2], y[3] = a+c, b+d, a-c, b-d
		}
		h = 4
	}
	for ; h < n; h *= 2 {
		for i := 0; i < n; i += 2 * h {
			low := x[i : i+h]
			high := x[i+h : i+2*h][:len(low)]
			for j, a := range low {
				b := high[j]
				low[j], high[j] = a+b, a-b
			}
		}
	}
}

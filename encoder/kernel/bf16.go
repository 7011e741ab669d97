package kernel

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"unsafe"
)

// Mixed precision (Micikevicius et al. 2018, section 3, with bfloat16): the factors of a product are rounded to bf16, the upper half of
// a float32, and their products summed up in float32. Weights, activations, statistics and gradients stay float32 in memory.
//
// Everything goes by pairs: a dword holds two neighbours of the sum over k, the first in its lower half. So one layout serves the
// dot-product instructions of AVX-512 and the tiles of AMX: A is read in place, a pair every 4 bytes, and B lies in panels of 16 or 32
// columns, a row of dwords a pair. The number of pairs is a multiple of pairStep; zeros fill it up.

// ErrNoBF16 is wrapped by errors that say that this processor has no products of bf16.
var ErrNoBF16 = errors.New("no products of bf16 on this processor")

// Precision says in what a device multiplies.
type Precision int

// Precisions.
const (
	Float32 Precision = iota
	BF16              // convolutions of bf16Channels · n channels and filters multiply in bf16; everything else is float32
)

var precisionNames = []string{"float32", "bf16"}

func (p Precision) String() string {
	if p < 0 || int(p) >= len(precisionNames) {
		return fmt.Sprintf("Precision(%d)", int(p))
	}
	return precisionNames[p]
}

// MarshalText writes the name.
func (p Precision) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a name.
func (p *Precision) UnmarshalText(name []byte) error {
	i := slices.Index(precisionNames, string(name))
	if i < 0 {
		return fmt.Errorf("kernel: precision %q: use %s", name, strings.Join(precisionNames, " or "))
	}
	*p = Precision(i)
	return nil
}

// Supported says why a device of this precision cannot be had, or returns nil.
func (p Precision) Supported() error {
	switch p {
	case Float32:
		return bestErr
	case BF16:
		_, err := bestBF16()
		return errors.Join(bestErr, err)
	}
	return fmt.Errorf("kernel: precision %d: use %s", p, strings.Join(precisionNames, " or "))
}

const (
	bf16Channels = 16 // columns of a panel's half, and rows of a tile: other numbers of channels stay float32
	bf16Panel    = 32 // columns of a whole panel
	pairStep     = 16 // pairs that AMX takes at a time
)

// bf16Tier is one level of bf16 kernels.
type bf16Tier struct {
	name string
	// run computes n blocks of rows × cols, astep and cstep bytes apart in A and C: the tile's contract with pairs for k, cols 16 or 32
	// and no flag but tileAdd.
	run func(t *tile, rows, cols, n, astep, cstep int)

	round     func(dst *uint16, src *float32, n int)                 // n a multiple of 16
	pairs     func(dst *uint32, lo, hi *float32, from, to, n int)    // see pairRows
	transpose func(dst *uint16, src *float32, dstRow, srcRow, n int) // see transposeRows; n at most 32
	permit    func() error                                           // asks the system; nil where it need not be asked
}

// bf16Reference is the oracle of the others; no device uses it outside tests.
var bf16Reference = &bf16Tier{name: "reference", run: runReference}

// bestBF16 is the first tier that the system permits, or the one that AKIN_CPU names: avx512bf16 and amx both stand for avx512 with them,
// the names of float32 tiers leave bf16 out.
var bestBF16 = sync.OnceValues(func() (*bf16Tier, error) { return pickBF16(supportedBF16(), os.Getenv(EnvCPU)) })

func pickBF16(have []*bf16Tier, want string) (*bf16Tier, error) {
	if len(have) == 0 {
		return nil, fmt.Errorf("kernel: %w: it needs AVX512_BF16 and assembly: use precision %s", ErrNoBF16, Float32)
	}
	var refused error
	for _, b := range have {
		if want != "" && b.name != want {
			continue
		}
		if b.permit == nil {
			return b, nil
		}
		err := b.permit()
		if err == nil {
			return b, nil
		}
		refused = errors.Join(refused, err)
	}
	if refused != nil {
		return nil, fmt.Errorf("kernel: %w: %w: use precision %s or another tier in %s", ErrNoBF16, refused, Float32, EnvCPU)
	}
	return nil, fmt.Errorf("kernel: %w as %s=%s leaves them out: unset it, or use precision %s", ErrNoBF16, EnvCPU, want, Float32)
}

// roundTo rounds src, a multiple of bf16Channels long, to bf16.
func (b *bf16Tier) roundTo(dst []uint16, src []float32) {
	dst = dst[:len(src)]
	if b.round != nil {
		b.round(&dst[0], &src[0], len(src))
		return
	}
	for i, v := range src {
		dst[i] = bf16Of(v)
	}
}

// bf16Of rounds to the nearest, ties to even; subnormal numbers become zero and NaN stays NaN, as the instructions have it.
func bf16Of(v float32) uint16 {
	u := math.Float32bits(v)
	switch {
	case v != v:
		return uint16(u>>16) | 0x40
	case u&0x7f800000 == 0:
		return uint16(u>>16) & 0x8000
	}
	return uint16((u + 0x7fff + u>>16&1) >> 16)
}

// bf16Float is the value of a bf16.
func bf16Float(b uint16) float32 { return math.Float32frombits(uint32(b) << 16) }

var zeroRow [bf16Panel]float32

// pairRows packs rows of cols floats, ld apart, two by two: dst[i*cols+j] holds src[2i*ld+j] and src[(2i+1)*ld+j]. What is missing to the
// last of an odd number of rows is zero.
func (b *bf16Tier) pairRows(dst []uint32, src []float32, ld, rows, cols int) {
	dst = dst[:(rows+1)/2*cols]
	for j := 0; j < cols; j += bf16Channels {
		if rows > 1 {
			b.pair(dst[j:], src[j:], src[ld+j:], 2*ld, cols, rows/2)
		}
		if rows%2 != 0 {
			b.pair(dst[rows/2*cols+j:], src[(rows-1)*ld+j:], zeroRow[:], 0, 0, 1)
		}
	}
}

// pair packs 16 columns of n pairs of rows: those of lo, and of hi, are from floats apart, those of dst to dwords.
func (b *bf16Tier) pair(dst []uint32, lo, hi []float32, from, to, n int) {
	if b.pairs != nil {
		b.pairs(&dst[0], &lo[0], &hi[0], 4*from, 4*to, n)
		return
	}
	for i := range n {
		for j := range bf16Channels {
			dst[i*to+j] = uint32(bf16Of(lo[i*from+j])) | uint32(bf16Of(hi[i*from+j]))<<16
		}
	}
}

// transposeRows writes dst[j*dstRow+i] = src[i*srcRow+j] for rows rows of cols floats, a multiple of bf16Channels.
func (b *bf16Tier) transposeRows(dst []uint16, src []float32, dstRow, srcRow, rows, cols int) {
	_, _ = dst[(cols-1)*dstRow+rows-1], src[(rows-1)*srcRow+cols-1]
	if b.transpose == nil {
		for i := range rows {
			for j, v := range src[i*srcRow:][:cols] {
				dst[j*dstRow+i] = bf16Of(v)
			}
		}
		return
	}
	for i := 0; i < rows; i += 2 * pairStep {
		for j := 0; j < cols; j += bf16Channels {
			b.transpose(&dst[j*dstRow+i], &src[i*srcRow+j], 2*dstRow, 4*srcRow, min(2*pairStep, rows-i))
		}
	}
}

// runReference is run of the oracle, a row at a time.
func runReference(t *tile, rows, cols, n, astep, cstep int) {
	acc := make([]float32, cols)
	for block := range n {
		for i := range rows {
			c := unsafe.Slice((*float32)(unsafe.Add(t.c, block*cstep+i*t.crs)), cols)
			clear(acc)
			if t.flags&tileAdd != 0 {
				copy(acc, c)
			}
			a, b := block*astep+i*t.ars, 0
			for range t.segs {
				for range t.kc {
					pair := *(*[2]uint16)(unsafe.Add(t.a, a))
					for j, v := range unsafe.Slice((*[2]uint16)(unsafe.Add(t.b, b)), cols) {
						acc[j] += bf16Float(pair[0])*bf16Float(v[0]) + bf16Float(pair[1])*bf16Float(v[1])
					}
					a, b = a+4, b+t.brs
				}
				a, b = a+t.aseg, b+t.bseg
			}
			copy(c, acc)
		}
	}
}

// alignedBF16 returns n zeroed bf16 that start on a cache line.
func alignedBF16(n int) []uint16 {
	f := aligned((n + 1) / 2)
	return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(f))), n)
}

// alignedPairs is alignedBF16 for n pairs.
func alignedPairs(n int) []uint32 {
	return unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(aligned(n)))), n)
}

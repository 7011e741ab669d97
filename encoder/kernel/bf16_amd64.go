//go:build amd64 && !noasm

package kernel

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

var (
	bf16Shapex1 = &tileShape{kernels: tilesbf16x1}
	bf16Shapex2 = &tileShape{kernels: tilesbf16x2}
)

var avx512bf16 = &bf16Tier{name: "avx512bf16", run: runDots, round: roundBF16, pairs: pairsBF16, transpose: transposeBF16}

var amxbf16 = &bf16Tier{name: "amx", run: runAMX, round: roundBF16, pairs: pairsBF16, transpose: transposeBF16, permit: permitAMX}

// supportedBF16 lists the bf16 tiers of this machine, fastest first; the system may still refuse one.
func supportedBF16() []*bf16Tier {
	if supported()[0] != avx512 || !cpu.X86.HasAVX512BF16 {
		return nil
	}
	if cpu.X86.HasAMXTile && cpu.X86.HasAMXBF16 {
		return []*bf16Tier{amxbf16, avx512bf16}
	}
	return []*bf16Tier{avx512bf16}
}

// runDots takes the blocks one by one.
func runDots(t *tile, rows, cols, n, astep, cstep int) {
	shape := bf16Shapex1
	if cols > bf16Channels {
		shape = bf16Shapex2
	}
	sp := shape.split(rows, cols)
	a, c := t.a, t.c
	for i := range n {
		t.a, t.c = unsafe.Add(a, i*astep), unsafe.Add(c, i*cstep)
		t.run(&sp)
	}
	t.a, t.c = a, c
}

const (
	amxRows   = 16
	amxBlocks = 32 // a call: some 100 µs at most, for the collector waits for it
)

// amxJob is what a call of an AMX kernel takes beside the tile: n blocks of one or two tiles of rows, half bytes apart in A and chalf in C.
type amxJob struct {
	config                       [64]byte // palette 1: bytes and rows of the tiles
	half, chalf, n, astep, cstep int
}

// runAMX cuts rows into tiles and takes them two by two, which keeps four sums in flight; the last of an odd number goes with that of
// the next block.
func runAMX(t *tile, rows, cols, n, astep, cstep int) {
	parts := (rows + amxRows - 1) / amxRows
	for i := 0; i < parts; i += 2 {
		lo, hi := chunk(i, parts, rows)
		if i+1 < parts {
			_, end := chunk(i+1, parts, rows)
			t.amx(cols, amxJob{half: (hi - lo) * t.ars, chalf: (hi - lo) * t.crs, n: n, astep: astep, cstep: cstep}, lo, hi-lo, end-hi)
			continue
		}
		if n > 1 {
			t.amx(cols, amxJob{half: astep, chalf: cstep, n: n / 2, astep: 2 * astep, cstep: 2 * cstep}, lo, hi-lo, hi-lo)
		}
		if n%2 != 0 {
			a, c := t.a, t.c
			t.a, t.c = unsafe.Add(a, (n-1)*astep), unsafe.Add(c, (n-1)*cstep)
			t.amx(cols, amxJob{n: 1}, lo, hi-lo, 0)
			t.a, t.c = a, c
		}
	}
}

// amx runs a job whose tiles are high and low rows high, from row first on; low may be 0.
func (t *tile) amx(cols int, j amxJob, first, high, low int) {
	j.config[0] = 1
	for i, rows := range [8]int{high, high, low, low, high, low, amxRows, amxRows} {
		if rows > 0 {
			j.config[16+2*i], j.config[48+i] = 64, byte(rows)
		}
	}
	wide := cols > bf16Channels
	a, c, n := t.a, t.c, j.n
	for done := 0; done < n; done += amxBlocks {
		t.a, t.c = unsafe.Add(a, first*t.ars+done*j.astep), unsafe.Add(c, first*t.crs+done*j.cstep)
		j.n = min(amxBlocks, n-done)
		switch { // by name, so that the job stays on the stack
		case low > 0 && wide:
			amx2x2(t, &j)
		case low > 0:
			amx2x1(t, &j)
		case wide:
			amx1x2(t, &j)
		default:
			amx1x1(t, &j)
		}
	}
	t.a, t.c = a, c
}

package distance

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// naive sums in float64; scale is the sum of the magnitudes, which bounds the rounding error of any order.
func naive(a, b []float32, l2 bool) (sum, scale float64) {
	for i := range a {
		p := float64(a[i]) * float64(b[i])
		if l2 {
			d := float64(a[i]) - float64(b[i])
			p = d * d
		}
		sum += p
		scale += math.Abs(p)
	}
	return sum, scale
}

// near allows for the rounding of n additions in some order.
func near(got float32, want, scale float64, n int) bool {
	return math.Abs(float64(got)-want) <= scale*float64(n/8+8)*0x1p-24+1e-37
}

func lengths() []int {
	var n []int
	for i := range 301 {
		n = append(n, i)
	}
	for i := 301; i <= 2049; i += 46 {
		n = append(n, i, i|1)
	}
	return append(n, 384, 512, 768, 784, 1024, 1536, 2047, 2048, 4096)
}

func fill(r *rand.Rand, v []float32) {
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
}

// pads are float32s around every slice under test. They hold NaN: a kernel that reads too far shows it.
const pads = 17

func padded(n, shift int) []float32 {
	b := make([]float32, n+2*pads)
	for i := range b {
		b[i] = float32(math.NaN())
	}
	return b[pads-shift : pads-shift+n : pads-shift+n]
}

func TestPairEqualsNaiveLoop(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, tr := range supported() {
		for _, n := range lengths() {
			a, b := padded(n, n%5), padded(n, n%3)
			fill(r, a)
			fill(r, b)
			if want, scale := naive(a, b, false); !near(tr.dot(a, b), want, scale, n) {
				t.Fatalf("%v: dot of %d: %v, want %v", tr, n, tr.dot(a, b), want)
			}
			if want, scale := naive(a, b, true); !near(tr.l2(a, b), want, scale, n) {
				t.Fatalf("%v: l2 of %d: %v, want %v", tr, n, tr.l2(a, b), want)
			}
			if tr.dot(a, b) != tr.dot(b, a) || tr.l2(a, b) != tr.l2(b, a) {
				t.Fatalf("%v: %d components: not symmetric", tr, n)
			}
		}
	}
}

func TestRowsEqualNaiveLoop(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, tr := range supported() {
		for _, dim := range lengths() {
			checkRowsOf(t, tr, r, dim, dim+r.IntN(20)+1, 9, 1+r.IntN(9))
		}
		for n := range 140 { // every block and every last group
			checkRowsOf(t, tr, r, 1+n%37, 40, 50, n)
		}
	}
}

func checkRowsOf(t *testing.T, tr tier, r *rand.Rand, dim, stride, count, n int) {
	t.Helper()
	if stride < 1 {
		stride = 1
	}
	// The arena ends with its last row: nothing may be read behind it. Between rows lies NaN.
	arena := padded((count-1)*stride+dim, dim%7)
	for i := range count {
		fill(r, arena[i*stride:i*stride+dim])
	}
	q := padded(dim, dim%4)
	fill(r, q)
	rows := make([]uint32, n)
	for i := range rows {
		rows[i] = uint32(r.IntN(count))
	}
	const sentinel = 12345
	for _, l2 := range []bool{false, true} {
		out := make([]float32, n+4)
		for i := range out {
			out[i] = sentinel
		}
		call := tr.dotRows
		if l2 {
			call = tr.l2Rows
		}
		if n > 0 && !call(q, arena, stride, len(arena)-dim, rows, out, nil) {
			t.Fatalf("%v: a row was refused", tr)
		}
		seen := map[uint32]float32{}
		for i, row := range rows {
			v := arena[int(row)*stride : int(row)*stride+dim]
			if want, scale := naive(q, v, l2); !near(out[i], want, scale, dim) {
				t.Fatalf("%v l2=%v dim %d stride %d n %d row %d: %v, want %v", tr, l2, dim, stride, n, row, out[i], want)
			}
			if d, ok := seen[row]; ok && d != out[i] {
				t.Fatalf("%v l2=%v dim %d: row %d gave %v and %v", tr, l2, dim, row, d, out[i])
			}
			seen[row] = out[i]
		}
		for _, x := range out[n:] {
			if x != sentinel {
				t.Fatalf("%v l2=%v dim %d n %d: wrote behind the results", tr, l2, dim, n)
			}
		}
	}
}

func TestRowsRefuseRowsOutside(t *testing.T) {
	for _, tr := range supported() {
		arena, q, out := make([]float32, 100), make([]float32, 10), make([]float32, 80)
		for n := 1; n <= 80; n++ {
			for _, at := range []int{0, n / 2, n - 1} {
				for _, bad := range []uint32{10, 1 << 31, 1<<32 - 1} {
					rows := make([]uint32, n)
					rows[at] = bad
					if tr.dotRows(q, arena, 10, 90, rows, out, nil) || tr.l2Rows(q, arena, 10, 90, rows, out, &rows[0]) {
						t.Fatalf("%v: row %d at %d of %d was read", tr, bad, at, n)
					}
				}
			}
		}
	}
}

func TestMisusePanics(t *testing.T) {
	v := make([]float32, 8)
	for name, f := range map[string]func(){
		"pair":      func() { Dot(v, v[:7]) },
		"pair l2":   func() { SquaredL2(v[:7], v) },
		"stride":    func() { DotRows(v, v, 7, []uint32{0}, v, nil) },
		"out":       func() { DotRows(v, v, 8, []uint32{0, 0}, v[:1], nil) },
		"row":       func() { DotRows(v, v, 8, []uint32{1}, v, nil) },
		"row l2":    func() { SquaredL2Rows(v, v, 8, []uint32{0, 7}, v, nil) },
		"no arena":  func() { SquaredL2Rows(v, nil, 8, []uint32{0}, v, nil) },
		"short row": func() { DotRows(v[:5], v[:4], 5, []uint32{0}, v, nil) },
	} {
		func() {
			defer func() {
				if s, ok := recover().(string); !ok || !strings.HasPrefix(s, "distance: ") {
					t.Errorf("%s: recovered %q", name, s)
				}
			}()
			f()
		}()
	}
	DotRows(v, nil, 8, nil, nil, nil)
}

func TestPickTier(t *testing.T) {
	have := []tier{avx2, generic}
	for want, tr := range map[string]tier{"": avx2, "avx2": avx2, "generic": generic} {
		if got, err := pick(have, want); got != tr || err != nil {
			t.Errorf("pick %q: %v, %v", want, got, err)
		}
	}
	for _, want := range []string{"avx512", "sse", "AVX2"} {
		got, err := pick(have, want)
		if got != avx2 || err == nil || !strings.Contains(err.Error(), `"`+want+`" is not a CPU tier of this machine: use one of avx2, generic`) {
			t.Errorf("pick %q: %v, %v", want, got, err)
		}
	}
	for _, want := range []string{"amx", "avx512bf16"} {
		if got, err := pick([]tier{avx512, avx2, generic}, want); got != avx512 || err != nil {
			t.Errorf("pick %q: %v, %v", want, got, err)
		}
		if _, err := pick([]tier{avx2, generic}, want); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("pick %q of avx2: %v", want, err)
		}
	}
}

// TestEnvironment starts this test again under each tier's name.
func TestEnvironment(t *testing.T) {
	if want := os.Getenv("DISTANCE_TEST_TIER"); want != "" {
		fmt.Println("tier", Tier(), Err() == nil)
		return
	}
	for _, tr := range append(supported(), tier(-1)) {
		name, want := "none", supported()[0].String()+" false"
		if tr >= 0 {
			name, want = tr.String(), tr.String()+" true"
		}
		cmd := exec.Command(os.Args[0], "-test.run=^TestEnvironment$")
		cmd.Env = append(os.Environ(), EnvCPU+"="+name, "DISTANCE_TEST_TIER=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "tier "+want) {
			t.Errorf("%s=%s: %v\n%s", EnvCPU, name, err, out)
		}
	}
}

func FuzzRows(f *testing.F) {
	f.Add(uint64(1), uint16(64), uint8(16), uint8(3))
	f.Add(uint64(2), uint16(784), uint8(33), uint8(0))
	f.Fuzz(func(t *testing.T, seed uint64, dim uint16, n, gap uint8) {
		r := rand.New(rand.NewPCG(seed, 0))
		for _, tr := range supported() {
			d := int(dim % 2100)
			checkRowsOf(t, tr, r, d, d+int(gap), 1+r.IntN(40), int(n))
		}
	})
}

func BenchmarkRows(b *testing.B) {
	for _, tr := range supported() {
		for _, dim := range []int{64, 128, 784} {
			b.Run(fmt.Sprintf("%v/dim=%d", tr, dim), func(b *testing.B) {
				const count, n = 54_000, 16
				arena, q, out := make([]float32, count*dim), make([]float32, dim), make([]float32, n)
				r := rand.New(rand.NewPCG(5, 6))
				fill(r, arena)
				fill(r, q)
				rows := make([]uint32, 1<<12)
				for i := range rows {
					rows[i] = uint32(r.IntN(count))
				}
				b.ResetTimer()
				for i := range b.N {
					at := i * n & (1<<12 - 1)
					tr.dotRows(q, arena, dim, len(arena)-dim, rows[at:at+n], out, nil)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/distance")
			})
		}
	}
}

package distance

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// codeArena is an arena of random rows, a query, and the slices around them, which a kernel must not touch.
type codeArena struct {
	q      CodeQuery
	arena  []byte
	stride int
	count  int
}

// codes makes an arena whose codes are extreme where extreme is set: there saturating sums go wrong.
func codes(r *rand.Rand, dim, gap, count int, extreme bool) codeArena {
	a := codeArena{stride: dim + gap + CodeTrailer, count: count}
	a.q = CodeQuery{Code: make([]int8, dim), Mul: float32(r.NormFloat64()), Add: float32(r.NormFloat64())}
	for i := range a.q.Code {
		a.q.Code[i] = int8(r.IntN(256) - 128)
		if extreme {
			a.q.Code[i] = int8(r.IntN(2)*255 - 128)
		}
		a.q.Sum += int32(a.q.Code[i])
	}
	a.arena = make([]byte, count*a.stride)
	for i := range a.arena {
		a.arena[i] = byte(r.Uint32())
		if extreme {
			a.arena[i] = byte(r.IntN(2) * 255)
		}
	}
	for i := range count {
		PutCodeTrailer(a.arena[:(i+1)*a.stride], float32(r.NormFloat64()), float32(r.NormFloat64()))
	}
	return a
}

// naiveCode is the formula of CodeRows, its sum in 64 bits.
func (a codeArena) naive(row uint32) float32 {
	b := a.arena[int(row)*a.stride:][:a.stride]
	var sum int64
	for j, c := range a.q.Code {
		sum += int64(c) * (int64(b[j]) - 128)
	}
	scale, bias := CodeTrailerOf(b)
	t := scale * a.q.Mul
	t *= float32(sum)
	t += bias
	return t + a.q.Add
}

func (a codeArena) check(t *testing.T, tr tier, r *rand.Rand, n int) {
	t.Helper()
	rows, out := make([]uint32, n), make([]float32, n+4)
	for i := range rows {
		rows[i] = uint32(r.IntN(a.count))
	}
	for i := range out {
		out[i] = 12345
	}
	var next *uint32
	if n > 0 {
		next = &rows[0]
		if !tr.codeRows(&a.q, a.arena, a.stride, len(a.arena)-a.stride, rows, out, next) {
			t.Fatalf("%v: a row was refused", tr)
		}
	}
	for i, row := range rows {
		if want := a.naive(row); math.Float32bits(out[i]) != math.Float32bits(want) {
			t.Fatalf("%v dim %d stride %d n %d row %d: %v, want %v", tr, len(a.q.Code), a.stride, n, row, out[i], want)
		}
	}
	for _, x := range out[n:] {
		if x != 12345 {
			t.Fatalf("%v dim %d n %d: wrote behind the results", tr, len(a.q.Code), n)
		}
	}
}

func TestCodeRowsEqualNaiveLoop(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 8))
	dims := []int{3072, 4096}
	for dim := range 2049 {
		dims = append(dims, dim)
	}
	for _, tr := range supported() {
		for _, dim := range dims {
			codes(r, dim, r.IntN(9), 5, dim%2 == 0).check(t, tr, r, 1+r.IntN(6))
		}
		for n := range 140 { // every block and every last group
			codes(r, 1+n%70, 3, 50, n%2 == 0).check(t, tr, r, n)
		}
	}
}

// TestCodeRowsAreExact: sums at the ends of their range, where sums of 16 bits saturate.
func TestCodeRowsAreExact(t *testing.T) {
	for _, tr := range supported() {
		for _, dim := range []int{16, 64, 100, 512} {
			a := codeArena{stride: dim + CodeTrailer, count: 2, arena: make([]byte, 2*(dim+CodeTrailer))}
			a.q = CodeQuery{Code: make([]int8, dim), Sum: int32(-128 * dim), Mul: 1}
			for i := range dim {
				a.q.Code[i], a.arena[i], a.arena[a.stride+i] = -128, 255, 0
			}
			PutCodeTrailer(a.arena[:a.stride], 1, 0)
			PutCodeTrailer(a.arena, 1, 0)
			out := make([]float32, 2)
			if !tr.codeRows(&a.q, a.arena, a.stride, a.stride, []uint32{0, 1}, out, nil) || out[0] != float32(-128*127*dim) || out[1] != float32(128*128*dim) {
				t.Errorf("%v dim %d: %v", tr, dim, out)
			}
		}
	}
}

func TestCodeRowsRefuseRowsOutside(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 8))
	a := codes(r, 20, 0, 10, false)
	for _, tr := range supported() {
		for n := 1; n <= 80; n++ {
			for _, bad := range []uint32{10, 1 << 31, 1<<32 - 1} {
				rows := make([]uint32, n)
				rows[n/2] = bad
				if tr.codeRows(&a.q, a.arena, a.stride, len(a.arena)-a.stride, rows, make([]float32, n), nil) {
					t.Fatalf("%v: row %d of %d was read", tr, bad, n)
				}
			}
		}
	}
	for name, f := range map[string]func(){
		"stride": func() { CodeRows(&a.q, a.arena, 27, []uint32{0}, make([]float32, 1), nil) },
		"out":    func() { CodeRows(&a.q, a.arena, a.stride, []uint32{0, 0}, make([]float32, 1), nil) },
		"row":    func() { CodeRows(&a.q, a.arena, a.stride, []uint32{10}, make([]float32, 1), nil) },
		"short":  func() { CodeRows(&a.q, a.arena[:27], a.stride, []uint32{0}, make([]float32, 1), nil) },
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
	CodeRows(&a.q, nil, a.stride, nil, nil, nil)
}

func FuzzCodeRows(f *testing.F) {
	f.Add(uint64(1), uint16(64), uint8(16), uint8(0), true)
	f.Add(uint64(2), uint16(784), uint8(33), uint8(40), false)
	f.Fuzz(func(t *testing.T, seed uint64, dim uint16, n, gap uint8, extreme bool) {
		r := rand.New(rand.NewPCG(seed, 0))
		for _, tr := range supported() {
			codes(r, int(dim%2100), int(gap), 1+r.IntN(40), extreme).check(t, tr, r, int(n))
		}
	})
}

func BenchmarkCodeRows(b *testing.B) {
	for _, tr := range supported() {
		for _, dim := range []int{64, 128, 784} {
			b.Run(fmt.Sprintf("%v/dim=%d", tr, dim), func(b *testing.B) {
				const count, n = 54_000, 16
				r := rand.New(rand.NewPCG(5, 6))
				a := codes(r, dim, 0, count, false)
				out, rows := make([]float32, n), make([]uint32, 1<<12)
				for i := range rows {
					rows[i] = uint32(r.IntN(count))
				}
				b.ResetTimer()
				for i := range b.N {
					at := i * n & (1<<12 - 1)
					tr.codeRows(&a.q, a.arena, a.stride, len(a.arena)-a.stride, rows[at:at+n], out, nil)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/distance")
			})
		}
	}
}

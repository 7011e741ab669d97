package distance

import (
	"math/rand/v2"
	"strings"
	"testing"
)

func TestPanelsEqualNaiveLoop(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, tr := range supported() {
		for dim := range 70 {
			for _, n := range []int{1, 15, 16, 17, 32, 40} {
				var p Panels
				rows := make([][]float32, n)
				for i := range rows {
					rows[i] = make([]float32, dim)
					fill(r, rows[i])
					p.Append(rows[i])
				}
				if p.Len() != n {
					t.Fatalf("%d rows of %d", p.Len(), n)
				}
				// Nothing may be read or written behind the end: NaN and a sentinel lie there.
				values := padded(len(p.values), dim%7)
				copy(values, p.values)
				q := padded(dim, dim%4)
				fill(r, q)
				for _, l2 := range []bool{false, true} {
					const sentinel = 12345
					out := make([]float32, p.Room()+4)
					for i := range out {
						out[i] = sentinel
					}
					call := tr.dotPanels
					if l2 {
						call = tr.l2Panels
					}
					call(q, values, out[:p.Room()])
					for i, row := range rows {
						if want, scale := naive(q, row, l2); !near(out[i], want, scale, dim) {
							t.Fatalf("%v l2=%v dim %d row %d of %d: %v, want %v", tr, l2, dim, i, n, out[i], want)
						}
					}
					for _, x := range out[p.Room():] {
						if x != sentinel {
							t.Fatalf("%v l2=%v dim %d of %d: wrote behind the results", tr, l2, dim, n)
						}
					}
				}
			}
		}
	}
}

func TestPanelsRefuseWhatDoesNotFit(t *testing.T) {
	var p Panels
	p.Dot(nil, nil) // no rows, no results
	p.Append(make([]float32, 8))
	for name, f := range map[string]func(){
		"row":      func() { p.Append(make([]float32, 7)) },
		"query":    func() { p.Dot(make([]float32, 7), make([]float32, 16)) },
		"query l2": func() { p.SquaredL2(make([]float32, 9), make([]float32, 16)) },
		"out":      func() { p.Dot(make([]float32, 8), make([]float32, 15)) },
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
}

// BenchmarkPanels compares 288 rows of 64 with those of an arena.
func BenchmarkPanels(b *testing.B) {
	r := rand.New(rand.NewPCG(5, 6))
	const n, dim = 288, 64
	arena, q, out, rows := make([]float32, n*dim), make([]float32, dim), make([]float32, n), make([]uint32, n)
	fill(r, arena)
	fill(r, q)
	var p Panels
	for i := range n {
		rows[i] = uint32(i)
		p.Append(arena[i*dim : (i+1)*dim])
	}
	for name, f := range map[string]func(){
		"dot/arena":  func() { DotRows(q, arena, dim, rows, out, nil) },
		"dot/panels": func() { p.Dot(q, out) },
		"l2/arena":   func() { SquaredL2Rows(q, arena, dim, rows, out, nil) },
		"l2/panels":  func() { p.SquaredL2(q, out) },
	} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				f()
			}
		})
	}
}

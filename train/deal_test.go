package train

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/akin-search/akin/encoder"
)

// TestDeal: views of a sound get pieces of it in their order, none of them twice as long as there are enough, and all filters the same frames.
func TestDeal(t *testing.T) {
	const filters, piece, least = 3, 10, 40
	d := newDealer(Sound{Pieces: 0.1}, encoder.Size{Height: filters, Width: least, Channels: 1})
	for _, c := range []struct{ frames, views, want, shared int }{ // pieces of a view, and in two of them at most
		{205, 2, 10, 0}, {399, 3, 13, 0}, {160, 4, 4, 0}, {79, 2, 4, 1}, {59, 2, 4, 3}, {200, 8, 4, 4},
	} {
		src := make([]float32, filters*c.frames)
		for i := range src {
			src[i] = float32(i)
		}
		for seed := range uint64(20) {
			var taken [][]float32 // first frames of the pieces of each view
			for part := range c.views {
				got := d.deal(src, filters, part, c.views, rand.New(rand.NewPCG(seed, 1)))
				n := len(got) / filters
				if n != c.want*piece {
					t.Fatalf("%d frames for %d views: a view has %d, want %d pieces of %d", c.frames, c.views, n, c.want, piece)
				}
				var firsts []float32
				for x := range n {
					at := got[x]
					if x%piece == 0 {
						firsts = append(firsts, at)
					} else if at != got[x-1]+1 {
						t.Fatalf("frame %v follows %v within a piece", at, got[x-1])
					}
					for y := range filters {
						if got[y*n+x] != at+float32(y*c.frames) {
							t.Fatalf("filter %d has %v where filter 0 has %v", y, got[y*n+x], at)
						}
					}
				}
				if !slices.IsSorted(firsts) || int(firsts[0])%piece != int(firsts[len(firsts)-1])%piece {
					t.Fatalf("pieces from %v", firsts)
				}
				taken = append(taken, firsts)
			}
			for i, a := range taken {
				for _, b := range taken[:i] {
					shared := 0
					for _, f := range a {
						if slices.Contains(b, f) {
							shared++
						}
					}
					if shared > c.shared {
						t.Errorf("%d frames for %d views: two share %d pieces, want %d at most", c.frames, c.views, shared, c.shared)
					}
				}
			}
		}
	}
	src := make([]float32, filters*200)
	rng := rand.New(rand.NewPCG(1, 1))
	for name, got := range map[string][]float32{"of one view": d.deal(src, filters, 0, 1, rng), "shorter than a view": d.deal(src[:filters*39], filters, 1, 2, rng), "shorter than a piece": d.deal(src[:filters*9], filters, 1, 2, rng)} {
		if &got[0] != &src[0] {
			t.Errorf("a sound %s is cut up", name)
		}
	}
	if newDealer(Sounds().Sound, encoder.Size{}) != nil || newDealer(Voices().Sound, encoder.Size{}) == nil {
		t.Error("sounds are dealt out as of any kind, or voices are not")
	}
}

func TestViewOf(t *testing.T) {
	items := []int{7, 7, 3, 7, 3, 9}
	for row, want := range [][2]int{{0, 3}, {1, 3}, {0, 2}, {2, 3}, {1, 2}, {0, 1}} {
		if part, views := viewOf(items, row); part != want[0] || views != want[1] {
			t.Errorf("row %d is view %d of %d, want %v", row, part, views, want)
		}
	}
}

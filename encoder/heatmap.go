package encoder

import (
	"bytes"
	"image"
	"image/png"
	"slices"
	"sort"
)

// Rows calls use with the heat of every pixel of the picture, row by row: Size.Width cosines, bilinear between the middles of patches and
// constant beyond the outer ones. The row is valid until use returns.
func (h *Heat) Rows(use func(y int, row []float32)) {
	xs, row := blendsOf(h.Size.Width, h.seen.Width, h.Xs), make([]float32, h.Size.Width)
	for i, y := range blendsOf(h.Size.Height, h.seen.Height, h.Ys) {
		a, b := h.Values[y.lo*len(h.Xs):], h.Values[y.hi*len(h.Xs):]
		for j, x := range xs {
			upper := a[x.lo] + x.part*(a[x.hi]-a[x.lo])
			lower := b[x.lo] + x.part*(b[x.hi]-b[x.lo])
			row[j] = upper + y.part*(lower-upper)
		}
		use(i, row)
	}
}

// blend is where a pixel lies between two patches.
type blend struct {
	lo, hi int
	part   float32 // of hi
}

// blendsOf places n pixels, which seen are looked at as, among the middles.
func blendsOf(n, seen int, middles []int) []blend {
	out := make([]blend, n)
	for i := range out {
		at := (float64(i)+0.5)*float64(seen)/float64(n) - 0.5
		hi := sort.Search(len(middles), func(j int) bool { return float64(middles[j]) >= at })
		switch {
		case hi == 0:
		case hi == len(middles):
			out[i] = blend{hi - 1, hi - 1, 0}
		default:
			lo := float64(middles[hi-1])
			out[i] = blend{hi - 1, hi, float32((at - lo) / (float64(middles[hi]) - lo))}
		}
	}
	return out
}

// PNG returns the heat as a grey picture of the picture's own size: black is normal, white a defect, and a cosine of 0 between.
func (h *Heat) PNG() ([]byte, error) {
	g := image.NewGray(image.Rect(0, 0, h.Size.Width, h.Size.Height))
	h.Rows(func(y int, row []float32) {
		for x, v := range row {
			g.Pix[y*g.Stride+x] = uint8(min(max((v+1)/2*255+0.5, 0), 255))
		}
	})
	var b bytes.Buffer
	err := png.Encode(&b, g)
	return b.Bytes(), err
}

// Worst returns the box, in the picture's own pixels, around the hottest patch and those beside it that are connected to it by a heat of
// more than half of the way from the picture's median to it. It is all of the picture where no place is hotter than another.
func (h *Heat) Worst() image.Rectangle {
	w := len(h.Xs)
	top := 0
	for i, v := range h.Values {
		if v > h.Values[top] {
			top = i
		}
	}
	if h.Values[top] == slices.Min(h.Values) {
		return image.Rect(0, 0, h.Size.Width, h.Size.Height)
	}
	middle := slices.Sorted(slices.Values(h.Values))[len(h.Values)/2]
	least := (h.Values[top] + middle) / 2
	cells, seen, queue := image.Rect(top%w, top/w, top%w+1, top/w+1), make([]bool, len(h.Values)), []int{top}
	seen[top] = true
	for len(queue) > 0 {
		i := queue[0]
		queue = queue[1:]
		x, y := i%w, i/w
		cells = cells.Union(image.Rect(x, y, x+1, y+1))
		for _, n := range [4]image.Point{{x - 1, y}, {x + 1, y}, {x, y - 1}, {x, y + 1}} {
			if j := n.Y*w + n.X; n.X >= 0 && n.X < w && n.Y >= 0 && n.Y < len(h.Ys) && !seen[j] && h.Values[j] > least {
				seen[j] = true
				queue = append(queue, j)
			}
		}
	}
	own := func(at, seen, size int) int { return min(max((at*size+seen/2)/seen, 0), size) }
	half := h.half
	box := image.Rect(
		own(h.Xs[cells.Min.X]-half, h.seen.Width, h.Size.Width), own(h.Ys[cells.Min.Y]-half, h.seen.Height, h.Size.Height),
		own(h.Xs[cells.Max.X-1]+half, h.seen.Width, h.Size.Width), own(h.Ys[cells.Max.Y-1]+half, h.seen.Height, h.Size.Height))
	box.Max.X, box.Max.Y = max(box.Max.X, box.Min.X+1), max(box.Max.Y, box.Min.Y+1)
	return box.Intersect(image.Rect(0, 0, h.Size.Width, h.Size.Height))
}

package benchmarks

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"path"
	"slices"
	"strings"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/index"
	"github.com/akin-search/akin/train"
)

// baselineSide is the side in pixels at which the baseline of patches sees pictures, as akin sees those of any size.
const baselineSide = 64

// patchJudge judges pictures by patches.
type patchJudge struct {
	index.Conformal
	*encoder.Encoder // whose network is that of patches alone
	pre              encoder.Preprocessing
	pixels           *pixelScores // of the anomalies' masks
	masks            []*image.Gray
	known            int // pictures that taught
}

// patches trains the patches of a model on rest, and calibrates them on held.
func (o AnomalyOptions) patches(ctx context.Context, c AnomalyCase, rest, held train.Dataset, t train.Options) (learned, error) {
	p, err := o.teach(ctx, rest, held, t)
	if err != nil {
		return nil, err
	}
	e, err := encoder.NewEncoder(&encoder.Model{Network: p.Network, Preprocessing: p.Preprocessing, Weights: p.Weights, Patches: p}, "", t.Threads)
	if err != nil {
		return nil, err
	}
	j := &patchJudge{Conformal: index.NewConformal(p.Calibration), Encoder: e, masks: c.masks, known: rest.Len()}
	j.pre = encoder.Preprocessing{Modality: encoder.ModalityImage, Size: encoder.Size{Height: baselineSide, Width: baselineSide, Channels: 1}, Mean: []float32{0}, Deviation: []float32{1}}
	if slices.ContainsFunc(c.masks, func(m *image.Gray) bool { return m != nil }) {
		j.pixels = &pixelScores{}
	}
	return j, nil
}

func (j *patchJudge) describe(r *AnomalyRun) {
	r.Score, r.Known = "patches", j.known
	for _, m := range j.masks {
		if m != nil {
			r.Masks++
		}
	}
	if j.pixels != nil && j.pixels.defect > 0 {
		auroc := j.pixels.auroc()
		r.PixelAUROC = &auroc
	}
}

func (j *patchJudge) baseline() (encoder.Preprocessing, error) { return j.pre, nil }

func (j *patchJudge) close() error { return nil }

func (j *patchJudge) judge(ctx context.Context, items train.Dataset, _ float64, anomalies bool) (out judgedItems, err error) {
	for i, id := range items.IDs {
		raw, err := items.Item(i)
		if err != nil {
			return out, err
		}
		h, err := j.Heat(ctx, raw)
		if err != nil {
			return out, fmt.Errorf("%s: %w", id, err)
		}
		out.add(h.Score, j.PValue(h.Score), items.Label(i))
		var mask *image.Gray
		if anomalies && j.masks != nil {
			mask = j.masks[i]
		}
		if j.pixels != nil && (mask != nil || !anomalies) {
			j.pixels.add(h, mask)
		}
	}
	return out, nil
}

// withMasks parts masks from pictures: of a NAME.png beside one other NAME, the first is the mask of the other, white where the defect is.
func (c AnomalyCase) withMasks() (AnomalyCase, error) {
	for _, d := range []*train.Dataset{&c.Known, &c.Normal, &c.Anomalies} {
		pictures, maskOf, err := masksIn(*d)
		if err != nil {
			return c, err
		}
		if len(maskOf) == 0 {
			continue
		}
		masks := make([]*image.Gray, len(pictures))
		for i, picture := range pictures {
			at, is := maskOf[picture]
			if !is {
				continue
			}
			raw, err := d.Item(at)
			if err != nil {
				return c, err
			}
			if masks[i], err = greyOf(raw); err != nil {
				return c, fmt.Errorf("%s: %w", d.IDs[at], err)
			}
			switch most := slices.Max(masks[i].Pix); {
			case d == &c.Anomalies && !marked(most):
				return c, fmt.Errorf("%w: the mask %s marks nothing: its highest value is %d, and a defect is %d or more, of 255", ErrData, d.IDs[at], most, leastMark)
			case d != &c.Anomalies && marked(most):
				return c, fmt.Errorf("%w: the mask %s marks a defect, and its picture is among the normal ones", ErrData, d.IDs[at])
			}
		}
		if *d = d.Subset(pictures); d == &c.Anomalies {
			c.masks = masks
		}
	}
	return c, nil
}

// masksIn tells pictures from masks, by place.
func masksIn(d train.Dataset) (pictures []int, maskOf map[int]int, err error) {
	stem := func(id string) string { return strings.TrimSuffix(id, path.Ext(id)) }
	png := func(i int) bool { return strings.EqualFold(path.Ext(d.IDs[i]), ".png") }
	byStem := map[string][]int{}
	for i, id := range d.IDs {
		byStem[stem(id)] = append(byStem[stem(id)], i)
	}
	maskOf = map[int]int{}
	for i, id := range d.IDs {
		twins := byStem[stem(id)]
		pngs := 0
		for _, j := range twins {
			if png(j) {
				pngs++
			}
		}
		switch {
		case len(twins) == 1 || pngs == 0:
			pictures = append(pictures, i)
		case len(twins) > 2 || pngs == 2:
			return nil, nil, fmt.Errorf("%w: %d files %s.* with a .png among them: a mask is the one NAME.png beside one picture NAME; name them otherwise", ErrData, len(twins), stem(id))
		case !png(i):
			pictures = append(pictures, i)
			maskOf[i] = twins[0] + twins[1] - i
		}
	}
	return pictures, maskOf, nil
}

// looked decodes all pictures, before anything is learned: those that cannot be decoded are left out and named, and so are, where side is above 0, those that are smaller, and
// those of whose marks nothing is left in the middle; of the others the middle is left.
func (c AnomalyCase) looked(side int, tell func(string)) (AnomalyCase, error) {
	of := func(d train.Dataset, masks []*image.Gray) (train.Dataset, []*image.Gray, int, error) {
		var kept []int
		var left []*image.Gray
		var raws [][]byte
		for i, id := range d.IDs {
			raw, err := d.Item(i)
			if err != nil {
				return d, nil, 0, err
			}
			g, err := greyOf(raw)
			if err != nil {
				tell(fmt.Sprintf("left out %s: %v", id, err))
				continue
			}
			var mask *image.Gray
			if masks != nil {
				mask = masks[i]
			}
			if mask != nil && mask.Rect != g.Rect {
				return d, nil, 0, fmt.Errorf("%w: %s is of %v pixels, its mask of %v: they must be alike", ErrData, id, g.Rect.Size(), mask.Rect.Size())
			}
			if side > 0 {
				if min(g.Rect.Dx(), g.Rect.Dy()) < side {
					continue
				}
				if mask != nil {
					if mask = middleOf(mask, side); !slices.ContainsFunc(mask.Pix, marked) {
						continue
					}
				}
				var b bytes.Buffer
				if err := png.Encode(&b, middleOf(g, side)); err != nil {
					return d, nil, 0, err
				}
				raws = append(raws, b.Bytes())
			}
			kept, left = append(kept, i), append(left, mask)
		}
		out := d.Subset(kept)
		if side > 0 {
			out.Raw, out.Files = raws, nil
		}
		return out, left, d.Len() - len(kept), nil
	}
	var err error
	if c.Known, _, c.leftOut.Known, err = of(c.Known, nil); err != nil {
		return c, err
	}
	if c.Normal, _, c.leftOut.Normal, err = of(c.Normal, nil); err != nil {
		return c, err
	}
	if c.Anomalies, c.masks, c.leftOut.Anomalies, err = of(c.Anomalies, c.masks); err != nil {
		return c, err
	}
	for _, part := range []struct {
		name string
		left int
	}{{"known", c.Known.Len()}, {"normal", c.Normal.Len()}, {"anomalous", c.Anomalies.Len()}} {
		if part.left == 0 {
			return c, fmt.Errorf("%w: no %s picture can be looked at, with a middle of %d pixels and marks within where it has some: crop less, or give others", ErrData, part.name, side)
		}
	}
	return c, nil
}

func greyOf(raw []byte) (*image.Gray, error) {
	px, _, err := encoder.DecodePixels(raw, 1, func(s encoder.Size) encoder.Size { return s })
	if err != nil {
		return nil, err
	}
	return &image.Gray{Pix: px.Pix, Stride: px.Width, Rect: image.Rect(0, 0, px.Width, px.Height)}, nil
}

func middleOf(g *image.Gray, side int) *image.Gray {
	out := image.NewGray(image.Rect(0, 0, side, side))
	draw.Draw(out, out.Rect, g, image.Pt((g.Rect.Dx()-side)/2, (g.Rect.Dy()-side)/2), draw.Src)
	return out
}

// leastMark is the least value of a mask that is a defect's.
const leastMark = 128

func marked(v uint8) bool { return v >= leastMark }

// pixelScores counts pixels by their heat, which is a cosine, in narrow bins.
type pixelScores struct {
	bins           [2][1 << 14]float64 // normal, defect
	normal, defect float64
}

func (p *pixelScores) add(h *encoder.Heat, mask *image.Gray) {
	h.Rows(func(y int, row []float32) {
		for x, v := range row {
			n := len(p.bins[0])
			bin := min(max(int((float64(v)+1)/2*float64(n)), 0), n-1)
			if mask != nil && marked(mask.Pix[y*mask.Stride+x]) {
				p.bins[1][bin]++
				p.defect++
			} else {
				p.bins[0][bin]++
				p.normal++
			}
		}
	})
}

// auroc is the share of pairs of a defect's pixel and a normal one in which the first is hotter; one of the same bin counts half.
func (p *pixelScores) auroc() float64 {
	var below, sum float64
	for i, n := range p.bins[0] {
		sum += p.bins[1][i] * (below + n/2)
		below += n
	}
	return sum / (p.normal * p.defect)
}

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
}

// patches trains the patches of a model on rest, and calibrates them on held.
func (o AnomalyOptions) patches(ctx context.Context, c AnomalyCase, rest, held train.Dataset, t train.Options) (learned, error) {
	if err := train.CheckPatches(rest, t.Modality); err != nil {
		return nil, err
	}
	p, err := train.Patches(ctx, rest, held, t)
	if err != nil {
		return nil, err
	}
	e, err := encoder.NewEncoder(&encoder.Model{Network: p.Network, Preprocessing: p.Preprocessing, Weights: p.Weights, Patches: p}, "", t.Threads)
	if err != nil {
		return nil, err
	}
	j := &patchJudge{Conformal: index.NewConformal(p.Calibration), Encoder: e, masks: c.masks}
	j.pre = encoder.Preprocessing{Modality: encoder.ModalityImage, Size: encoder.Size{Height: baselineSide, Width: baselineSide, Channels: 1}, Mean: []float32{0}, Deviation: []float32{1}}
	if slices.ContainsFunc(c.masks, func(m *image.Gray) bool { return m != nil }) {
		j.pixels = &pixelScores{}
	}
	return j, nil
}

func (j *patchJudge) describe(r *AnomalyRun) {
	r.Score = "patches"
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
		if mask != nil && mask.Bounds().Size() != image.Pt(h.Size.Width, h.Size.Height) {
			return out, fmt.Errorf("%w: %s is %d×%d pixels, its mask %v", ErrData, id, h.Size.Width, h.Size.Height, mask.Bounds().Size())
		}
		if j.pixels != nil && (mask != nil || !anomalies) {
			j.pixels.add(h, mask)
		}
	}
	return out, nil
}

// withMasks takes the masks from among the anomalies: of two files that differ in their endings alone, the .png is the mask of the other.
func (c AnomalyCase) withMasks() (AnomalyCase, error) {
	d := c.Anomalies
	stem := func(id string) string { return strings.TrimSuffix(id, path.Ext(id)) }
	byStem := map[string][]int{}
	for i, id := range d.IDs {
		byStem[stem(id)] = append(byStem[stem(id)], i)
	}
	var pictures []int
	c.masks = nil
	for i, id := range d.IDs {
		twins := byStem[stem(id)]
		if len(twins) != 2 {
			pictures, c.masks = append(pictures, i), append(c.masks, nil)
			continue
		}
		if strings.EqualFold(path.Ext(id), ".png") {
			continue
		}
		at := twins[0] + twins[1] - i
		if !strings.EqualFold(path.Ext(d.IDs[at]), ".png") {
			return c, fmt.Errorf("%w: %s and %s: a mask is a .png", ErrData, id, d.IDs[at])
		}
		raw, err := d.Item(at)
		if err != nil {
			return c, err
		}
		mask, err := greyOf(raw)
		if err != nil {
			return c, fmt.Errorf("%s: %w", d.IDs[at], err)
		}
		pictures, c.masks = append(pictures, i), append(c.masks, mask)
	}
	c.Anomalies = d.Subset(pictures)
	return c, nil
}

// cropped leaves the middle of all pictures and masks, and leaves out pictures that are smaller, and those of whose marks nothing is left.
func (c AnomalyCase) cropped(side int) (AnomalyCase, error) {
	of := func(d train.Dataset, masks []*image.Gray) (train.Dataset, []*image.Gray, error) {
		var kept []int
		var left []*image.Gray
		var raws [][]byte
		for i, id := range d.IDs {
			raw, err := d.Item(i)
			if err != nil {
				return d, nil, err
			}
			g, err := greyOf(raw)
			if err != nil {
				return d, nil, fmt.Errorf("%s: %w", id, err)
			}
			if min(g.Rect.Dx(), g.Rect.Dy()) < side {
				continue
			}
			var mask *image.Gray
			if masks != nil && masks[i] != nil {
				if masks[i].Rect != g.Rect {
					return d, nil, fmt.Errorf("%w: %s is %v pixels, its mask %v", ErrData, id, g.Rect.Size(), masks[i].Rect.Size())
				}
				if mask = middleOf(masks[i], side); !slices.ContainsFunc(mask.Pix, marked) {
					continue
				}
			}
			var b bytes.Buffer
			if err := png.Encode(&b, middleOf(g, side)); err != nil {
				return d, nil, err
			}
			kept, left, raws = append(kept, i), append(left, mask), append(raws, b.Bytes())
		}
		out := d.Subset(kept)
		out.Raw, out.Files = raws, nil
		return out, left, nil
	}
	all := c.Known.Len() + c.Normal.Len() + c.Anomalies.Len()
	var err error
	if c.Known, _, err = of(c.Known, nil); err != nil {
		return c, err
	}
	if c.Normal, _, err = of(c.Normal, nil); err != nil {
		return c, err
	}
	if c.Anomalies, c.masks, err = of(c.Anomalies, c.masks); err != nil {
		return c, err
	}
	c.leftOut = all - c.Known.Len() - c.Normal.Len() - c.Anomalies.Len()
	for _, part := range []struct {
		name string
		left int
	}{{"known", c.Known.Len()}, {"normal", c.Normal.Len()}, {"anomalous", c.Anomalies.Len()}} {
		if part.left == 0 {
			return c, fmt.Errorf("%w: no %s picture has a middle of %d pixels, or marks within: crop less", ErrData, part.name, side)
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

func marked(v uint8) bool { return v >= 128 }

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

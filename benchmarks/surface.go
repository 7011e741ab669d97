package benchmarks

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/index"
	"github.com/akin-search/akin/train"
)

// SurfaceOptions say how the patches of a model are measured.
type SurfaceOptions struct {
	Data     train.Dataset // pictures by class, and masks beside them: NAME.png beside NAME.jpg or the like, white where a defect is
	Normal   string        // the class without defects
	Crop     int           // side in pixels of the middle that is left of every picture, so that its size tells nothing; 0 is all of it
	Progress func(done, all int)
}

// SurfaceReport is what came out. Pictures of which the middle is smaller than Crop, or of whose defect nothing is left, are left out.
type SurfaceReport struct {
	AUROC       float64            `json:"auroc"`           // of pictures, all defects against the normal ones
	ByClass     map[string]float64 `json:"auroc_by_class"`  // the same, a class of defects
	PixelAUROC  float64            `json:"pixel_auroc"`     // of the pixels of all pictures that are normal or have a mask; -1 without masks
	Counts      map[string]int     `json:"pictures"`        // measured, a class
	LeftOut     int                `json:"left_out"`        //
	Calibration int                `json:"calibration"`     // pictures that calibrated
	FalseAlarms map[string]float64 `json:"false_alarms"`    // share of normal pictures called anomalies, by alpha, as far as it is supported
	Found       map[string]float64 `json:"found"`           // share of the others
	Seconds     float64            `json:"seconds_picture"` // of a picture, decoding included
	Crop        int                `json:"crop"`
	ModelID     string             `json:"model_id"`
}

// surfaceAlphas are the rates at which alarms are counted.
var surfaceAlphas = []float64{0.01, 0.05, 0.1}

// WriteTable writes the report for people.
func (r SurfaceReport) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "AUROC of pictures\t%.4f\n", r.AUROC)
	if r.PixelAUROC >= 0 {
		fmt.Fprintf(t, "AUROC of pixels\t%.4f\n", r.PixelAUROC)
	}
	for _, class := range slices.Sorted(maps.Keys(r.ByClass)) {
		fmt.Fprintf(t, "  %s\t%.4f\t%d pictures\n", class, r.ByClass[class], r.Counts[class])
	}
	for _, alpha := range slices.Sorted(maps.Keys(r.FalseAlarms)) {
		fmt.Fprintf(t, "alpha %s\t%.4f false alarms\t%.4f found\n", alpha, r.FalseAlarms[alpha], r.Found[alpha])
	}
	fmt.Fprintf(t, "calibrated on\t%d pictures\nleft out\t%d pictures\na picture\t%.3f s\n", r.Calibration, r.LeftOut, r.Seconds)
	return t.Flush()
}

// MeasureSurface scores pictures and their pixels by the patches of a model.
func MeasureSurface(ctx context.Context, e *encoder.Encoder, o SurfaceOptions) (SurfaceReport, error) {
	if !e.HasPatches() {
		return SurfaceReport{}, fmt.Errorf("%w: the model has no patches: train it with --patches", encoder.ErrSpec)
	}
	if o.Crop < 0 || o.Crop > 0 && o.Crop < encoder.PatchSide {
		return SurfaceReport{}, fmt.Errorf("%w: a crop of %d pixels: use %d or more, or 0 for none", encoder.ErrSpec, o.Crop, encoder.PatchSide)
	}
	if !slices.Contains(o.Data.Classes, o.Normal) {
		return SurfaceReport{}, fmt.Errorf("%w: no class %q among %q: name the one without defects by --normal", train.ErrDataset, o.Normal, o.Data.Classes)
	}
	masks, pictures := masksOf(o.Data)
	r := SurfaceReport{ByClass: map[string]float64{}, Counts: map[string]int{}, FalseAlarms: map[string]float64{}, Found: map[string]float64{},
		Crop: o.Crop, ModelID: e.ModelID(), PixelAUROC: -1}
	scores := map[string][]float64{}
	var pixels pixelScores
	var spent time.Duration
	for done, i := range pictures {
		if ctx.Err() != nil {
			return r, context.Cause(ctx)
		}
		if o.Progress != nil {
			o.Progress(done, len(pictures))
		}
		class := o.Data.Label(i)
		picture, err := o.Data.Item(i)
		if err != nil {
			return r, err
		}
		var marks []byte
		if at, masked := masks[i]; masked {
			if marks, err = o.Data.Item(at); err != nil {
				return r, err
			}
		}
		raw, mask, err := cropped(picture, marks, o.Crop)
		if err != nil {
			return r, fmt.Errorf("%s: %w", o.Data.IDs[i], err)
		}
		if raw == nil || o.Crop > 0 && class != o.Normal && mask != nil && !slices.ContainsFunc(mask.Pix, marked) {
			r.LeftOut++
			continue
		}
		began := time.Now()
		h, err := e.Heat(ctx, raw)
		if err != nil {
			return r, fmt.Errorf("%s: %w", o.Data.IDs[i], err)
		}
		spent += time.Since(began)
		scores[class] = append(scores[class], h.Score)
		if mask != nil && mask.Bounds().Size() != image.Pt(h.Size.Width, h.Size.Height) {
			return r, fmt.Errorf("%w: %s is %d×%d pixels, its mask %v", train.ErrDataset, o.Data.IDs[i], h.Size.Width, h.Size.Height, mask.Bounds().Size())
		}
		if mask != nil || class == o.Normal {
			pixels.add(h, mask)
		}
	}
	normal, others := scores[o.Normal], []float64(nil)
	var err error
	for class, s := range scores {
		if r.Counts[class] = len(s); class == o.Normal {
			continue
		}
		others = append(others, s...)
		if r.ByClass[class], err = train.AUROC(normal, s); err != nil {
			return r, err
		}
	}
	if r.AUROC, err = train.AUROC(normal, others); err != nil {
		return r, err
	}
	if pixels.defect > 0 {
		r.PixelAUROC = pixels.auroc()
	}
	r.Seconds = spent.Seconds() / float64(len(normal)+len(others))
	r.alarms(index.NewConformal(e.Model().Patches.Calibration), normal, others)
	return r, nil
}

func (r *SurfaceReport) alarms(c index.Conformal, normal, others []float64) {
	r.Calibration = c.Calibration()
	for _, alpha := range surfaceAlphas {
		if alpha < c.MinAlpha() {
			continue
		}
		share := func(scores []float64) float64 {
			var n float64
			for _, s := range scores {
				if c.PValue(s) <= alpha {
					n++
				}
			}
			return n / float64(len(scores))
		}
		name := fmt.Sprint(alpha)
		r.FalseAlarms[name], r.Found[name] = share(normal), share(others)
	}
}

// masksOf tells pictures from masks: of two files that differ in their endings alone, the .png is the mask of the other.
func masksOf(d train.Dataset) (masks map[int]int, pictures []int) {
	stem := func(id string) string { return strings.TrimSuffix(id, path.Ext(id)) }
	byStem := map[string][]int{}
	for i, id := range d.IDs {
		byStem[stem(id)] = append(byStem[stem(id)], i)
	}
	masks = map[int]int{}
	for i, id := range d.IDs {
		twins, isPNG := byStem[stem(id)], strings.EqualFold(path.Ext(id), ".png")
		if len(twins) == 2 && isPNG {
			continue
		}
		pictures = append(pictures, i)
		if len(twins) == 2 {
			for _, j := range twins {
				if j != i {
					masks[i] = j
				}
			}
		}
	}
	return masks, pictures
}

// cropped returns the middle of a picture and of its mask, all of them where side is 0; nil where the picture is smaller than that.
func cropped(raw, mask []byte, side int) ([]byte, *image.Gray, error) {
	var m *image.Gray
	same := func(s encoder.Size) encoder.Size { return s }
	if mask != nil {
		px, _, err := encoder.DecodePixels(mask, 1, same)
		if err != nil {
			return nil, nil, fmt.Errorf("its mask: %w", err)
		}
		m = &image.Gray{Pix: px.Pix, Stride: px.Width, Rect: image.Rect(0, 0, px.Width, px.Height)}
	}
	if side == 0 {
		return raw, m, nil
	}
	px, _, err := encoder.DecodePixels(raw, 1, same)
	if err != nil || min(px.Width, px.Height) < side {
		return nil, nil, err
	}
	at := image.Pt((px.Width-side)/2, (px.Height-side)/2)
	middle := func(of *image.Gray) *image.Gray {
		out := image.NewGray(image.Rect(0, 0, side, side))
		draw.Draw(out, out.Rect, of, at, draw.Src)
		return out
	}
	var b bytes.Buffer
	err = png.Encode(&b, middle(&image.Gray{Pix: px.Pix, Stride: px.Width, Rect: image.Rect(0, 0, px.Width, px.Height)}))
	if m != nil {
		m = middle(m)
	}
	return b.Bytes(), m, err
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

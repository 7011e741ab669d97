package train

import (
	"context"
	"fmt"
	"maps"
	"math"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
)

// Baseline is what is reached on the same items without any training: by what is usually taken for such data before a model is.
type Baseline struct {
	Name        string              `json:"name"`
	KNNAccuracy float64             `json:"knn_accuracy"`
	RecallAt1   float64             `json:"recall_at_1"`
	MAPAtR      float64             `json:"map_at_r"`
	NMI         float64             `json:"nmi"`
	AUROC       float64             `json:"pair_auroc"`
	EER         float64             `json:"pair_eer"`
	Intervals   map[string]Interval `json:"intervals"`
}

// BaselineVectors returns what the baseline of a modality, with its name, makes of the features of items: unit rows, to be compared by their cosine.
// They are fitted to base.
func BaselineVectors(pre encoder.Preprocessing, base, queries []encoder.Features) (name string, b, q kernel.Matrix, err error) {
	kind, err := modalityNamed(pre.Modality)
	if err != nil {
		return "", b, q, err
	}
	b, q = kind.baseline.vectors(pre, base, queries)
	return kind.baseline.name, b, q, nil
}

// MeasureBaseline measures the figures of MeasureDownstream that any vectors have, of those of the modality's baseline: pixels of pictures,
// statistics of MFCC of sounds. The features are those of a decoder of pre. Errors wrap ErrEvaluate.
func MeasureBaseline(ctx context.Context, pre encoder.Preprocessing, base []encoder.Features, baseLabels []int, queries []encoder.Features, queryLabels []int,
	o DownstreamOptions) (Baseline, error) {
	kind, err := modalityNamed(pre.Modality)
	if err != nil {
		return Baseline{}, err
	}
	out := Baseline{Name: kind.baseline.name}
	b, q := kind.baseline.vectors(pre, base, queries)
	if err := checkSearch(b, baseLabels, q, queryLabels); err != nil {
		return out, err
	}
	if err := o.validate(); err != nil {
		return out, err
	}
	classes, _ := itemsByClass(queryLabels)
	if !measurable(baseLabels, queryLabels) {
		return out, fmt.Errorf("%w: too few classes for a baseline", ErrEvaluate)
	}
	e := evaluation{ctx: ctx, base: b, queries: q, baseLabels: baseLabels, queryLabels: queryLabels, DownstreamOptions: o}
	nearest, _, err := e.nearest(min(downstreamK, b.Rows))
	if err != nil {
		return out, err
	}
	found, err := e.retrieve()
	if err != nil {
		return out, err
	}
	clusters, err := kMeans(ctx, q, len(classes), o)
	if err != nil {
		return out, err
	}
	if out.NMI, err = NMI(clusters, queryLabels); err != nil {
		return out, err
	}
	pairs, err := drawPairs(q, queryLabels, downstreamPairs, o.Seed)
	if err != nil {
		return out, err
	}
	v := verify(pairs, nil, farOne)
	out.AUROC, out.EER = v.AUROC, v.EER
	out.Intervals, err = bootstrap(ctx, []perQuery{
		{"knn_accuracy", &out.KNNAccuracy, nearest}, {"recall_at_1", &out.RecallAt1, found.within(1)}, {"map_at_r", &out.MAPAtR, found.precision},
	}, o)
	if err != nil {
		return out, err
	}
	verified, err := verifyIntervals(ctx, pairs, q.Rows, o)
	if err != nil {
		return out, err
	}
	maps.Copy(out.Intervals, verified)
	delete(out.Intervals, "tar_at_far_1")
	agreed, err := agreementIntervals(ctx, clusters, queryLabels, o)
	out.Intervals["nmi"] = agreed["nmi"]
	return out, err
}

// baseline makes the vectors of items that a modality's models are compared with: unit rows of features that p's decoder makes.
type baseline struct {
	name    string
	vectors func(p encoder.Preprocessing, base, queries []encoder.Features) (b, q kernel.Matrix)
}

// baselineSide is the side that pixels are averaged to, at most: it keeps what a comparison of pixels can use.
const baselineSide = 32

// pixelVectors are the pixels themselves, less the mean picture of base.
func pixelVectors(p encoder.Preprocessing, base, queries []encoder.Features) (b, q kernel.Matrix) {
	h, w, c := p.Size.Height, p.Size.Width, p.Size.Channels
	factor := (max(h, w) + baselineSide - 1) / baselineSide
	rows, cols := (h+factor-1)/factor, (w+factor-1)/factor
	small := func(dst, src []float32) {
		n := make([]float32, rows*cols)
		for y := range h {
			for x := range w {
				at := y/factor*cols + x/factor
				n[at]++
				for ch := range c {
					dst[at*c+ch] += src[(y*w+x)*c+ch]
				}
			}
		}
		for i := range dst {
			dst[i] /= n[i/c]
		}
	}
	vectors := func(features []encoder.Features) kernel.Matrix {
		m := kernel.NewMatrix(len(features), rows*cols*c)
		for i, f := range features {
			small(m.Row(i), f.Data)
		}
		return m
	}
	b, q = vectors(base), vectors(queries)
	standard(b, q, false)
	return b, q
}

const cepstra = 20 // coefficients, the loudness included

// cepstrumVectors are mean and deviation over time of the mel-frequency cepstral coefficients (Davis and Mermelstein 1980, equation 3), the
// discrete cosine transform of the logarithms of the mel filters' powers, each brought to mean 0 and deviation 1 on base.
func cepstrumVectors(p encoder.Preprocessing, base, queries []encoder.Features) (b, q kernel.Matrix) {
	mels := p.Size.Height
	turn := make([]float64, cepstra*mels)
	for k := range cepstra {
		for m := range mels {
			turn[k*mels+m] = math.Cos(math.Pi / float64(mels) * (float64(m) + 0.5) * float64(k))
		}
	}
	vectors := func(features []encoder.Features) kernel.Matrix {
		out := kernel.NewMatrix(len(features), 2*cepstra)
		for i, f := range features {
			frames := f.Shape[1]
			for k := range cepstra {
				sum, square := 0.0, 0.0
				for t := range frames {
					x := 0.0
					for m := range mels {
						x += turn[k*mels+m] * float64(f.Data[m*frames+t])
					}
					sum += x
					square += x * x
				}
				mean := sum / float64(frames)
				out.Row(i)[k], out.Row(i)[cepstra+k] = float32(mean), float32(math.Sqrt(max(0, square/float64(frames)-mean*mean)))
			}
		}
		return out
	}
	b, q = vectors(base), vectors(queries)
	standard(b, q, true)
	return b, q
}

// baselineConstant is the length of a component that makes the cosine of two rows fall with their distance, in lengths of a row.
const baselineConstant = 8

// featureVectors are the features of rows, numbers as they came, brought to mean 0 and deviation 1 on base, with a constant, so that the nearest by cosine are
// those by Euclidean distance.
func featureVectors(p encoder.Preprocessing, base, queries []encoder.Features) (b, q kernel.Matrix) {
	at := p.Table.Offsets()
	vectors := func(features []encoder.Features) kernel.Matrix {
		m := kernel.NewMatrix(len(features), p.Size.Channels+1)
		for i, f := range features {
			copy(m.Row(i), f.Data)
			for j, c := range p.Table.Columns {
				if c.Width != 0 {
					m.Row(i)[at[j]], m.Row(i)[at[j]+1] = f.Data[at[j]+1], 0
				}
			}
		}
		return m
	}
	b, q = vectors(base), vectors(queries)
	mean, deviation := scaleOf(b)
	row := make([]float64, b.Cols)
	for _, m := range []kernel.Matrix{b, q} {
		for i := range m.Rows {
			clear(row)
			for j, c := range p.Table.Columns {
				for k := at[j]; k < at[j+1]; k++ {
					row[k] = float64(m.Row(i)[k])
				}
				if k := at[j]; c.Kind == encoder.ColumnNumber && deviation[k] > 1e-6 {
					row[k] = (row[k] - mean[k]) / deviation[k]
				}
			}
			row[m.Cols-1] = baselineConstant * math.Sqrt(float64(m.Cols-1))
			kernel.Unit(m.Row(i), row)
		}
	}
	return b, q
}

// standard takes the mean of base's columns away from both, divides by their deviations if scaled, and brings the rows to unit length; one
// without a direction points along the first column.
func standard(base, queries kernel.Matrix, scaled bool) {
	mean, deviation := scaleOf(base)
	for _, m := range []kernel.Matrix{base, queries} {
		row := make([]float64, m.Cols)
		for i := range m.Rows {
			for j, v := range m.Row(i) {
				row[j] = float64(v) - mean[j]
				if scaled {
					row[j] /= deviation[j]
				}
			}
			kernel.Unit(m.Row(i), row)
			if dot(m.Row(i), m.Row(i)) == 0 {
				m.Row(i)[0] = 1
			}
		}
	}
}

// scaleOf returns the mean of each column and its deviation, 1e-6 at least.
func scaleOf(m kernel.Matrix) (mean, deviation []float64) {
	mean, deviation = make([]float64, m.Cols), make([]float64, m.Cols)
	for i := range m.Rows {
		for j, v := range m.Row(i) {
			mean[j] += float64(v)
			deviation[j] += float64(v) * float64(v)
		}
	}
	for j := range mean {
		mean[j] /= float64(m.Rows)
		deviation[j] = math.Sqrt(max(deviation[j]/float64(m.Rows)-mean[j]*mean[j], 1e-12))
	}
	return mean, deviation
}

package benchmarks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
	"github.com/akin-search/akin/index"
	"github.com/akin-search/akin/train"
)

const baselineKnown = 10_000

// anomalyAlphas are the rates at which alarms are counted.
var anomalyAlphas = []float64{0.01, 0.05, 0.1}

// AnomalyRun is what one class and seed gave.
type AnomalyRun struct {
	Class string `json:"class"` // the normal one, or the one left out
	Seed  uint64 `json:"seed"`
	AnomalyFigures
	FalseAlarms  []FalseAlarms   `json:"false_alarm_rate"` // by alpha, as far as the calibration supports it
	Score        string          `json:"score"`            // how the detector measures strangeness
	Shifts       []string        `json:"shifts,omitempty"` // of one-class training
	Known        int             `json:"known_items"`
	Calibration  int             `json:"calibration_items"`
	Normal       int             `json:"normal_items"` // measured on
	Anomalies    int             `json:"anomaly_items"`
	TrainSeconds float64         `json:"train_seconds"` // by the wall clock
	CPUSeconds   float64         `json:"train_cpu_seconds"`
	Baseline     AnomalyBaseline `json:"baseline"`
}

// AnomalyBaseline is the mean distance to the 5 nearest known items, those that calibrate included, in what the network is shown: pixels, or other
// features. Of more than baselineKnown, so many are taken, spread over all.
type AnomalyBaseline struct {
	Name string `json:"name"`
	AnomalyFigures
}

// anomalyRun is an AnomalyRun with what plots are made of.
type anomalyRun struct {
	AnomalyRun
	normal, anomalies judgedItems
	threshold         float64 // of the score at alpha 0.05, or the smallest that is supported
}

// judgedItems are verdicts.
type judgedItems struct{ scores, pValues []float64 }

// run trains, fills a collection and judges.
func (o AnomalyOptions) run(ctx context.Context, c AnomalyCase, seed uint64) (r *anomalyRun, err error) {
	r = &anomalyRun{AnomalyRun: AnomalyRun{Class: c.Name, Seed: seed, Normal: c.Normal.Len(), Anomalies: c.Anomalies.Len()}}
	t := o.Train
	t.Seed = seed
	rest, held, err := c.Known.Split(t.Holdout, seed)
	if err != nil {
		return nil, err
	}
	t.Progress = tellEpochs(func(format string, args ...any) {}, "")
	began := time.Now()
	cpu, err := cpuTime()
	if err != nil {
		return nil, err
	}
	model, err := train.Run(ctx, rest, held, t)
	if err != nil {
		return nil, err
	}
	r.TrainSeconds = time.Since(began).Seconds()
	used, err := cpuTime()
	if err != nil {
		return nil, err
	}
	r.CPUSeconds = (used - cpu).Seconds()
	var rec train.Record
	if err := json.Unmarshal(model.Record, &rec); err != nil {
		return nil, err
	}
	r.Shifts = rec.Options.Shifts
	b, err := model.MarshalBinary()
	if err != nil {
		return nil, err
	}
	id := sha256.Sum256(b)
	e, err := encoder.NewEncoder(model, hex.EncodeToString(id[:]), t.Threads)
	if err != nil {
		return nil, err
	}
	s, err := storedOf(index.Config{Dimension: e.Dimension(), ModelID: e.ModelID(), Seed: seed, Quantization: index.QuantizationAuto}, index.StoreOptions{Threads: t.Threads})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	known, err := pointsOf(ctx, e, rest)
	if err != nil {
		return nil, err
	}
	aside, err := pointsOf(ctx, e, held)
	if err != nil {
		return nil, err
	}
	if err := s.Collection.Upsert(ctx, known); err != nil {
		return nil, err
	}
	if err := s.SetAside(ctx, index.RoleCalibration, aside); err != nil {
		return nil, err
	}
	if err := s.Calibrate(ctx); err != nil {
		return nil, err
	}
	d := s.Detector()
	r.Known, r.Calibration, r.Score = len(known), d.Calibration(), d.Score().String()
	alpha := max(0.05, d.MinAlpha())
	if r.threshold, err = d.Threshold(alpha); err != nil {
		return nil, err
	}
	if r.normal, err = judge(ctx, e, d, c.Normal, alpha); err != nil {
		return nil, err
	}
	if r.anomalies, err = judge(ctx, e, d, c.Anomalies, alpha); err != nil {
		return nil, err
	}
	if r.AnomalyFigures, err = anomalyFigures(r.normal.scores, r.anomalies.scores); err != nil {
		return nil, err
	}
	for _, alpha := range anomalyAlphas {
		if alpha >= d.MinAlpha() {
			r.FalseAlarms = append(r.FalseAlarms, falseAlarmsOf(alpha, r.normal.pValues, r.anomalies.pValues, r.Calibration))
		}
	}
	r.Baseline, err = anomalyBaseline(ctx, e, c)
	return r, err
}

// pointsOf embeds the items of d.
func pointsOf(ctx context.Context, e *encoder.Encoder, d train.Dataset) ([]index.Point, error) {
	d, features, err := train.Decode(ctx, e.Decoder(), d, nil)
	if err != nil {
		return nil, err
	}
	vectors, err := e.EncodeFeatures(ctx, features)
	if err != nil {
		return nil, err
	}
	points := make([]index.Point, len(vectors))
	for i, v := range vectors {
		points[i] = index.Point{ID: d.IDs[i], Vector: v, Label: d.Label(i)}
	}
	return points, nil
}

// judge returns the verdicts on the items of d.
func judge(ctx context.Context, e *encoder.Encoder, d *index.Detector, items train.Dataset, alpha float64) (j judgedItems, err error) {
	points, err := pointsOf(ctx, e, items)
	if err != nil {
		return j, err
	}
	for _, p := range points {
		v, err := d.Verdict(ctx, p.Vector, alpha)
		if err != nil {
			return j, err
		}
		j.scores, j.pValues = append(j.scores, v.Score), append(j.pValues, v.PValue)
	}
	return j, nil
}

// anomalyBaseline measures the nearest neighbours in the features that the encoder is shown.
func anomalyBaseline(ctx context.Context, e *encoder.Encoder, c AnomalyCase) (b AnomalyBaseline, err error) {
	var parts [3][]encoder.Features
	for i, d := range []train.Dataset{c.Known, c.Normal, c.Anomalies} {
		if _, parts[i], err = train.Decode(ctx, e.Decoder(), d, nil); err != nil {
			return b, err
		}
	}
	if n := len(parts[0]); n > baselineKnown {
		some := make([]encoder.Features, baselineKnown)
		for i := range some {
			some[i] = parts[0][i*n/baselineKnown]
		}
		parts[0] = some
	}
	queries := slices.Concat(parts[1], parts[2])
	var known, asked [][]float32
	if b.Name, known, asked, err = baselineRows(e.Model().Preprocessing, parts[0], queries); err != nil {
		return b, err
	}
	scores, err := neighborDistances(ctx, known, asked, index.DetectorNeighbors)
	if err != nil {
		return b, err
	}
	b.AnomalyFigures, err = anomalyFigures(scores[:len(parts[1])], scores[len(parts[1]):])
	return b, err
}

// neighborDistances returns the mean Euclidean distance of each query to its k nearest rows of base, or to all where there are fewer. Distances come of
// |q|² + |b|² − 2q·b, products of many queries at a time.
func neighborDistances(ctx context.Context, base, queries [][]float32, k int) ([]float64, error) {
	const block = 128
	dim := len(base[0])
	b := kernel.MatrixOf(base, dim)
	square := func(v []float32) (sum float64) {
		for _, x := range v {
			sum += float64(x) * float64(x)
		}
		return sum
	}
	squares := make([]float64, len(base))
	for i, v := range base {
		squares[i] = square(v)
	}
	products := make([]float32, block*len(base))
	scores := make([]float64, 0, len(queries))
	for part := range slices.Chunk(queries, block) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		q := kernel.MatrixOf(part, dim)
		kernel.Gemm(false, true, q.Rows, b.Rows, dim, q.Data, dim, b.Data, dim, products, b.Rows, false)
		for i, v := range part {
			own, nearest := square(v), make([]float64, 0, k+1)
			for j, p := range products[i*b.Rows : (i+1)*b.Rows] {
				d := max(0, own+squares[j]-2*float64(p))
				if len(nearest) == k && d >= nearest[k-1] {
					continue
				}
				at, _ := slices.BinarySearch(nearest, d)
				nearest = slices.Insert(nearest, at, d)[:min(k, len(nearest)+1)]
			}
			sum := 0.0
			for _, d := range nearest {
				sum += math.Sqrt(d)
			}
			scores = append(scores, sum/float64(len(nearest)))
		}
	}
	return scores, nil
}

// baselineRows returns pixels as they are, and of other items what the modality's baseline takes.
func baselineRows(pre encoder.Preprocessing, base, queries []encoder.Features) (name string, b, q [][]float32, err error) {
	if pre.Modality == encoder.ModalityImage {
		rows := func(features []encoder.Features) (rows [][]float32) {
			for _, f := range features {
				rows = append(rows, f.Data)
			}
			return rows
		}
		return "pixels", rows(base), rows(queries), nil
	}
	name, known, asked, err := train.BaselineVectors(pre, base, queries)
	if err != nil {
		return "", nil, nil, err
	}
	return name, rowsOf(known), rowsOf(asked), nil
}

package benchmarks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
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
	FalseAlarms  []FalseAlarms   `json:"false_alarm_rate"`      // by alpha, as far as the calibration supports it
	Kinds        []AnomalyKind   `json:"kinds,omitempty"`       // of anomalies, where these are labelled
	PixelAUROC   *float64        `json:"pixel_auroc,omitempty"` // of the pixels of normal pictures and of those with a mask, by patches
	Score        string          `json:"score"`                 // how the detector measures strangeness
	Shifts       []string        `json:"shifts,omitempty"`      // of one-class training
	Known        int             `json:"known_items"`
	Calibration  int             `json:"calibration_items"`
	Normal       int             `json:"normal_items"` // measured on
	Anomalies    int             `json:"anomaly_items"`
	LeftOut      *LeftOut        `json:"left_out,omitempty"` // of pictures, by patches
	Masks        int             `json:"masks,omitempty"`    // of anomalies, by which pixels are measured
	TrainSeconds float64         `json:"train_seconds"`      // by the wall clock
	CPUSeconds   float64         `json:"train_cpu_seconds"`
	Baseline     AnomalyBaseline `json:"baseline"`
}

// AnomalyKind is how well anomalies of one label are told.
type AnomalyKind struct {
	Label string  `json:"label"`
	Items int     `json:"items"`
	AUROC float64 `json:"auroc"`
}

// AnomalyBaseline is the mean distance to the 5 nearest known items, those that calibrate included, in what the network is shown: pixels (with
// patches, of 64×64 that a picture is fitted into), or other features. Of more than baselineKnown, so many are taken, spread over all.
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
type judgedItems struct {
	scores, pValues []float64
	labels          []string
}

func (j *judgedItems) add(score, p float64, label string) {
	j.scores, j.pValues, j.labels = append(j.scores, score), append(j.pValues, p), append(j.labels, label)
}

// learned is what was learned and calibrated, and judges items.
type learned interface {
	Calibration() int
	MinAlpha() float64
	Threshold(alpha float64) (float64, error)
	judge(ctx context.Context, items train.Dataset, alpha float64, anomalies bool) (judgedItems, error)
	describe(r *AnomalyRun)
	// baseline is how the baseline sees items.
	baseline() (encoder.Preprocessing, error)
	close() error
}

// run trains, calibrates and judges.
func (o AnomalyOptions) run(ctx context.Context, c AnomalyCase, seed uint64) (r *anomalyRun, err error) {
	r = &anomalyRun{AnomalyRun: AnomalyRun{Class: c.Name, Seed: seed, Normal: c.Normal.Len(), Anomalies: c.Anomalies.Len(), FalseAlarms: []FalseAlarms{}}}
	if o.Patches {
		r.LeftOut = &c.leftOut
	}
	t := o.Train
	t.Seed = seed
	rest, held, err := c.Known.Split(t.Holdout, seed)
	if err != nil {
		return nil, err
	}
	t.Progress = tellEpochs(func(format string, args ...any) {}, "")
	learn := o.collection
	if o.Patches {
		learn = o.patches
	}
	began := time.Now()
	cpu, err := cpuTime()
	if err != nil {
		return nil, err
	}
	j, err := learn(ctx, c, rest, held, t)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, j.close()) }()
	r.TrainSeconds = time.Since(began).Seconds()
	used, err := cpuTime()
	if err != nil {
		return nil, err
	}
	r.CPUSeconds = (used - cpu).Seconds()
	r.Calibration = j.Calibration()
	alpha := max(0.05, j.MinAlpha())
	if r.threshold, err = j.Threshold(alpha); err != nil {
		return nil, err
	}
	if r.normal, err = j.judge(ctx, c.Normal, alpha, false); err != nil {
		return nil, err
	}
	if r.anomalies, err = j.judge(ctx, c.Anomalies, alpha, true); err != nil {
		return nil, err
	}
	j.describe(&r.AnomalyRun)
	if r.AnomalyFigures, err = anomalyFigures(r.normal.scores, r.anomalies.scores); err != nil {
		return nil, err
	}
	if err := r.byKind(); err != nil {
		return nil, err
	}
	for _, alpha := range anomalyAlphas {
		if alpha >= j.MinAlpha() {
			r.FalseAlarms = append(r.FalseAlarms, falseAlarmsOf(alpha, r.normal.pValues, r.anomalies.pValues, r.Calibration))
		}
	}
	pre, err := j.baseline()
	if err != nil {
		return nil, err
	}
	r.Baseline, err = anomalyBaseline(ctx, pre, c)
	return r, err
}

// byKind measures the anomalies of each label where they have several.
func (r *anomalyRun) byKind() error {
	kinds := map[string][]float64{}
	for i, label := range r.anomalies.labels {
		kinds[label] = append(kinds[label], r.anomalies.scores[i])
	}
	if len(kinds) < 2 {
		return nil
	}
	for label, scores := range kinds {
		auroc, err := train.AUROC(r.normal.scores, scores)
		if err != nil {
			return err
		}
		if label == "" {
			label = "without a label"
		}
		r.Kinds = append(r.Kinds, AnomalyKind{label, len(scores), auroc})
	}
	slices.SortFunc(r.Kinds, func(a, b AnomalyKind) int { return strings.Compare(a.Label, b.Label) })
	return nil
}

// collectionJudge judges by a model and the detector of a collection.
type collectionJudge struct {
	*index.Detector
	encoder *encoder.Encoder
	stored  *stored
	shifts  []string
	known   int // items that could be decoded
}

// collection trains a model on rest, and fills a collection that held calibrates.
func (o AnomalyOptions) collection(ctx context.Context, _ AnomalyCase, rest, held train.Dataset, t train.Options) (_ learned, err error) {
	model, err := train.Run(ctx, rest, held, t)
	if err != nil {
		return nil, err
	}
	var rec train.Record
	if err := json.Unmarshal(model.Record, &rec); err != nil {
		return nil, err
	}
	b, err := model.MarshalBinary()
	if err != nil {
		return nil, err
	}
	id := sha256.Sum256(b)
	e, err := encoder.NewEncoder(model, hex.EncodeToString(id[:]), t.Threads)
	if err != nil {
		return nil, err
	}
	s, err := storedOf(index.Config{Dimension: e.Dimension(), ModelID: e.ModelID(), Seed: t.Seed, Quantization: index.QuantizationAuto}, index.StoreOptions{Threads: t.Threads})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
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
	return &collectionJudge{s.Detector(), e, s, rec.Options.Shifts, len(known)}, nil
}

func (j *collectionJudge) describe(r *AnomalyRun) {
	r.Score, r.Shifts, r.Known = j.Score().String(), j.shifts, j.known
}

func (j *collectionJudge) baseline() (encoder.Preprocessing, error) {
	return j.encoder.Model().Preprocessing, nil
}

func (j *collectionJudge) close() error { return j.stored.Close() }

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

func (j *collectionJudge) judge(ctx context.Context, items train.Dataset, alpha float64, _ bool) (judgedItems, error) {
	return judge(ctx, j.encoder, j.Detector, items, alpha)
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
		j.add(v.Score, v.PValue, p.Label)
	}
	return j, nil
}

// anomalyBaseline measures the nearest neighbours in the features that pre makes.
func anomalyBaseline(ctx context.Context, pre encoder.Preprocessing, c AnomalyCase) (b AnomalyBaseline, err error) {
	decoder, err := pre.Decoder()
	if err != nil {
		return b, err
	}
	var parts [3][]encoder.Features
	for i, d := range []train.Dataset{c.Known, c.Normal, c.Anomalies} {
		if _, parts[i], err = train.Decode(ctx, decoder, d, nil); err != nil {
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
	if b.Name, known, asked, err = baselineRows(pre, parts[0], queries); err != nil {
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

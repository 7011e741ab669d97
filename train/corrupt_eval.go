package train

import (
	"context"
	"fmt"
	"slices"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
)

// CorruptOptions say what EvaluateCorrupted measures. Zero means the default.
type CorruptOptions struct {
	Corruptions []Corruption // default all
	Severities  []int        // default all
	K           int          // neighbours that vote; default 5, fewer where base has fewer rows
	Seed        uint64       // of the corruptions
	Threads     int          // 0 means one a core; they do not change the figures
	Progress    func(done, of int)
}

// CorruptedScore is what one corruption at one severity leaves.
type CorruptedScore struct {
	Corruption  string  `json:"corruption"`
	HeldOut     bool    `json:"held_out"` // see Corruption.HeldOut
	Severity    int     `json:"severity"`
	KNNAccuracy float64 `json:"knn_accuracy"`
	RecallAt1   float64 `json:"recall_at_1"`
}

// CorruptedMean is the mean over the corruptions of one severity, held-out ones apart: 0 where there are none.
type CorruptedMean struct {
	Severity        int     `json:"severity"`
	KNNAccuracy     float64 `json:"knn_accuracy"`
	RecallAt1       float64 `json:"recall_at_1"`
	HeldOutAccuracy float64 `json:"held_out_knn_accuracy"`
	HeldOutRecall   float64 `json:"held_out_recall_at_1"`
}

// Corrupted is the result of EvaluateCorrupted.
type Corrupted struct {
	CleanAccuracy float64          `json:"clean_knn_accuracy"`
	CleanRecall   float64          `json:"clean_recall_at_1"`
	Scores        []CorruptedScore `json:"corruptions"`
	Means         []CorruptedMean  `json:"mean"` // one a severity
}

// EvaluateCorrupted measures how well corrupted queries find their class among clean items: base holds an embedding a row, queries are
// decoded, corrupted and embedded by e. Every item is corrupted by a draw of its own, the same one in every call.
// Queries that cannot be decoded, a query or row without a label, and options out of range are errors.
func EvaluateCorrupted(ctx context.Context, e *encoder.Encoder, base kernel.Matrix, baseLabels []int, queries Dataset, o CorruptOptions) (Corrupted, error) {
	if o.Corruptions == nil {
		o.Corruptions = Corruptions()
	}
	if o.Severities == nil {
		o.Severities = []int{1, 2, 3, 4, 5}
	}
	if o.K == 0 {
		o.K = min(5, base.Rows)
	}
	if len(o.Corruptions) == 0 || len(o.Severities) == 0 {
		return Corrupted{}, fmt.Errorf("%w: %d corruptions at %d severities: name one of each, or leave both to their defaults", ErrOptions, len(o.Corruptions), len(o.Severities))
	}
	pre := e.Model().Preprocessing
	if pre.Modality != encoder.ModalityImage {
		return Corrupted{}, fmt.Errorf("%w: corruptions are of pictures, and the model is for modality %s: leave them out", ErrOptions, pre.Modality)
	}
	for _, k := range o.Corruptions { // before the work, not in between
		for _, severity := range o.Severities {
			if _, err := NewCorrupter(k, severity, pre.Size, o.Seed); err != nil {
				return Corrupted{}, err
			}
		}
	}
	decoder, err := inUnits(pre).Decoder()
	if err != nil {
		return Corrupted{}, err
	}
	kept, clean, err := Decode(ctx, decoder, queries, nil)
	if err != nil {
		return Corrupted{}, err
	}
	if n := queries.Len() - kept.Len(); n > 0 {
		return Corrupted{}, fmt.Errorf("%w: %d of %d queries cannot be decoded: leave them out", ErrDataset, n, queries.Len())
	}
	corrupted := make([]encoder.Features, len(clean))
	for i, f := range clean {
		corrupted[i] = encoder.Features{Data: make([]float32, len(f.Data)), Shape: f.Shape}
	}
	score := func() (accuracy, recall float64, err error) {
		standardize(pre, corrupted)
		q, err := EncodeFeatures(ctx, e, corrupted)
		if err != nil {
			return 0, 0, err
		}
		if err := checkSearch(base, baseLabels, q, queries.Labels); err != nil {
			return 0, 0, err
		}
		s := evaluation{ctx: ctx, base: base, queries: q, baseLabels: baseLabels, queryLabels: queries.Labels, DownstreamOptions: DownstreamOptions{Threads: o.Threads}}
		vote, first, err := s.nearest(o.K)
		if err != nil {
			return 0, 0, err
		}
		return mean(vote), mean(first), nil
	}
	var out Corrupted
	for i, f := range clean {
		copy(corrupted[i].Data, f.Data)
	}
	if out.CleanAccuracy, out.CleanRecall, err = score(); err != nil {
		return Corrupted{}, err
	}
	for _, k := range o.Corruptions {
		for _, severity := range o.Severities {
			if err := corruptAll(ctx, corrupted, clean, k, severity, pre.Size, o); err != nil {
				return Corrupted{}, err
			}
			s := CorruptedScore{Corruption: k.String(), HeldOut: k.HeldOut(), Severity: severity}
			if s.KNNAccuracy, s.RecallAt1, err = score(); err != nil {
				return Corrupted{}, err
			}
			out.Scores = append(out.Scores, s)
			if o.Progress != nil {
				o.Progress(len(out.Scores), len(o.Corruptions)*len(o.Severities))
			}
		}
	}
	out.Means = corruptedMeans(out.Scores)
	return out, nil
}

// corruptAll corrupts every item of src into dst.
func corruptAll(ctx context.Context, dst, src []encoder.Features, k Corruption, severity int, size encoder.Size, o CorruptOptions) error {
	first, err := NewCorrupter(k, severity, size, o.Seed)
	if err != nil {
		return err
	}
	return eachBlock(ctx, o.Threads, len(src), func() func(int) {
		c := first.clone()
		return func(i int) { c.Apply(dst[i].Data, src[i].Data, i) }
	})
}

// corruptedMeans takes the means of each severity that occurs, in rising order.
func corruptedMeans(scores []CorruptedScore) []CorruptedMean {
	var severities []int
	for _, s := range scores {
		if !slices.Contains(severities, s.Severity) {
			severities = append(severities, s.Severity)
		}
	}
	slices.Sort(severities)
	means := make([]CorruptedMean, len(severities))
	for i, severity := range severities {
		m := &means[i]
		m.Severity = severity
		known, heldOut := 0.0, 0.0
		for _, s := range scores {
			switch {
			case s.Severity != severity:
			case s.HeldOut:
				heldOut++
				m.HeldOutAccuracy += s.KNNAccuracy
				m.HeldOutRecall += s.RecallAt1
			default:
				known++
				m.KNNAccuracy += s.KNNAccuracy
				m.RecallAt1 += s.RecallAt1
			}
		}
		for _, mean := range []struct {
			sum *float64
			n   float64
		}{{&m.KNNAccuracy, known}, {&m.RecallAt1, known}, {&m.HeldOutAccuracy, heldOut}, {&m.HeldOutRecall, heldOut}} {
			if mean.n > 0 {
				*mean.sum /= mean.n
			}
		}
	}
	return means
}

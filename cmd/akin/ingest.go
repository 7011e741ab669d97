package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/spf13/cobra"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/index"
	"github.com/akin-search/akin/train"
)

// ingested is the result of akin ingest.
type ingested struct {
	Collection   string             `json:"collection"`
	ModelID      string             `json:"model_id"`
	Points       int                `json:"points"`
	Calibration  int                `json:"calibration_items"`
	MinAlpha     float64            `json:"min_alpha,omitempty"`   // the smallest false-alarm rate that they support
	Score        string             `json:"score,omitempty"`       // of the detector
	Chosen       map[string]float64 `json:"score_auroc,omitempty"` // of each kind of score, left-out classes against the others
	Skipped      int                `json:"skipped"`               // items that could not be decoded
	Dimension    int                `json:"dimension"`
	Quantization string             `json:"quantization"`     // of the collection
	Bytes        float64            `json:"bytes_per_vector"` // memory of vectors, codes and links
	EmbedSeconds float64            `json:"embed_seconds"`
	IndexSeconds float64            `json:"index_seconds"`
}

func newIngest(a *app) *cobra.Command {
	var w workspace
	var from source
	var quantization string
	var holdout float64
	var seed uint64
	var replace bool
	c := &cobra.Command{
		Use:   "ingest --data DIR",
		Short: "Embed your images into a collection and calibrate its anomaly detector",
		Long: `Embed images with the model and put them, with their labels and raw bytes, into a collection. Points that exist already
are replaced. A share of the items is not indexed: it calibrates the anomaly detector, together with those that earlier
calls kept aside, so that an alarm rate can be promised. The share and the seed are those of the model's training unless you say otherwise, so that with the same data
the same items, which the model never saw, are kept aside. Of a list with rows of split validation these are kept aside in place of a share: let them be like what is to
be judged, of another day, machine or camera, where the others are much alike. Those of a class that nothing known has
cannot calibrate: where others can, they are left out, else nothing is stored. A list that keeps all of one class aside and only some of another is refused.`,
		Example: `  akin ingest --data photos/
  akin ingest --data photos/ --collection march --holdout 0.2`,
		Args: noArgs,
	}
	w.flags(c)
	w.collectionFlag(c)
	w.memoryFlag(c)
	from.flags(c)
	c.Flags().Float64Var(&holdout, "holdout", 0.1, "share of the items kept aside for calibration, 0 (no detector) to 0.5; default as in training")
	c.Flags().Uint64Var(&seed, "seed", 0, "of the choice of those items, and of the graph; default as in training")
	c.Flags().StringVar(&quantization, "quantization", index.QuantizationAuto.String(), "of a new collection: "+index.QuantizationNames()+"; int8-disk keeps vectors out of memory")
	c.Flags().BoolVar(&replace, "replace", false, "empty the collection first; it may then be of another model")
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		if err := checkHoldout(holdout); err != nil {
			return err
		}
		quant, err := index.ParseQuantization(quantization)
		if err != nil {
			return fmt.Errorf("--quantization: %w", err)
		}
		e, err := w.encoder()
		if err != nil {
			return err
		}
		all, err := from.load(a, train.RowsTraining)
		if err != nil {
			return err
		}
		var trained *train.Record
		if b := e.Model().Record; len(b) > 0 { // keep aside what the model has not seen
			var rec train.Record
			if err := json.Unmarshal(b, &rec); err != nil {
				return fmt.Errorf("the model's training record: %w", err)
			}
			if !c.Flags().Changed("seed") {
				seed = rec.Options.Seed
			}
			if !c.Flags().Changed("holdout") {
				holdout = rec.Options.Holdout
			}
			trained = &rec
		}
		rest, held, err := split(all, holdout, seed)
		if err != nil {
			return err
		}
		if trained != nil && held.Len() > 0 {
			if err := a.warnOfSeen(*trained, held, all.Aside != nil, holdout, seed); err != nil {
				return err
			}
		}
		s, err := w.store(a)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		if held, err = a.usable(s, w.collection, replace, rest, held); err != nil {
			return err
		}
		if replace {
			if err := s.Drop(w.collection); err != nil && !errors.Is(err, index.ErrNotFound) {
				return err
			}
		}
		if _, err := s.Collection(w.collection); errors.Is(err, index.ErrNotFound) {
			if _, err := s.Create(w.collection, index.Config{Dimension: e.Dimension(), ModelID: e.ModelID(), Seed: seed, Quantization: quant}); err != nil {
				return err
			}
		}
		col, err := w.open(s, e.ModelID())
		if err != nil {
			return err
		}
		if have := col.Config().Quantization.Pick(index.EngineGraph, e.Dimension()); c.Flags().Changed("quantization") && have != quant.Pick(index.EngineGraph, e.Dimension()) {
			return fmt.Errorf("--quantization %s: collection %q has %s: add --replace to fill it anew, or name another --collection", quant, w.collection, have)
		}
		in := ingester{app: a, encoder: e, collection: col}
		if err := in.fill(c.Context(), rest); err != nil {
			if c.Context().Err() != nil {
				a.status("stopped; what was indexed stays: run the same command again to go on")
			}
			return err
		}
		if err := in.calibrate(c.Context(), held); err != nil {
			return err
		}
		if err := col.MeasureRecall(c.Context(), defaultHits); err != nil { // so that --recall-target can be used at once
			return err
		}
		out := ingested{Collection: w.collection, ModelID: e.ModelID(), Points: col.Len(), Calibration: in.held, Dimension: e.Dimension(),
			EmbedSeconds: in.embedding.Seconds(), IndexSeconds: in.indexing.Seconds()}
		out.Skipped = in.skipped
		out.Quantization = col.Config().Quantization.Pick(index.EngineGraph, e.Dimension()).String()
		out.Bytes = math.Round(float64(col.Bytes()) / float64(max(1, col.Len())))
		if det := col.Detector(); det != nil {
			out.MinAlpha, out.Score, out.Chosen = det.MinAlpha(), det.Score().String(), det.Chosen()
		}
		return a.print(out, func(wr io.Writer) error {
			verdicts := fmt.Sprintf("calibrated on %d items kept aside: alpha can be %.2g or more; score %s", out.Calibration, out.MinAlpha, out.Score)
			if out.Calibration == 0 {
				verdicts = "no anomaly verdicts: nothing was kept aside to calibrate on"
			}
			next := "--dir " + w.dir
			if w.model != "" {
				next += " --model " + w.model
			}
			if w.collection != defaultCollection {
				next += " --collection " + w.collection
			}
			_, err := fmt.Fprintf(wr, "collection %s: %d points (embedding %.1f s, indexing %.1f s; %s, %.0f bytes a vector); %s\nnext: akin serve %s\n",
				out.Collection, out.Points, out.EmbedSeconds, out.IndexSeconds, out.Quantization, out.Bytes, verdicts, next)
			return err
		})
	}
	return c
}

// usable returns those items kept aside whose class is among the others or, unless it is replaced, is and stays in the collection: no others can
// calibrate. None of them is an error.
func (a *app) usable(s *index.Store, collection string, replace bool, rest, held train.Dataset) (train.Dataset, error) {
	known := map[string]bool{}
	for i := range rest.Len() {
		known[rest.Label(i)] = true
	}
	col, err := s.Collection(collection)
	if err != nil && !errors.Is(err, index.ErrNotFound) {
		return held, err
	}
	moved := map[string]bool{}
	for _, id := range held.IDs {
		moved[id] = true
	}
	var items []int
	strange := ""
	for i := range held.Len() {
		label := held.Label(i)
		is, ok := known[label]
		if !ok && col != nil && !replace {
			if is, err = col.Knows(label, moved); err != nil {
				return held, err
			}
		}
		if known[label] = is; is {
			items = append(items, i)
		} else if strange == "" {
			strange = fmt.Sprintf("%s is of class %q", held.IDs[i], label)
			if label == "" {
				strange = held.IDs[i] + " has no class"
			}
		}
	}
	switch out := held.Len() - len(items); {
	case out > 0 && len(items) == 0:
		return held, fmt.Errorf("%w: none of the %d items kept aside (split validation) is of a class of the %d others, %s: keep items of their classes aside, or none", train.ErrDataset, out, rest.Len(), strange)
	case out > 0:
		a.status("left out: %d of the %d items kept aside are of no class of the others and cannot calibrate; %s", out, held.Len(), strange)
	}
	return held.Subset(items), nil
}

// ingester fills a collection.
type ingester struct {
	*app
	encoder             *encoder.Encoder
	collection          *index.Collection
	held                int // items the detector is calibrated on
	skipped             int // items that could not be decoded
	embedding, indexing time.Duration
}

// ingestChunk is how many items are embedded, and then written in one durable step.
const ingestChunk = 2048

// fill embeds and indexes d. Each chunk that is done stays, whatever happens later.
func (in *ingester) fill(ctx context.Context, d train.Dataset) error {
	shown := time.Now()
	for lo := 0; lo < d.Len(); lo += ingestChunk {
		items := make([]int, min(ingestChunk, d.Len()-lo))
		for i := range items {
			items[i] = lo + i
		}
		chunk, vectors, err := in.embed(ctx, d.Subset(items))
		if err != nil {
			return err
		}
		points := make([]index.Point, chunk.Len())
		for i := range points {
			raw, err := chunk.Item(i)
			if err != nil {
				return err
			}
			points[i] = index.Point{ID: chunk.IDs[i], Vector: vectors[i], Label: chunk.Label(i), Raw: raw}
		}
		began := time.Now()
		if err := in.collection.Upsert(ctx, points); err != nil {
			return err
		}
		in.indexing += time.Since(began)
		if time.Since(shown) > 2*time.Second && lo+ingestChunk < d.Len() {
			shown = time.Now()
			in.status("indexed %d of %d", lo+len(items), d.Len())
		}
	}
	if 2*in.skipped > d.Len() {
		return fmt.Errorf("%w: %d of %d items cannot be decoded: is it the right folder?", train.ErrDataset, in.skipped, d.Len())
	}
	began := time.Now()
	err := in.collection.Snapshot(ctx)
	in.indexing += time.Since(began)
	return err
}

// embed decodes and embeds d, leaving out what cannot be decoded.
func (in *ingester) embed(ctx context.Context, d train.Dataset) (train.Dataset, [][]float32, error) {
	began := time.Now()
	all := d.Len()
	d, features, err := train.Decode(ctx, in.encoder.Decoder(), d, in.skip)
	in.skipped += all - len(features)
	if err != nil && !errors.Is(err, train.ErrDataset) {
		return d, nil, err
	}
	vectors, err := in.encoder.EncodeFeatures(ctx, features)
	in.embedding += time.Since(began)
	return d, vectors, err
}

// calibrate keeps held aside, beside what earlier calls did, and calibrates the detector with all of it. Without any there is none.
func (in *ingester) calibrate(ctx context.Context, held train.Dataset) error {
	held, vectors, err := in.embed(ctx, held)
	if err != nil {
		return err
	}
	points := make([]index.Point, held.Len())
	for i := range points {
		points[i] = index.Point{ID: held.IDs[i], Vector: vectors[i], Label: held.Label(i)}
	}
	began := time.Now()
	if err := in.collection.SetAside(ctx, index.RoleCalibration, points); err != nil {
		return err
	}
	if in.collection.Aside(index.RoleCalibration) > 0 {
		if err := in.collection.Calibrate(ctx); err != nil {
			return err
		}
		in.held = in.collection.Detector().Calibration()
	}
	in.indexing += time.Since(began)
	return nil
}

// warnOfSeen warns where the model may have been trained on items that are now kept aside: others than those that were kept aside of its training.
func (a *app) warnOfSeen(trained train.Record, held train.Dataset, listed bool, holdout float64, seed uint64) error {
	o := trained.Options
	switch {
	case listed != o.Listed:
	case listed:
		hash, err := held.Hash()
		if err != nil {
			return err
		}
		if hash == trained.ValidationHash {
			return nil
		}
	case seed == o.Seed && holdout <= o.Holdout:
		return nil
	}
	how := fmt.Sprintf("with --holdout %g --seed %d", o.Holdout, o.Seed)
	if o.Listed {
		how = fmt.Sprintf("with the %d items of split validation of its own list kept aside", trained.Validation)
	}
	a.status("warning: the model was trained %s: it may have seen items that are now kept aside, and the false-alarm rate is then not promised", how)
	return nil
}

package benchmarks

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"text/tabwriter"
	"time"

	"github.com/akin-search/akin/index"
)

const (
	churnShare = 0.3   // of the points are deleted and inserted again in a round
	churnLoss  = 0.003 // of recall may be lost in all rounds
)

// ChurnReport is the result of Churn.
type ChurnReport struct {
	Setup
	BuildSeconds float64      `json:"build_seconds"` // of the fresh index
	FreshRecall  float64      `json:"fresh_recall"`
	FreshQPS     float64      `json:"fresh_qps"`
	Rounds       []ChurnRound `json:"rounds"`
	Bar          Bar          `json:"bar"` // recall lost from the fresh index to the last round
}

// ChurnRound is the state after deleting a share of the points and inserting them again.
type ChurnRound struct {
	Deleted       int     `json:"deleted"`
	DeleteSeconds float64 `json:"delete_seconds"`
	RecallDeleted float64 `json:"recall_deleted"` // after the deletes, of the points that are left
	InsertSeconds float64 `json:"insert_seconds"`
	Seconds       float64 `json:"seconds"` // both
	Recall        float64 `json:"recall"`  // after the inserts, of all points
	QPS           float64 `json:"qps"`     // one pass over the queries
}

// Churn builds a graph, deletes a share of its points and inserts them again with the vectors they had, round after round. As the
// points are the same then, every round can be compared with the fresh graph: what recall is lost, the repair of the graph lost.
func Churn(ctx context.Context, d Data, o RunbookOptions) (ChurnReport, error) {
	if err := o.check(d); err != nil {
		return ChurnReport{}, err
	}
	ix, built, err := build(ctx, d, index.Options{Quantization: o.Quantization, Seed: o.Seed, Threads: o.Threads}, o.Progress)
	if err != nil {
		return ChurnReport{}, err
	}
	o.say("built in %.1f s", built.Seconds)
	r := ChurnReport{Setup: o.setup(RunbookChurn, d), BuildSeconds: built.Seconds}
	return r, r.run(ctx, d, o, ix)
}

// run fills the report. ix holds all points of d.
func (r *ChurnReport) run(ctx context.Context, d Data, o RunbookOptions, ix index.Index) error {
	exact, err := findTruth(ctx, d, o.K, o.Threads)
	if err != nil {
		return err
	}
	fresh, err := ask(ctx, ix, exact, index.Params{EF: o.EF}, nil)
	if err != nil {
		return err
	}
	r.FreshRecall, r.FreshQPS = fresh.recall, fresh.qps
	o.say("fresh: recall@%d %.4f, %.0f queries/s", o.K, fresh.recall, fresh.qps)
	rng := rand.New(rand.NewPCG(o.Seed, 0x636875726e)) // "churn"
	for n := range o.Rounds {
		round, err := r.round(ctx, d, o, ix, exact, rng.Perm(len(d.Base)))
		if err != nil {
			return fmt.Errorf("round %d: %w", n+1, err)
		}
		r.Rounds = append(r.Rounds, round)
		o.say("round %d of %d: recall@%d %.4f (%.4f before the inserts), %.1f s", n+1, o.Rounds, o.K, round.Recall, round.RecallDeleted, round.Seconds)
	}
	last := r.Rounds[len(r.Rounds)-1].Recall
	r.Bar = bar(fmt.Sprintf("recall lost in %d rounds", len(r.Rounds)), rounded(r.FreshRecall-last, 6), churnLoss)
	return nil
}

// round deletes and inserts the first points of a shuffled order.
func (r *ChurnReport) round(ctx context.Context, d Data, o RunbookOptions, ix index.Index, exact *truth, order []int) (ChurnRound, error) {
	n := int(churnShare * float64(len(order)))
	ids, vectors := make([]string, n), make([][]float32, n)
	for i, row := range order[:n] {
		ids[i], vectors[i] = fmt.Sprint(row), d.Base[row]
	}
	round := ChurnRound{Deleted: n}
	start := time.Now()
	if err := inBatches(ctx, n, func(from, to int) error { return ix.Delete(ids[from:to]) }); err != nil {
		return round, err
	}
	round.DeleteSeconds = rounded(time.Since(start).Seconds(), 3)

	left := Data{Name: d.Name, Metric: d.Metric, Queries: d.Queries}
	rowOf := make(map[string]int, len(order)-n)
	for i, row := range order[n:] {
		left.Base, rowOf[fmt.Sprint(row)] = append(left.Base, d.Base[row]), i
	}
	exactLeft, err := findTruth(ctx, left, o.K, o.Threads)
	if err != nil {
		return round, err
	}
	after, err := ask(ctx, ix, exactLeft, index.Params{EF: o.EF}, rowOf)
	if err != nil {
		return round, fmt.Errorf("after the deletes: %w", err)
	}
	round.RecallDeleted = after.recall

	start = time.Now()
	if err := inBatches(ctx, n, func(from, to int) error { return ix.Upsert(ids[from:to], vectors[from:to]) }); err != nil {
		return round, err
	}
	round.InsertSeconds = rounded(time.Since(start).Seconds(), 3)
	round.Seconds = rounded(round.DeleteSeconds+round.InsertSeconds, 3)
	after, err = ask(ctx, ix, exact, index.Params{EF: o.EF}, nil)
	round.Recall, round.QPS = after.recall, after.qps
	return round, err
}

// inBatches calls f for pieces of 0 … n, few enough points each that an interruption does not wait long.
func inBatches(ctx context.Context, n int, f func(from, to int) error) error {
	for from := 0; from < n; from += buildBatch {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f(from, min(from+buildBatch, n)); err != nil {
			return err
		}
	}
	return nil
}

// WriteTable writes the report for people.
func (r ChurnReport) WriteTable(w io.Writer) error {
	return writeRunbook(w, r.Setup, func(t *tabwriter.Writer) {
		fmt.Fprintf(t, "round\tdeleted\trecall@%d\tQPS\tbefore inserts\tdelete s\tinsert s\t\n", r.K)
		fmt.Fprintf(t, "fresh\t-\t%.4f\t%.0f\t-\t-\t%.2f\t\n", r.FreshRecall, r.FreshQPS, r.BuildSeconds)
		for i, c := range r.Rounds {
			fmt.Fprintf(t, "%d\t%d\t%.4f\t%.0f\t%.4f\t%.2f\t%.2f\t\n", i+1, c.Deleted, c.Recall, c.QPS, c.RecallDeleted, c.DeleteSeconds, c.InsertSeconds)
		}
	}, r.Bar)
}

package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/akin-search/akin/index"
)

const coldLimit = 1.0 // seconds to the first right answer

// ColdReport is the result of ColdStart.
type ColdReport struct {
	Setup
	BuildSeconds float64   `json:"build_seconds"`
	CloseSeconds float64   `json:"close_seconds"` // of Close, which writes the snapshot
	StoreBytes   int64     `json:"store_bytes"`   // of all files
	Dropped      bool      `json:"dropped"`       // the files were dropped from the page cache before every start
	Seconds      []float64 `json:"seconds"`       // from Open to the first right answer, of every start
	Median       float64   `json:"median_seconds"`
	Bar          Bar       `json:"bar"`
}

// ColdQuestion is what a cold start has to answer: the nearest point of a stored vector.
type ColdQuestion struct {
	Dir     string    `json:"dir"` // of the store
	Threads int       `json:"threads"`
	EF      int       `json:"ef"`
	K       int       `json:"k"`
	Vector  []float32 `json:"vector"`
}

// ColdAnswer is what it answered.
type ColdAnswer struct {
	ID      string  `json:"id"`      // of the nearest
	Points  int     `json:"points"`  // of the collection
	Seconds float64 `json:"seconds"` // from before Open to the answer
}

// AskCold opens the store, searches and closes it.
func AskCold(ctx context.Context, q ColdQuestion) (a ColdAnswer, err error) {
	start := time.Now()
	s, err := index.Open(q.Dir, index.StoreOptions{Threads: q.Threads})
	if err != nil {
		return a, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	c, err := s.Collection(runbookCollection)
	if err != nil {
		return a, err
	}
	hits, err := c.Search(ctx, q.Vector, q.K, index.Params{EF: q.EF})
	if err != nil {
		return a, err
	}
	a.Seconds = time.Since(start).Seconds()
	a.Points = c.Len()
	if len(hits) > 0 {
		a.ID = hits[0].ID
	}
	return a, nil
}

// ColdStart fills a store once and closes it. Then, round after round, it drops the files from the page cache as far as the system
// lets it and has ask open the store and search it: AskCold, best in a new process.
func ColdStart(ctx context.Context, d Data, o RunbookOptions, ask func(context.Context, ColdQuestion) (ColdAnswer, error)) (ColdReport, error) {
	if err := o.check(d); err != nil {
		return ColdReport{}, err
	}
	r := ColdReport{Setup: o.setup(RunbookColdStart, d)}
	err := o.inFolder(func(dir string) error {
		if err := r.build(ctx, d, o, dir); err != nil {
			return err
		}
		return r.start(ctx, d, o, dir, ask)
	})
	return r, err
}

func (r *ColdReport) build(ctx context.Context, d Data, o RunbookOptions, dir string) error {
	s, err := index.Open(dir, index.StoreOptions{Threads: o.Threads})
	if err != nil {
		return err
	}
	c, err := s.Create(runbookCollection, o.config(d))
	if err == nil {
		r.BuildSeconds, err = o.fill(ctx, c, len(d.Base), func(i int) index.Point {
			return index.Point{ID: strconv.Itoa(i), Vector: d.Base[i]}
		})
	}
	if err != nil {
		return errors.Join(err, s.Close())
	}
	began := time.Now()
	if err := s.Close(); err != nil {
		return err
	}
	r.CloseSeconds = rounded(time.Since(began).Seconds(), 3)
	err = filepath.WalkDir(dir, func(_ string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			r.StoreBytes += info.Size()
		}
		return err
	})
	o.say("stored in %.1f s, closed in %.1f s, %.0f MB", r.BuildSeconds, r.CloseSeconds, float64(r.StoreBytes)/1e6)
	return err
}

func (r *ColdReport) start(ctx context.Context, d Data, o RunbookOptions, dir string, ask func(context.Context, ColdQuestion) (ColdAnswer, error)) error {
	rng := rand.New(rand.NewPCG(o.Seed, 0x636f6c64)) // "cold"
	questions := Data{Name: d.Name, Metric: d.Metric, Base: d.Base}
	for range o.Rounds {
		questions.Queries = append(questions.Queries, d.Base[rng.IntN(len(d.Base))])
	}
	exact, err := findTruth(ctx, questions, 1, o.Threads)
	if err != nil {
		return err
	}
	r.Dropped = true
	for n := range o.Rounds {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := dropCaches(dir); err != nil {
			if !errors.Is(err, errors.ErrUnsupported) {
				return err
			}
			r.Dropped = false
		}
		a, err := ask(ctx, ColdQuestion{Dir: dir, Threads: o.Threads, EF: o.EF, K: o.K, Vector: questions.Queries[n]})
		if err != nil {
			return fmt.Errorf("start %d: %w", n+1, err)
		}
		if a.Points != len(d.Base) {
			return fmt.Errorf("start %d: %w: the store has %d points, stored were %d", n+1, ErrWrong, a.Points, len(d.Base))
		}
		if recall, err := exact.recall(n, []index.Hit{{ID: a.ID}}); err != nil || recall < 1 {
			return fmt.Errorf("start %d: %w: point %q is not the nearest", n+1, ErrWrong, a.ID)
		}
		r.Seconds = append(r.Seconds, rounded(a.Seconds, 4))
		o.say("start %d of %d: %.3f s", n+1, o.Rounds, a.Seconds)
	}
	r.Median = rounded(median(r.Seconds), 4)
	r.Bar = bar("seconds from opening to the first right answer", r.Median, coldLimit)
	return nil
}

// ErrWrong is wrapped by the errors of an answer that is not the right one.
var ErrWrong = errors.New("wrong answer")

// WriteTable writes the report for people.
func (r ColdReport) WriteTable(w io.Writer) error {
	return writeRunbook(w, r.Setup, func(t *tabwriter.Writer) {
		fmt.Fprintf(t, "stored s\tclosed s\tstore MB\tfrom disk\tstarts\tfastest s\tmedian s\tslowest s\t\n")
		from := "no"
		if r.Dropped {
			from = "yes"
		}
		slow, fast := r.Median, r.Median
		for _, s := range r.Seconds {
			slow, fast = max(slow, s), min(fast, s)
		}
		fmt.Fprintf(t, "%.1f\t%.1f\t%.0f\t%s\t%d\t%.3f\t%.3f\t%.3f\t\n", r.BuildSeconds, r.CloseSeconds, float64(r.StoreBytes)/1e6, from, len(r.Seconds), fast, r.Median, slow)
	}, r.Bar)
}

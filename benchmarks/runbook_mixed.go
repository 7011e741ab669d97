package benchmarks

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/akin-search/akin/index"
)

const (
	mixedShare = 0.2 // of the points come and go; half of them are there at a time
	mixedBatch = 100 // points of one Upsert, ids of one Delete
	mixedSlow  = 3.0 // times the p99 of idle searches is allowed beside writes
)

// MixedReport is the result of Mixed.
type MixedReport struct {
	Setup
	BuildSeconds float64      `json:"build_seconds"` // of the collection, its store included
	Idle         MixedPhase   `json:"idle"`          // medians of the rounds
	Writing      MixedPhase   `json:"writing"`
	Rounds       []MixedRound `json:"rounds"`
	FinalRecall  float64      `json:"final_recall"` // after the last write, of all points that are left
	Bar          Bar          `json:"bar"`          // p99 beside writes over p99 idle, median of the rounds' ratios
}

// MixedRound is searches alone, and then beside writes.
type MixedRound struct {
	Idle    MixedPhase `json:"idle"`
	Writing MixedPhase `json:"writing"`
}

// MixedPhase is what one thread of searches saw.
type MixedPhase struct {
	Searches int `json:"searches"`
	// Recall is the share found of the points that stay and are nearer than the farthest hit.
	Recall float64 `json:"recall"`
	P50    float64 `json:"p50_us"` // by the wall clock
	P99    float64 `json:"p99_us"`
	Writes float64 `json:"writes_per_second"` // points inserted and deleted, each durable
}

// mixed is a collection some of whose points come and go.
type mixed struct {
	d     Data
	o     RunbookOptions
	c     mixedCollection
	start time.Time
	// Rows up to stay stay. Of the others, in a circle, width rows from first on are in the collection.
	stay, first, width int
	// goneSince is when the deletion of a row was acknowledged, in nanoseconds since start; 0 from before its next insertion on.
	goneSince []atomic.Int64
	exact     *truth // of the rows that stay
	near      [][]stayer
}

// mixedCollection is what Mixed wants of a collection.
type mixedCollection interface {
	searcher
	Upsert(ctx context.Context, points []index.Point) error
	Delete(ctx context.Context, ids []string) error
}

// stayer is one of the k nearest of a query that stay.
type stayer struct {
	row      int
	distance float64
}

// Mixed fills a collection and searches it on one thread, in turns alone and beside a writer that inserts and deletes points as fast
// as it can. What a search must find changes all the time; checked is that it finds the points that stay, and none that were gone
// before it began.
func Mixed(ctx context.Context, d Data, o RunbookOptions) (MixedReport, error) {
	if err := o.check(d); err != nil {
		return MixedReport{}, err
	}
	r := MixedReport{Setup: o.setup(RunbookMixed, d)}
	m := newMixed(d, o)
	err := o.inCollection(d, func(c *index.Collection) (err error) {
		r.BuildSeconds, err = o.fill(ctx, c, m.stay+m.width, m.point)
		if err != nil {
			return err
		}
		o.say("stored in %.1f s", r.BuildSeconds)
		m.c = c
		return m.run(ctx, &r)
	})
	return r, err
}

func newMixed(d Data, o RunbookOptions) *mixed {
	width := int(mixedShare * float64(len(d.Base)) / 2)
	stay := len(d.Base) - 2*width
	return &mixed{d: d, o: o, stay: stay, first: stay, width: width, goneSince: make([]atomic.Int64, len(d.Base))}
}

func (m *mixed) point(row int) index.Point {
	return index.Point{ID: strconv.Itoa(row), Vector: m.d.Base[row]}
}

func (m *mixed) run(ctx context.Context, r *MixedReport) error {
	m.start = time.Now()
	if err := m.findStayers(ctx); err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(m.o.Seed, 0x6d69786564)) // "mixed"
	var ratios []float64
	for n := range m.o.Rounds {
		round := MixedRound{}
		var err error
		if round.Idle, err = m.search(ctx, rng, m.o.Phase); err != nil {
			return err
		}
		if round.Writing, err = m.searchBesideWrites(ctx, rng); err != nil {
			return err
		}
		m.o.say("round %d of %d: p99 %.0f µs idle, %.0f µs beside %.0f writes/s, recall %.4f and %.4f", n+1, m.o.Rounds,
			round.Idle.P99, round.Writing.P99, round.Writing.Writes, round.Idle.Recall, round.Writing.Recall)
		r.Rounds = append(r.Rounds, round)
		ratios = append(ratios, round.Writing.P99/round.Idle.P99)
	}
	r.Idle = medianPhase(r.Rounds, func(x MixedRound) MixedPhase { return x.Idle })
	r.Writing = medianPhase(r.Rounds, func(x MixedRound) MixedPhase { return x.Writing })
	r.Bar = bar("p99 beside writes over p99 idle", rounded(median(ratios), 3), mixedSlow)

	left, rowOf := m.d, map[string]int{}
	left.Base = nil
	for row := range m.d.Base {
		if row < m.stay || m.present(row) {
			rowOf[strconv.Itoa(row)] = len(left.Base)
			left.Base = append(left.Base, m.d.Base[row])
		}
	}
	exact, err := findTruth(ctx, left, m.o.K, m.o.Threads)
	if err != nil {
		return err
	}
	final, err := ask(ctx, m.c, exact, index.Params{EF: m.o.EF}, rowOf)
	r.FinalRecall = final.recall
	return err
}

// present reports whether a row that comes and goes is there. Not for use beside the writer.
func (m *mixed) present(row int) bool {
	circle := len(m.d.Base) - m.stay
	return (row-m.first+circle)%circle < m.width
}

// findStayers finds the k nearest that stay of every query.
func (m *mixed) findStayers(ctx context.Context) error {
	stay := m.d
	stay.Base, stay.Truth = m.d.Base[:m.stay], nil
	exact, err := findTruth(ctx, stay, m.o.K, m.o.Threads)
	if err != nil {
		return err
	}
	m.exact = exact
	m.near = make([][]stayer, len(m.d.Queries))
	for i, rows := range exact.nearest {
		for _, row := range rows {
			m.near[i] = append(m.near[i], stayer{int(row), exact.distance(i, int(row))})
		}
	}
	// The distances of hits that come and go are wanted too.
	all := m.d
	all.Truth = nil
	m.exact = newTruth(all, m.o.K)
	return nil
}

// search asks random queries for some time.
func (m *mixed) search(ctx context.Context, rng *rand.Rand, long time.Duration) (MixedPhase, error) {
	var p MixedPhase
	var took []float64
	found, expected := 0, 0
	for began := time.Now(); time.Since(began) < long; p.Searches++ {
		if err := ctx.Err(); err != nil {
			return p, err
		}
		i := rng.IntN(len(m.d.Queries))
		before := time.Since(m.start)
		hits, t, err := timedSearch(ctx, m.c, m.d.Queries[i], m.o.K, index.Params{EF: m.o.EF})
		if err != nil {
			return p, err
		}
		took = append(took, t)
		f, e, err := m.check(i, hits, before)
		if err != nil {
			return p, err
		}
		found, expected = found+f, expected+e
	}
	slices.Sort(took)
	p.P50, p.P99 = rounded(quantile(took, 0.50), 2), rounded(quantile(took, 0.99), 2)
	p.Recall = rounded(float64(found)/float64(max(expected, 1)), 6)
	return p, nil
}

// check counts the stayers nearer than the farthest hit, and those of them that are among the hits of a search that began at before.
func (m *mixed) check(query int, hits []index.Hit, before time.Duration) (found, expected int, err error) {
	if len(hits) != m.o.K {
		return 0, 0, fmt.Errorf("query %d: %d hits, want %d", query, len(hits), m.o.K)
	}
	seen := make(map[int]bool, len(hits))
	farthest := 0.0
	for j, h := range hits {
		row, err := strconv.Atoi(h.ID)
		if err != nil || row < 0 || row >= len(m.d.Base) || seen[row] {
			return 0, 0, fmt.Errorf("query %d: hit %q is no point, or came twice", query, h.ID)
		}
		if gone := m.goneSince[row].Load(); gone != 0 && gone < before.Nanoseconds() {
			return 0, 0, fmt.Errorf("query %d: hit %q was deleted %v before the search began", query, h.ID, before-time.Duration(gone))
		}
		seen[row] = true
		if d := m.exact.distance(query, row); j == 0 || d > farthest {
			farthest = d
		}
	}
	for _, s := range m.near[query] {
		if s.distance+m.exact.slack(query, s.distance) < farthest {
			expected++
			if seen[s.row] {
				found++
			}
		}
	}
	return found, expected, nil
}

// searchBesideWrites searches while another goroutine writes.
func (m *mixed) searchBesideWrites(ctx context.Context, rng *rand.Rand) (MixedPhase, error) {
	writing, stop := context.WithCancel(ctx)
	defer stop()
	type outcome struct {
		writes  int
		seconds float64
		err     error
	}
	done := make(chan outcome, 1)
	go func() {
		began := time.Now()
		n, err := m.write(ctx, writing)
		done <- outcome{n, time.Since(began).Seconds(), err}
		stop()
	}()
	p, err := m.search(ctx, rng, m.o.Phase)
	stop()
	w := <-done
	if err == nil {
		err = w.err
	}
	p.Writes = rounded(float64(w.writes)/w.seconds, 1)
	return p, err
}

// write inserts points and deletes as many until stop ends, and returns how many it has done of both. A batch is finished.
func (m *mixed) write(ctx, stop context.Context) (writes int, err error) {
	circle := len(m.d.Base) - m.stay
	batch := min(mixedBatch, circle-m.width)
	at := func(n int) int { return m.stay + (m.first-m.stay+n)%circle }
	for stop.Err() == nil {
		points, ids := make([]index.Point, batch), make([]string, batch)
		for i := range batch {
			row := at(m.width + i)
			m.goneSince[row].Store(0)
			points[i], ids[i] = m.point(row), strconv.Itoa(at(i))
		}
		if err := m.c.Upsert(ctx, points); err != nil {
			return writes, err
		}
		if err := m.c.Delete(ctx, ids); err != nil {
			return writes, err
		}
		now := time.Since(m.start).Nanoseconds()
		for i := range batch {
			m.goneSince[at(i)].Store(now)
		}
		m.first = at(batch)
		writes += 2 * batch
	}
	return writes, nil
}

// medianPhase takes the median of every figure.
func medianPhase(rounds []MixedRound, pick func(MixedRound) MixedPhase) MixedPhase {
	of := func(figure func(MixedPhase) float64, decimals int) float64 {
		values := make([]float64, len(rounds))
		for i, r := range rounds {
			values[i] = figure(pick(r))
		}
		return rounded(median(values), decimals)
	}
	return MixedPhase{
		Searches: int(of(func(p MixedPhase) float64 { return float64(p.Searches) }, 0)),
		Recall:   of(func(p MixedPhase) float64 { return p.Recall }, 6),
		P50:      of(func(p MixedPhase) float64 { return p.P50 }, 2),
		P99:      of(func(p MixedPhase) float64 { return p.P99 }, 2),
		Writes:   of(func(p MixedPhase) float64 { return p.Writes }, 1),
	}
}

// WriteTable writes the report for people.
func (r MixedReport) WriteTable(w io.Writer) error {
	return writeRunbook(w, r.Setup, func(t *tabwriter.Writer) {
		fmt.Fprintf(t, "round\t\tsearches\trecall\tp50 µs\tp99 µs\twrites/s\t\n")
		row := func(name, what string, p MixedPhase) {
			fmt.Fprintf(t, "%s\t%s\t%d\t%.4f\t%.1f\t%.1f\t%.0f\t\n", name, what, p.Searches, p.Recall, p.P50, p.P99, p.Writes)
		}
		for i, m := range r.Rounds {
			row(strconv.Itoa(i+1), "idle", m.Idle)
			row("", "writing", m.Writing)
		}
		row("median", "idle", r.Idle)
		row("", "writing", r.Writing)
		fmt.Fprintf(t, "after\tthe last write\t\t%.4f\t\t\t\t\n", r.FinalRecall)
	}, r.Bar)
}

package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/akin-search/akin/encoder/kernel"
	"github.com/akin-search/akin/index"
)

// StreamOptions say how drift is measured. Zero means the default.
type StreamOptions struct {
	Items    int // healthy items before a change; default 100 000
	Seeds    int // default 1
	Seed     uint64
	Threads  int
	Progress func(line string)
}

// SetDefaults fills the zero fields.
func (o *StreamOptions) SetDefaults() {
	if o.Items == 0 {
		o.Items = 100_000
	}
	if o.Seeds == 0 {
		o.Seeds = 1
	}
	if o.Threads == 0 {
		o.Threads = min(runtime.GOMAXPROCS(0), kernel.MaxThreads)
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
}

// Validate reports the first option outside its limits.
func (o StreamOptions) Validate() error {
	switch {
	case o.Items < 1 || o.Items > 100_000_000:
		return fmt.Errorf("%d items: %w: use 1 to 100000000", o.Items, ErrInvalid)
	case o.Seeds < 1 || o.Seeds > MaxSeeds:
		return fmt.Errorf("%d seeds: %w: use 1 to %d", o.Seeds, ErrInvalid, MaxSeeds)
	case o.Threads < 0 || o.Threads > index.MaxThreads:
		return fmt.Errorf("%d threads: %w: use 1 to %d", o.Threads, ErrInvalid, index.MaxThreads)
	}
	return nil
}

// StreamReport is what Stream found.
type StreamReport struct {
	Items       int               `json:"items"` // healthy ones before each change
	Seeds       int               `json:"seeds"`
	Known       int               `json:"known_items"`
	Calibration int               `json:"calibration_items"`
	Dimension   int               `json:"dimension"`
	Healthy     int               `json:"healthy_items"`      // in all streams
	FalseAlarms int               `json:"false_drift_alarms"` // in these
	Promised    float64           `json:"mean_time_between_false_alarms"`
	Alarms      []index.AlarmRate `json:"alarm_rate"` // of the verdicts on healthy items up to the first false drift alarm, in the last stream
	Changes     []StreamChange    `json:"changes"`
}

// StreamChange is how a change was noticed.
type StreamChange struct {
	Change  string    `json:"change"`
	Noticed int       `json:"noticed"` // of the seeds, within streamPatience items
	Delays  []int     `json:"delays"`  // items until the alarm, a seed; streamPatience where there was none
	Median  float64   `json:"median_delay"`
	Rates   []float64 `json:"alarm_rate_after"` // share of the items after the change that alpha 0.01 calls anomalies, a seed
}

const (
	streamKnown, streamCalibration = 5000, 1000
	streamDimension                = 64
	streamClusters                 = 20
	streamPatience                 = 20_000 // items after a change
)

// streamChanges are what happens to the items: their spread about the middle of a cluster grows, or a share of them is of a new kind.
var streamChanges = []struct {
	name   string
	spread float64
	new    float64
}{{"spread × 1.05", 1.05, 0}, {"spread × 1.2", 1.2, 0}, {"5 % of a new kind", 1, 0.05}, {"half of a new kind", 1, 0.5}}

// Stream measures the watch over verdicts: a collection of drawn vectors with a detector, a long stream of others drawn alike, and then a change.
// After a false drift alarm the collection is calibrated anew, as its user would, and the stream goes on. It stops when ctx ends.
func Stream(ctx context.Context, o StreamOptions) (r StreamReport, err error) {
	o.SetDefaults()
	if err := o.Validate(); err != nil {
		return r, err
	}
	r = StreamReport{Items: o.Items, Seeds: o.Seeds, Known: streamKnown, Calibration: streamCalibration, Dimension: streamDimension, Promised: index.DefaultDriftTime}
	for i, change := range streamChanges {
		c := StreamChange{Change: change.name}
		for seed := range o.Seeds {
			s, err := newStream(ctx, o.Threads, o.Seed+uint64(seed), uint64(i))
			if err != nil {
				return r, err
			}
			err = s.run(ctx, o.Items, change.spread, change.new, &r, &c)
			if err := errors.Join(err, s.Close()); err != nil {
				return r, err
			}
			o.Progress(fmt.Sprintf("%s, seed %d: noticed after %d items; %d false alarms in %d healthy items so far", change.name, o.Seed+uint64(seed), c.Delays[seed], r.FalseAlarms, r.Healthy))
		}
		delays := make([]float64, len(c.Delays))
		for i, d := range c.Delays {
			delays[i] = float64(d)
			if d < streamPatience {
				c.Noticed++
			}
		}
		c.Median = median(delays)
		r.Changes = append(r.Changes, c)
	}
	return r, nil
}

// stream is a collection with what its items are drawn from.
type stream struct {
	*stored
	rng     *rand.Rand
	centers [][]float32 // the last is the new kind's
}

func newStream(ctx context.Context, threads int, seed, change uint64) (*stream, error) {
	s := &stream{rng: rand.New(rand.NewPCG(seed, 0x73747265616d+change))} // "stream"
	for range streamClusters + 1 {
		c := make([]float32, streamDimension)
		for j := range c {
			c[j] = float32(s.rng.NormFloat64())
		}
		s.centers = append(s.centers, c)
	}
	var err error
	if s.stored, err = storedOf(index.Config{Dimension: streamDimension, Metric: index.L2, Seed: seed}, index.StoreOptions{Threads: threads}); err != nil {
		return nil, err
	}
	points := func(name string, n int) []index.Point {
		p := make([]index.Point, n)
		for i := range p {
			p[i] = index.Point{ID: name + strconv.Itoa(i), Vector: s.draw(1, 0)}
		}
		return p
	}
	err = s.Collection.Upsert(ctx, points("known-", streamKnown))
	if err == nil {
		err = s.SetAside(ctx, index.RoleCalibration, points("aside-", streamCalibration))
	}
	if err == nil {
		err = s.Calibrate(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// draw draws an item.
func (s *stream) draw(spread, newKind float64) []float32 {
	center := s.centers[s.rng.IntN(streamClusters)]
	if s.rng.Float64() < newKind {
		center = s.centers[streamClusters]
	}
	v := make([]float32, streamDimension)
	for j, c := range center {
		v[j] = c + float32(mixtureSpread*spread*s.rng.NormFloat64())
	}
	return v
}

// judge judges an item and watches; it reports whether that is an anomaly.
func (s *stream) judge(ctx context.Context, v []float32) (bool, error) {
	d := s.Detector()
	verdict, err := d.Verdict(ctx, v, index.DefaultAlpha)
	if err != nil {
		return false, err
	}
	s.Watch(d, verdict)
	return verdict.Anomaly, nil
}

func (s *stream) run(ctx context.Context, items int, spread, newKind float64, r *StreamReport, c *StreamChange) error {
	first := true
	for range items {
		if _, err := s.judge(ctx, s.draw(1, 0)); err != nil {
			return err
		}
		if w := s.Watched(); w.Drift.Alarm {
			r.FalseAlarms++
			if first {
				first, r.Alarms = false, w.Alarms
			}
			if err := s.Calibrate(ctx); err != nil {
				return err
			}
		}
	}
	r.Healthy += items
	if first {
		r.Alarms = s.Watched().Alarms
	}
	anomalies, delay := 0, 0
	for delay < streamPatience {
		strange, err := s.judge(ctx, s.draw(spread, newKind))
		if err != nil {
			return err
		}
		delay++
		if strange {
			anomalies++
		}
		if s.Watched().Drift.Alarm {
			break
		}
	}
	c.Delays, c.Rates = append(c.Delays, delay), append(c.Rates, rounded(float64(anomalies)/float64(delay), 4))
	return nil
}

// WriteTable writes the report for people.
func (r StreamReport) WriteTable(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d false drift alarms in %d healthy items; promised is one in %.0f on average at most\n\n", r.FalseAlarms, r.Healthy, r.Promised)
	t := tabwriter.NewWriter(&b, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "after %d healthy items\tnoticed\tmedian delay, items\t\n", r.Items)
	for _, c := range r.Changes {
		fmt.Fprintf(t, "%s\t%d of %d\t%.0f\t\n", c.Change, c.Noticed, r.Seeds, c.Median)
	}
	t.Flush() // into memory: nothing to fail
	_, err := io.WriteString(w, b.String())
	return err
}

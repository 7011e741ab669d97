package index

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// What is watched is stored when the store closes, when drift is noticed, and else once a watchEvery, so that a restart goes on from
// there; a process that is killed loses the verdicts since. It is a sealed record (sealed.go) with the content
//
//	judged u64   alarms u64…   seen u64   alarm at u64   statistics f64…
//	sequence of the detector u64   number of its scores u32   the scores that others are ranked among, ascending, f64…
//	mark of another judge's calibration u64   its scores u64   the scores that others of it are ranked among, ascending, f64…
//
// Version 1 has no number of scores and no other judge: 8 bytes a field.
const watchEvery = time.Minute

// due starts storing in the background where it is time, or at once. The caller holds w.mu.
func (w *watch) due(c *Collection, atOnce bool) {
	now := time.Now()
	if !atOnce && now.Sub(w.stored) < watchEvery {
		return
	}
	w.stored = now
	c.store.watching.start(&c.store.gate, func(context.Context) {
		if err := c.storeWatch(); err != nil {
			c.store.opt.Logger.Error("what is known of the verdicts is not stored", "collection", c.name, "error", err)
		}
	})
}

// storeWatch stores what is watched, where it has changed.
func (c *Collection) storeWatch() error {
	w := &c.watch
	w.storing.Lock()
	defer w.storing.Unlock()
	key := numberKey(recordWatch, c.record.Number)
	w.mu.Lock()
	if !w.changed {
		w.mu.Unlock()
		return nil
	}
	w.changed = false
	record := seal(w.content(newRecord(kindWatch, 1<<10)), string(key))
	w.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dropped.Load() {
		return nil
	}
	garbage := 0
	err := c.store.update(func(txn *badger.Txn) error {
		if old, err := txn.Get(key); err == nil {
			garbage = large(old)
		}
		return txn.Set(key, record)
	})
	if err != nil {
		return fmt.Errorf("storing what is known of the verdicts: %w", err)
	}
	c.store.litter(garbage)
	return nil
}

// content appends the record's content. The caller holds w.mu.
func (w *watch) content(b []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint64(b, w.judged)
	for _, n := range w.alarms {
		b = le.AppendUint64(b, n)
	}
	b = le.AppendUint64(le.AppendUint64(b, w.drift.seen), w.drift.alarmAt)
	for _, r := range w.drift.r {
		b = le.AppendUint64(b, math.Float64bits(r))
	}
	b = le.AppendUint64(b, w.sequence)
	n := 0
	if w.ranks != nil {
		n = w.ranks.n
	}
	b = w.ranks.append(le.AppendUint32(b, uint32(n)))
	return w.other.ranks.append(le.AppendUint64(le.AppendUint64(b, w.other.mark), w.other.n))
}

// append appends the numbers of r, which may be nil.
func (r *ranked) append(b []byte) []byte {
	if r == nil {
		return b
	}
	for _, block := range r.blocks {
		for _, x := range block {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
		}
	}
	return b
}

// readWatch is the inverse of content.
func readWatch(content []byte) (*watch, error) {
	w, r := &watch{}, reader{b: content}
	w.judged = r.uint64()
	for i := range w.alarms {
		if w.alarms[i] = r.uint64(); w.alarms[i] > w.judged {
			return nil, fmt.Errorf("%d alarms among %d verdicts: %w", w.alarms[i], w.judged, ErrCorrupt)
		}
	}
	w.drift.seen, w.drift.alarmAt = r.uint64(), r.uint64()
	for i := range w.drift.r {
		if w.drift.r[i] = r.float64(); !(w.drift.r[i] >= 0) {
			return nil, fmt.Errorf("drift statistic %v: %w", w.drift.r[i], ErrCorrupt)
		}
	}
	w.sequence = r.uint64()
	n := len(r.b) / 8
	if len(r.b)%8 != 0 { // version 2 or later
		n = int(r.uint32())
	}
	if r.bad || w.drift.seen > w.judged || w.drift.alarmAt > w.drift.seen {
		return nil, fmt.Errorf("%d bytes after %d verdicts, %d of them watched for drift: %w", len(r.b), w.judged, w.drift.seen, ErrCorrupt)
	}
	var err error
	if w.ranks, err = r.ranked(n); err != nil || len(r.b) == 0 {
		return w, err
	}
	w.other.mark, w.other.n = r.uint64(), r.uint64()
	if w.other.n > 0 {
		w.other.ranks, err = r.ranked(len(r.b) / 8)
	}
	if err == nil && (r.bad || len(r.b) > 0 || w.other.n > 0 && uint64(w.other.ranks.n) < w.other.n) {
		err = fmt.Errorf("%d bytes after the scores of another judge, which %d calibrate: %w", len(r.b), w.other.n, ErrCorrupt)
	}
	return w, err
}

// ranked reads n numbers.
func (r *reader) ranked(n int) (*ranked, error) {
	if n > len(r.b)/8 {
		return nil, fmt.Errorf("%d scores in %d bytes: %w", n, len(r.b), ErrCorrupt)
	}
	scores := make([]float64, n)
	for i := range scores {
		if scores[i] = r.float64(); math.IsNaN(scores[i]) {
			return nil, fmt.Errorf("score %d is not a number: %w", i, ErrCorrupt)
		}
	}
	if !slices.IsSorted(scores) {
		return nil, fmt.Errorf("%d scores out of order: %w", len(scores), ErrCorrupt)
	}
	return newRanked(scores), nil
}

// loadWatch reads what is watched. A damaged record is left out: counting begins anew.
func (c *Collection) loadWatch(txn *badger.Txn) error {
	content, err := getSealed(txn, numberKey(recordWatch, c.record.Number), kindWatch)
	if content == nil && err == nil {
		return nil
	}
	var loaded *watch
	if err == nil {
		loaded, err = readWatch(content)
	}
	if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrFormat) {
		c.store.opt.Logger.Warn("what was known of the verdicts cannot be used, counting begins anew", "collection", c.name, "error", err)
		return nil
	}
	if err != nil {
		return err
	}
	w := &c.watch
	w.judged, w.alarms, w.drift, w.sequence, w.other = loaded.judged, loaded.alarms, loaded.drift, loaded.sequence, loaded.other
	w.drift.limit = c.store.opt.DriftTime
	w.coin = rand.New(rand.NewPCG(c.record.Config.Seed, 1+w.judged)) // not the draws of before again
	if d := c.detector.Load(); d != nil && d.sequence == w.sequence && loaded.ranks.n >= len(d.scores) {
		w.of, w.ranks = d, loaded.ranks
	}
	return nil
}

package index

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

// The promise of a detector is watched where it is used: how many of those judged are called anomalies, and whether their
// p-values still are what they are for data like the known. Both are of the time since the collection was calibrated by Calibrate, beyond
// restarts (watch_record.go).

// watchAlphas are the false-alarm rates that are watched.
var watchAlphas = [...]float64{0.01, 0.05, 0.1}

// watch is what a collection knows of the verdicts that it was told.
type watch struct {
	storing sync.Mutex // one record after the other; taken before mu, and before the collection's

	mu       sync.Mutex
	judged   uint64
	alarms   [len(watchAlphas)]uint64
	drift    drift
	of       *Detector // whose calibration scores ranks began with
	sequence uint64    // of it
	ranks    *ranked
	other    otherRanks
	coin     *rand.Rand
	changed  bool      // since it was stored
	stored   time.Time // or began to be
}

// otherRanks are the scores of another judge than the detector (WatchScore).
type otherRanks struct {
	mark  uint64  // of the calibration scores that ranks began with
	n     uint64  // how many these were
	ranks *ranked // nil: it has not judged
}

// markOf tells calibration scores from others.
func markOf(by Conformal) uint64 {
	h := fnv.New64a()
	for _, x := range by.scores {
		h.Write(binary.LittleEndian.AppendUint64(nil, math.Float64bits(x)))
	}
	return h.Sum64()
}

// WatchStats is what is known of the verdicts of a collection.
type WatchStats struct {
	Judged uint64      `json:"judged"` // verdicts, of any alpha
	Alarms []AlarmRate `json:"alarms"`
	Drift  DriftStats  `json:"drift"`
}

// AlarmRate is the share of the verdicts that an alpha calls anomalies. The interval holds at 95 % (Wilson 1927) for the rate of
// data like that judged; in that of data like the known, chance in the n calibration scores has a part, too: √(α(1−α)/n).
type AlarmRate struct {
	Alpha  float64 `json:"alpha"`
	Alarms uint64  `json:"alarms"`
	Rate   float64 `json:"rate"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

// DriftStats says whether what is judged is still like the known data. There is an alarm when Statistic reaches MeanTime, and it
// stays until Calibrate.
type DriftStats struct {
	Alarm     bool    `json:"alarm"`
	After     uint64  `json:"after,omitempty"` // verdicts before the alarm
	Statistic float64 `json:"statistic"`
	MeanTime  float64 `json:"mean_time_between_false_alarms"` // in verdicts, at least
}

// Watch takes note of a verdict of the collection's detector d on something new: not on a point, and not on one thing twice. One
// of a detector that was replaced meanwhile does not count.
func (c *Collection) Watch(d *Detector, v Verdict) {
	if d != c.detector.Load() {
		return
	}
	w := &c.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.coin == nil {
		w.reset(c)
	}
	if w.of != d { // it followed the points: scores of before are not comparable
		w.of, w.sequence, w.ranks = d, d.sequence, newRanked(d.scores)
	}
	w.note(c, w.ranks, v.Score, v.PValue)
}

// WatchScore is Watch for a verdict that is not the detector's: on something whose score another judge gave and compared with those of by, which
// is not empty. Its scores have ranks of their own; what is counted, and the evidence of drift, is one with the detector's.
func (c *Collection) WatchScore(by Conformal, score float64) {
	w := &c.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.coin == nil {
		w.reset(c)
	}
	if mark := markOf(by); w.other.ranks == nil || w.other.mark != mark {
		w.other = otherRanks{mark, uint64(len(by.scores)), newRanked(by.scores)}
	}
	w.note(c, w.other.ranks, score, by.PValue(score))
}

// note counts a verdict, and ranks its score. The caller holds w.mu.
func (w *watch) note(c *Collection, ranks *ranked, score, p float64) {
	w.judged++
	w.changed = true
	for i, alpha := range watchAlphas {
		if p <= alpha {
			w.alarms[i]++
		}
	}
	greater, equal := ranks.rank(score)
	u := (float64(w.coin.Uint64()>>12) + 0.5) * 0x1p-52
	before := w.drift.alarmAt
	w.drift.step((float64(greater) + u*float64(equal+1)) / float64(ranks.n+1))
	ranks.add(score)
	w.due(c, w.drift.alarmAt != before)
}

// reset forgets all. The caller holds w.mu.
func (w *watch) reset(c *Collection) {
	w.judged, w.alarms, w.of, w.ranks, w.other, w.changed = 0, [len(watchAlphas)]uint64{}, nil, nil, otherRanks{}, true
	w.drift = drift{limit: c.store.opt.DriftTime}
	w.coin = rand.New(rand.NewPCG(c.record.Config.Seed, 1))
}

// resetWatch forgets all, on disk too.
func (c *Collection) resetWatch() error {
	c.watch.mu.Lock()
	c.watch.reset(c)
	c.watch.mu.Unlock()
	return c.storeWatch()
}

// Watched returns what Watch and WatchScore were told. An alpha that a calibration does not support is left out.
func (c *Collection) Watched() WatchStats {
	w := &c.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	out := WatchStats{Judged: w.judged, Alarms: []AlarmRate{},
		Drift: DriftStats{w.drift.alarmAt > 0, w.drift.alarmAt, w.drift.statistic(), c.store.opt.DriftTime}}
	d := c.detector.Load()
	for i, alpha := range watchAlphas {
		if w.judged == 0 || d == nil || alpha < d.MinAlpha() || w.other.ranks != nil && alpha < pValueOf(0, int(w.other.n)) {
			continue
		}
		r := AlarmRate{Alpha: alpha, Alarms: w.alarms[i], Rate: float64(w.alarms[i]) / float64(w.judged)}
		r.Low, r.High = wilson(r.Rate, float64(w.judged), z95)
		out.Alarms = append(out.Alarms, r)
	}
	return out
}

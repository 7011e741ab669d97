package index

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// The detector follows the points. A write makes it stale; when writes have been quiet for a while it is fitted again in the
// background: clusters, choice of the score and calibration, from scratch, so that it depends on the points and on the seed
// alone and not on the way that they came. It carries the number of the last write that it knows and is stored by one
// transaction: after a crash the one of before is there, and is known to be stale.

const (
	// fitQuiet is how long no write comes before the detector is fitted again, and fitLatest how long it is put off at most.
	fitQuiet  = 500 * time.Millisecond
	fitLatest = 20 * time.Second
	// fitShare: of the time at most one part in so many is spent fitting, however much is written.
	fitShare = 5
	// fitRows bounds the points that a detector is fitted to: of more, so many are drawn by their ids. All are neighbours.
	fitRows = 100_000
	// fitWaiting is how many collections may wait at once; one is fitted at a time.
	fitWaiting = 4096
)

// Calibrate fits the collection's detector to its points and calibrates it with those kept aside for that (SetAside, HoldOut),
// and keeps it. ErrNotCalibrated: there are none, or none of a class that is known; the collection then has no detector. It also
// resets what Watch knows. A collection that was calibrated does so by itself when its points change, but for that.
func (c *Collection) Calibrate(ctx context.Context) error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.store.gate.leave()
	if err := c.fit(ctx, c.store.opt.Threads); err != nil {
		return fmt.Errorf("collection %q: calibrating: %w", c.name, err)
	}
	return c.resetWatch()
}

// fit makes the detector of what is stored.
func (c *Collection) fit(ctx context.Context, threads int) error {
	c.fitting.Lock()
	defer c.fitting.Unlock()
	known, heldOut, sequence, err := c.forDetector(ctx)
	if err != nil {
		return err
	}
	var d *Detector
	why := fmt.Errorf("%d known points, %d of their classes kept aside: %w: keep some aside to calibrate with", len(known), len(heldOut), ErrNotCalibrated)
	if len(known) > 0 && len(heldOut) > 0 {
		why = nil
		d, err = FitDetector(ctx, c.record.Config.Metric, known, heldOut, DetectorOptions{Seed: c.record.Config.Seed, Threads: threads,
			ModelID: c.ModelID(), Nearest: c.nearest})
		if err != nil {
			return err
		}
		d.sequence = sequence
	}
	if err := c.setDetector(d); err != nil {
		return err
	}
	return why
}

// forDetector reads what a detector is made of, as it is after the write of that number.
func (c *Collection) forDetector(ctx context.Context) (known, heldOut []Labeled, sequence uint64, err error) {
	share := 1.0
	if n := c.Len(); n > fitRows {
		share = fitRows / float64(n)
	}
	seed := c.record.Config.Seed
	err = c.store.view(func(txn *badger.Txn) error {
		if sequence, _, err = c.readSequence(txn); err != nil {
			return err
		}
		classes := map[string]bool{}
		err := c.eachItem(txn, func(id string, item *badger.Item) error {
			if share < 1 && float64(place(id, seed)>>11)*0x1p-53 >= share {
				return nil
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			return item.Value(func(b []byte) error {
				p, err := decodePoint(b, id, c.record.Config.Dimension)
				if err == nil {
					known = append(known, Labeled{p.vector(make([]float32, c.record.Config.Dimension)), string(p.label)})
					classes[string(p.label)] = true
				}
				return err
			})
		})
		if err != nil {
			return err
		}
		return c.eachAside(txn, func(p asidePoint) error {
			if p.role == RoleCalibration && classes[p.label] {
				heldOut = append(heldOut, Labeled{p.vector, p.label})
			}
			return ctx.Err()
		})
	})
	return known, heldOut, sequence, err
}

// nearest finds known points for the detector.
func (c *Collection) nearest(ctx context.Context, v []float32, k int) ([]Hit, error) {
	if err := c.enter(); err != nil {
		return nil, err
	}
	defer c.store.gate.leave()
	return c.find(ctx, v, k, Params{})
}

// setDetector stores a detector; nil removes it.
func (c *Collection) setDetector(d *Detector) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dropped.Load() {
		return ErrNotFound
	}
	key := numberKey(recordDetector, c.record.Number)
	if d == nil {
		if err := c.store.update(func(txn *badger.Txn) error { return txn.Delete(key) }); err != nil {
			return fmt.Errorf("removing the detector: %w", err)
		}
		c.detector.Store(nil)
		return nil
	}
	if err := c.fits(d); err != nil {
		return err
	}
	record, err := d.MarshalBinary()
	if err != nil {
		return err
	}
	garbage := 0
	err = c.store.update(func(txn *badger.Txn) error {
		if old, err := txn.Get(key); err == nil {
			garbage = large(old)
		}
		return txn.Set(key, record)
	})
	if err != nil {
		return fmt.Errorf("storing the detector: %w", err)
	}
	c.store.litter(garbage)
	c.bind(d)
	return nil
}

// bind makes d the collection's detector, which finds its neighbours there.
func (c *Collection) bind(d *Detector) {
	bound := *d
	bound.near = c.nearest
	c.detector.Store(&bound)
}

// fits refuses a detector for other vectors than the collection's.
func (c *Collection) fits(d *Detector) error {
	if err := c.CheckModel(d.ModelID()); err != nil {
		return fmt.Errorf("detector: %w", err)
	}
	if d.Dimension() != c.record.Config.Dimension {
		return fmt.Errorf("detector for dimension %d, collection %q has %d: %w", d.Dimension(), c.name, c.record.Config.Dimension, ErrDimension)
	}
	if d.Metric() != c.record.Config.Metric {
		return fmt.Errorf("detector for metric %v, collection %q has %v: %w", d.Metric(), c.name, c.record.Config.Metric, ErrInvalid)
	}
	return nil
}

// Detector returns the collection's detector; nil if there is none.
func (c *Collection) Detector() *Detector { return c.detector.Load() }

// loadDetector reads the detector. One of an earlier version is left out, and made again of the points that are kept aside, if there are any.
func (c *Collection) loadDetector(txn *badger.Txn) error {
	item, err := txn.Get(numberKey(recordDetector, c.record.Number))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	d := &Detector{}
	err = item.Value(func(b []byte) error {
		if len(b) > 1 && b[0] == byte(kindDetector) && b[1] < kindDetector.oldest() {
			c.store.opt.Logger.Warn("the anomaly detector was made by an earlier akin: it is made again of what calibrates, and where nothing was kept for it, calibrate anew, by akin ingest or POST /calibrate", "collection", c.name)
			d = nil
			return nil
		}
		return d.UnmarshalBinary(b)
	})
	if err != nil {
		return fmt.Errorf("detector: %w", err)
	}
	if d == nil {
		return nil
	}
	if err := c.fits(d); err != nil {
		return err
	}
	c.bind(d)
	return nil
}

// Stale reports whether points have changed since the detector was fitted; it follows by itself.
func (c *Collection) Stale() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unfit()
}

// unfit is Stale for holders of mu.
func (c *Collection) unfit() bool {
	if c.aside.count(RoleCalibration) == 0 {
		return c.detector.Load() != nil
	}
	d := c.detector.Load()
	return d == nil || d.sequence != c.sequence
}

// changed notes that points changed, and has the detector follow. The caller holds mu.
func (c *Collection) changed() {
	c.writes.Add(1)
	if c.unfit() {
		c.follow()
	}
}

// follow fits the detector in the background once writes are quiet.
func (c *Collection) follow() {
	if !c.following.CompareAndSwap(false, true) {
		return
	}
	started := c.store.fitting.start(&c.store.gate, func(ctx context.Context) {
		err := c.refit(ctx)
		c.following.Store(false)
		switch {
		case err == nil:
			if c.Stale() && ctx.Err() == nil { // a write came after it was read
				c.follow()
			}
		case ctx.Err() != nil || errors.Is(err, ErrNotFound) || errors.Is(err, ErrClosed): // the store closes, or the collection was dropped
		case errors.Is(err, ErrNotCalibrated):
			c.store.opt.Logger.Info("the anomaly detector was removed", "collection", c.name, "error", err)
		default:
			c.store.opt.Logger.Error("the anomaly detector could not follow the points", "collection", c.name, "error", err)
		}
	})
	if !started {
		c.following.Store(false)
	}
}

// refit waits until no write comes, and fits.
func (c *Collection) refit(ctx context.Context) error {
	wait, began := max(fitQuiet, time.Duration(c.fitTook.Load())*fitShare), time.Now()
	for seen := c.writes.Load(); ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		wait = fitQuiet
		if now := c.writes.Load(); now == seen || time.Since(began) > fitLatest {
			break
		} else {
			seen = now
		}
	}
	if c.dropped.Load() {
		return ErrNotFound
	}
	c.store.fits.Lock()
	defer c.store.fits.Unlock()
	began = time.Now()
	err := c.fit(ctx, 1)
	c.fitTook.Store(int64(time.Since(began)))
	return err
}

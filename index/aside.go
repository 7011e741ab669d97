package index

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/dgraph-io/badger/v4"
)

// What is kept aside belongs to a collection and is found by no search: held-out points, which calibrate the detector, and
// points that somebody called true anomalies. An id is known or aside, never both: a write to the one takes it from the other,
// in the same transaction. Of a point its vector, its label and its score by another judge than the detector, if it has one, are kept.
//
// A record is sealed, belongs to its key, and holds the role u8, the label text, the components f32…, and the score f64 or nothing. Version 1 has
// no score.

// Role says what a point that is kept aside is for.
type Role uint8

const (
	// RoleCalibration: it is like the known ones, and calibrates.
	RoleCalibration Role = iota
	// RoleAnomaly: it is known to be an anomaly. No choice is made by it: the detector's report counts how many of them are found.
	RoleAnomaly
)

func (r Role) String() string { return [...]string{"calibration", "anomaly"}[r] }

// aside is which ids are kept aside, as what, and the scores of those that calibrate and have one.
type aside struct {
	mu     sync.Mutex
	roles  map[string]Role
	scores map[string]float64
}

func (a *aside) set(id string, r Role, score *float64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.roles == nil {
		a.roles, a.scores = map[string]Role{}, map[string]float64{}
	}
	a.roles[id] = r
	if delete(a.scores, id); score != nil && r == RoleCalibration {
		a.scores[id] = *score
	}
}

func (a *aside) drop(ids []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range ids {
		delete(a.roles, id)
		delete(a.scores, id)
	}
}

// among returns those of ids that are kept aside, each once.
func (a *aside) among(ids []string) (out []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.roles) == 0 {
		return nil
	}
	for _, id := range ids {
		if _, ok := a.roles[id]; ok {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// count returns how many have a role.
func (a *aside) count(r Role) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, role := range a.roles {
		if role == r {
			n++
		}
	}
	return n
}

// SetAside keeps points aside: they are no longer found, or clustered, if they were. When it returns nil they are on disk. Up to
// MaxAtomicPoints points are stored all or none, more in parts like those of Upsert. The detector follows soon, in the
// background, or at once by Calibrate.
func (c *Collection) SetAside(ctx context.Context, role Role, points []Point) error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.store.gate.leave()
	rows, s, err := c.asideRows(role, points)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.setAside(ctx, role, points, rows, s)
}

// MoveAside is SetAside of known points with the vectors that are stored of them then; of points it takes the ids, labels and scores. One that is not known is
// ErrNotFound.
func (c *Collection) MoveAside(ctx context.Context, role Role, points []Point) error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.store.gate.leave()
	points = slices.Clone(points)
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range points {
		p, err := c.stored(points[i].ID)
		if err != nil {
			return err
		}
		points[i].Vector = p[0].Vector
	}
	rows, s, err := c.asideRows(role, points)
	if err != nil {
		return err
	}
	return c.setAside(ctx, role, points, rows, s)
}

// setAside writes points with what asideRows made of them. The caller holds c.mu.
func (c *Collection) setAside(ctx context.Context, role Role, points []Point, rows []float32, s space) error {
	defer c.changed()
	// As many as one transaction takes.
	part := max(1, min(MaxAtomicPoints, MaxAtomicBytes/(4*s.dim+MaxID+MaxLabel+8)))
	for first := 0; first < len(points); first += part {
		last := min(first+part, len(points))
		err := ctx.Err()
		if err == nil {
			err = c.asidePart(role, points[first:last], rows[first*s.stride:last*s.stride], s)
		}
		if err != nil {
			return fmt.Errorf("collection %q: %d of %d points kept aside: %w", c.name, first, len(points), err)
		}
	}
	return nil
}

// asideRows checks points and their role, and prepares their vectors.
func (c *Collection) asideRows(role Role, points []Point) (rows []float32, s space, err error) {
	if role > RoleAnomaly {
		return nil, s, fmt.Errorf("role %d: %w: use RoleCalibration or RoleAnomaly", role, ErrInvalid)
	}
	s = newSpace(c.record.Config.Metric, c.record.Config.Dimension)
	rows = make([]float32, len(points)*s.stride)
	for i := range points {
		if _, err := points[i].check(); err != nil {
			return nil, s, err
		}
		if x := points[i].Score; x != nil && (math.IsNaN(*x) || math.IsInf(*x, 0)) {
			return nil, s, fmt.Errorf("id %q: score %v: %w: use a finite one, or none", points[i].ID, *x, ErrInvalid)
		}
		if err := s.prepare(rows[i*s.stride:(i+1)*s.stride], points[i].Vector); err != nil {
			return nil, s, fmt.Errorf("id %q: %w", points[i].ID, err)
		}
	}
	return rows, s, nil
}

// CheckCalibration refuses points that could not calibrate if they were kept aside: those of a label that no point has that stays
// known, and all where the metric has no detector.
func (c *Collection) CheckCalibration(points []Point) error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.store.gate.leave()
	if err := checkDetectorMetric(c.record.Config.Metric); err != nil {
		return fmt.Errorf("collection %q: %w", c.name, err)
	}
	if _, _, err := c.asideRows(RoleCalibration, points); err != nil {
		return err
	}
	moved, known := map[string]bool{}, map[string]bool{}
	for _, p := range points {
		moved[p.ID] = true
	}
	for _, p := range points {
		if known[p.Label] {
			continue
		}
		stays, err := c.knows(p.Label, moved)
		if err != nil {
			return err
		}
		if !stays {
			return fmt.Errorf("collection %q: point %q: no point that stays known has its label %q: %w: %s; calibrate with points of these, or store points of that label first",
				c.name, p.ID, p.Label, ErrInvalid, c.knownLabels())
		}
		known[p.Label] = true
	}
	return nil
}

// Knows reports whether a known point has that label, "" for one that has none, besides points of some ids.
func (c *Collection) Knows(label string, besides map[string]bool) (bool, error) {
	if err := c.enter(); err != nil {
		return false, err
	}
	defer c.store.gate.leave()
	return c.knows(label, besides)
}

func (c *Collection) knows(label string, besides map[string]bool) (bool, error) {
	is := Condition{Key: LabelKey, Match: label}
	if label == "" {
		is = Condition{Key: LabelKey, IsEmpty: true}
	}
	ids, err := c.matches(&Filter{Must: []Condition{is}})
	if err != nil {
		return false, fmt.Errorf("collection %q: %w", c.name, err)
	}
	return slices.ContainsFunc(ids, func(id string) bool { return !besides[id] }), nil
}

// knownLabels says which labels are known, the first of them.
func (c *Collection) knownLabels() string {
	const most = 10
	c.catalogue.mu.RLock()
	defer c.catalogue.mu.RUnlock()
	var labels []string
	if f := c.catalogue.fields[LabelKey]; f != nil {
		for v := range f.values {
			label := v.text
			if len(label) > maxText { // it ends in a checksum
				label = label[:maxText/2] + "…"
			}
			labels = append(labels, fmt.Sprintf("%q", label))
		}
	}
	if len(labels) == 0 {
		return "no label is known"
	}
	slices.Sort(labels)
	more := ""
	if n := len(labels) - most; n > 0 {
		labels, more = labels[:most], fmt.Sprintf(" and %d more", n)
	}
	return "the known labels are " + strings.Join(labels, ", ") + more
}

func (c *Collection) asidePart(role Role, points []Point, rows []float32, s space) error {
	ids := make([]string, len(points))
	for i := range points {
		ids[i] = points[i].ID
	}
	err := c.removePart(ids, func(txn *badger.Txn) error {
		for i := range points {
			key := pointKey(recordAside, c.record.Number, ids[i])
			b := append(newRecord(kindAside, 5+len(points[i].Label)+4*s.dim+8), byte(role))
			b = appendFloats(appendText(b, points[i].Label), rows[i*s.stride:i*s.stride+s.dim])
			if x := points[i].Score; x != nil {
				b = binary.LittleEndian.AppendUint64(b, math.Float64bits(*x))
			}
			if err := txn.Set(key, seal(b, string(key))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, id := range ids {
		c.aside.set(id, role, points[i].Score)
	}
	return nil
}

// HoldOut keeps a share of the known points aside to calibrate with, and returns how many these were. Which, is drawn from the
// seed and their ids, so that the same ones are drawn again when there are more. A class keeps at least one.
func (c *Collection) HoldOut(ctx context.Context, share float64, seed uint64) (int, error) {
	if !(share > 0 && share <= 0.5) {
		return 0, fmt.Errorf("share %v: %w: use more than 0, to 0.5", share, ErrInvalid)
	}
	var drawn []Point
	last := map[string]int{} // per class, where the point of the highest place stands, −1 where it is not drawn
	highest := map[string]uint64{}
	err := c.Each(ctx, func(p Point) error {
		at := place(p.ID, seed)
		in := float64(at>>11)*0x1p-53 < share
		if have, ok := highest[p.Label]; !ok || at > have {
			highest[p.Label], last[p.Label] = at, -1
			if in {
				last[p.Label] = len(drawn)
			}
		}
		if in {
			drawn = append(drawn, Point{ID: p.ID, Vector: p.Vector, Label: p.Label})
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, at := range last {
		if at >= 0 {
			drawn[at].ID = ""
		}
	}
	drawn = slices.DeleteFunc(drawn, func(p Point) bool { return p.ID == "" })
	return len(drawn), c.SetAside(ctx, RoleCalibration, drawn)
}

// place draws a number from a seed and an id (FNV-1a, mixed as in drawn).
func place(id string, seed uint64) uint64 {
	h := fnv.New64a()
	h.Write(binary.BigEndian.AppendUint64(nil, seed))
	h.Write([]byte(id))
	return mix(h.Sum64())
}

// asidePoint is a point that is kept aside.
type asidePoint struct {
	id     string
	role   Role
	label  string
	vector []float32
	score  *float64
}

// eachAside reads what is kept aside, by id.
func (c *Collection) eachAside(txn *badger.Txn, use func(asidePoint) error) error {
	prefix := numberKey(recordAside, c.record.Number)
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		key := it.Item().KeyCopy(nil)
		err := it.Item().Value(func(b []byte) error {
			p, err := decodeAside(b, key, c.record.Config.Dimension)
			if err != nil {
				return err
			}
			return use(p)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func decodeAside(b, key []byte, dim int) (p asidePoint, err error) {
	p.id = string(key[5:])
	content, err := unseal(b, kindAside, string(key))
	if err != nil {
		return p, fmt.Errorf("point %q, which is kept aside: %w", p.id, err)
	}
	r := reader{b: content}
	p.role, p.label, p.vector = Role(r.uint8()), string(r.text()), make([]float32, dim)
	if n := len(r.b) - 4*dim; n != 0 && n != 8 || p.role > RoleAnomaly {
		return p, fmt.Errorf("point %q, which is kept aside: its record of %d bytes has the wrong form: %w", p.id, len(b), ErrCorrupt)
	}
	r.floats(p.vector)
	if len(r.b) > 0 {
		p.score = new(r.float64())
		if math.IsNaN(*p.score) || math.IsInf(*p.score, 0) {
			return p, fmt.Errorf("point %q, which is kept aside, has a score of %v: %w", p.id, *p.score, ErrCorrupt)
		}
	}
	for _, x := range p.vector {
		if x != x || math.IsInf(float64(x), 0) {
			return p, fmt.Errorf("point %q, which is kept aside, has a component %v: %w", p.id, x, ErrCorrupt)
		}
	}
	return p, nil
}

// Kept returns the vector, the label and the score of a point that is kept aside. ErrNotFound names one that is not.
func (c *Collection) Kept(id string) (p Point, err error) {
	if err := c.enter(); err != nil {
		return p, err
	}
	defer c.store.gate.leave()
	err = c.store.view(func(txn *badger.Txn) error {
		key := pointKey(recordAside, c.record.Number, id)
		item, err := txn.Get(key)
		if errors.Is(err, badger.ErrKeyNotFound) {
			return fmt.Errorf("point %q: %w", id, ErrNotFound)
		}
		if err != nil {
			return err
		}
		return item.Value(func(b []byte) error {
			kept, err := decodeAside(b, key, c.record.Config.Dimension)
			p = Point{ID: id, Vector: kept.vector, Label: kept.label, Score: kept.score}
			return err
		})
	})
	if err != nil {
		return Point{}, fmt.Errorf("collection %q: %w", c.name, err)
	}
	return p, nil
}

// loadAside reads which points are kept aside.
func (c *Collection) loadAside(txn *badger.Txn) error {
	return c.eachAside(txn, func(p asidePoint) error {
		c.aside.set(p.id, p.role, p.score)
		return nil
	})
}

// Aside returns how many points are kept aside in a role.
func (c *Collection) Aside(r Role) int { return c.aside.count(r) }

// CalibrationScores returns the Score of the points that are kept aside to calibrate and have one, in no order.
func (c *Collection) CalibrationScores() []float64 {
	c.aside.mu.Lock()
	defer c.aside.mu.Unlock()
	return slices.Collect(maps.Values(c.aside.scores))
}

package index

import (
	"encoding/binary"
	"fmt"
	"math"
)

// A detector is a sealed record (sealed.go) with the content
//
//	metric u8   dimension u16   model text   sequence u64   score u8   own score u8
//	figures f64 by ScoreKind   middles f64…   spreads f64…
//	classes u32
//	for each class: name text, clusters u32, components f32…
//	covariance u8: 1 where there is one
//	    mean f32…   lower triangle of the map, row after row, f32…   images of the clusters' means f32…
//	    for each class: rows of its distribution u8, 1/σ² f64, log|Σ| f64, components f32…
//	calibration u32: score f64, own distance f64, nearest class u32, label u32

// MarshalBinary returns the detector as bytes with a version and a checksum, without the known vectors.
func (d *Detector) MarshalBinary() ([]byte, error) {
	if len(d.scores) == 0 {
		return nil, fmt.Errorf("detector without calibration: %w: make it with FitDetector", ErrNotCalibrated)
	}
	le := binary.LittleEndian
	b := newRecord(kindDetector, 256+len(d.centers)*8+d.dim*d.dim*2+len(d.items)*24)
	b = le.AppendUint16(append(b, byte(d.metric)), uint16(d.dim))
	b = appendText(b, d.modelID)
	b = append(le.AppendUint64(b, d.sequence), byte(d.kind), byte(d.own))
	for _, list := range [][]float64{d.figures[:], d.scale.middle[:], d.scale.spread[:]} {
		for _, x := range list {
			b = le.AppendUint64(b, math.Float64bits(x))
		}
	}
	b = le.AppendUint32(b, uint32(len(d.classes)))
	cluster := 0
	for i, class := range d.classes {
		first := cluster
		for cluster < len(d.classOf) && d.classOf[cluster] == i {
			cluster++
		}
		b = le.AppendUint32(appendText(b, class), uint32(cluster-first))
		for c := first; c < cluster; c++ {
			b = appendFloats(b, d.centers[c*d.stride:c*d.stride+d.dim])
		}
	}
	if d.white == nil {
		b = append(b, 0)
	} else {
		b = appendFloats(append(b, 1), d.white.mean[:d.dim])
		for i := range d.dim {
			b = appendFloats(b, d.white.rows[i*d.stride:i*d.stride+i+1])
		}
		for c := range d.classOf {
			b = appendFloats(b, d.white.means[c*d.stride:c*d.stride+d.dim])
		}
		for _, c := range d.normal.classes {
			b = append(b, byte(c.count))
			b = le.AppendUint64(le.AppendUint64(b, math.Float64bits(c.precision)), math.Float64bits(c.logDet))
			for i := c.first; i < c.first+c.count; i++ {
				b = appendFloats(b, d.normal.rows[i*d.stride:][:d.dim])
			}
		}
	}
	b = le.AppendUint32(b, uint32(len(d.items)))
	for _, it := range d.items {
		b = le.AppendUint64(b, math.Float64bits(it.score))
		b = le.AppendUint64(b, math.Float64bits(it.own))
		b = le.AppendUint32(le.AppendUint32(b, uint32(it.nearest)), uint32(it.label))
	}
	if d.k != DetectorNeighbors { // else as an earlier akin wrote it
		b = append(b, byte(d.k))
	}
	return seal(b, ""), nil
}

func appendFloats(b []byte, x []float32) []byte {
	for _, v := range x {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// floats reads as many components as out has.
func (r *reader) floats(out []float32) {
	for i := range out {
		out[i] = math.Float32frombits(r.uint32())
	}
}

func (r *reader) float64() float64 { return math.Float64frombits(r.uint64()) }

// UnmarshalBinary reads what MarshalBinary wrote. ErrCorrupt: it was damaged. ErrFormat: another version wrote it. A score that
// needs neighbours has to be given them, by VerdictOf.
func (d *Detector) UnmarshalBinary(record []byte) error {
	content, err := unseal(record, kindDetector, "")
	if err != nil {
		return err
	}
	r := reader{b: content}
	metric, dim := Metric(r.uint8()), int(r.uint16())
	if metric != Cosine && metric != L2 || dim < 1 || dim > MaxDimension {
		return fmt.Errorf("detector of metric %d and dimension %d: %w", int(metric), dim, ErrCorrupt)
	}
	out := Detector{modelID: string(r.text()), sequence: r.uint64(), kind: ScoreKind(r.uint8()), own: ScoreKind(r.uint8())}
	out.space = newSpace(metric, dim)
	if err := out.readChoice(&r); err != nil {
		return err
	}
	if err := out.readClasses(&r); err != nil {
		return err
	}
	if err := out.readCovariance(&r); err != nil {
		return err
	}
	if err := out.readCalibration(&r); err != nil {
		return err
	}
	*d = out
	return nil
}

func (d *Detector) readChoice(r *reader) error {
	for _, list := range [][]float64{d.figures[:], d.scale.middle[:], d.scale.spread[:]} {
		for i := range list {
			list[i] = r.float64()
			if math.IsNaN(list[i]) || math.IsInf(list[i], 0) {
				return fmt.Errorf("detector: figure %v: %w", list[i], ErrCorrupt)
			}
		}
	}
	for i, x := range d.scale.spread {
		if x == 0 { // of few points an earlier akin left it so; nothing goes by it there
			d.scale.spread[i] = 1
		} else if !(x > 0) {
			return fmt.Errorf("detector: spread %v: %w", x, ErrCorrupt)
		}
	}
	return nil
}

func (d *Detector) readClasses(r *reader) error {
	for i := range int(r.uint32()) {
		class, clusters := string(r.text()), int(r.uint32())
		// Bounds before memory: every component takes 4 bytes.
		if r.bad || clusters < 1 || clusters > len(r.b)/(4*d.dim) || i > 0 && class <= d.classes[i-1] {
			return fmt.Errorf("detector: class %d %q has %d clusters: %w", i, class, clusters, ErrCorrupt)
		}
		d.classes = append(d.classes, class)
		centers := make([]float32, clusters*d.stride)
		for c := range clusters {
			row := centers[c*d.stride : (c+1)*d.stride]
			r.floats(row[:d.dim])
			for _, x := range row {
				if x != x || math.IsInf(float64(x), 0) {
					return fmt.Errorf("detector: class %q has a cluster with %v: %w", class, x, ErrCorrupt)
				}
			}
			if n := length(row); n > maxNorm || d.metric == Cosine && math.Abs(n-1) > 1e-3 {
				return fmt.Errorf("detector: class %q has a cluster of length %v: %w", class, n, ErrCorrupt)
			}
		}
		d.addClass(i, centers)
	}
	if len(d.classes) == 0 {
		return fmt.Errorf("detector of no classes: %w", ErrCorrupt)
	}
	return nil
}

func (d *Detector) readCovariance(r *reader) error {
	has := r.uint8()
	need := 4 * (d.dim + d.dim*(d.dim+1)/2 + len(d.classOf)*d.dim)
	uses := d.kind == ScoreMahalanobis || d.kind == ScoreGaussian || d.kind == ScoreCombined || d.own == ScoreMahalanobis
	if r.bad || has > 1 || has == 1 && (d.dim > maxWhite || need > len(r.b)) || has == 0 && uses ||
		d.kind < ScoreCluster || d.kind > ScoreCombined || d.own != ScoreCluster && d.own != ScoreMahalanobis {
		return fmt.Errorf("detector of score %v, classes by %v, covariance %d: %w", d.kind, d.own, has, ErrCorrupt)
	}
	if has == 0 {
		return nil
	}
	w := &whitening{to: newSpace(L2, d.dim), mean: make([]float32, d.stride), rows: make([]float32, d.dim*d.stride), means: make([]float32, len(d.classOf)*d.stride)}
	r.floats(w.mean[:d.dim])
	for i := range d.dim {
		r.floats(w.rows[i*d.stride : i*d.stride+i+1])
	}
	for c := range d.classOf {
		image := w.means[c*d.stride : c*d.stride+d.dim]
		r.floats(image)
		w.panels.Append(image)
	}
	d.white = w
	if err := w.check(); err != nil {
		return err
	}
	g := &gaussians{space: w.to, origin: w.mean, smallest: math.Inf(1)}
	for i := range d.classes {
		count := int(r.uint8())
		c := gaussian{precision: r.float64(), logDet: r.float64()}
		if r.bad || count > gaussianAxes+1 || count > len(r.b)/(4*d.dim) || (count > 0) != (c.precision > 0) {
			return fmt.Errorf("detector: class %q has a distribution of %d rows: %w", d.classes[i], count, ErrCorrupt)
		}
		for range count {
			row := make([]float32, d.stride)
			r.floats(row[:d.dim])
			g.rows = append(g.rows, row...)
		}
		g.place(c, count)
	}
	d.normal = g
	return g.check()
}

func (d *Detector) readCalibration(r *reader) error {
	n := int(r.uint32())
	if more := len(r.b) - 24*n; r.bad || n < 1 || more != 0 && more != 1 {
		return fmt.Errorf("detector of %d classes, %d bytes for %d scores: %w", len(d.classes), len(r.b), n, ErrCorrupt)
	}
	items := make([]calibrated, n)
	for i := range items {
		it := calibrated{score: r.float64(), own: r.float64(), nearest: int(r.uint32()), label: int(r.uint32())}
		if math.IsNaN(it.score) || math.IsInf(it.score, 0) || !(it.own >= 0) || math.IsInf(it.own, 0) ||
			it.nearest >= len(d.classes) || it.label >= len(d.classes) || i > 0 && compareCalibrated(it, items[i-1]) < 0 {
			return fmt.Errorf("detector: calibration score %d is %v: %w", i, it, ErrCorrupt)
		}
		items[i] = it
	}
	d.calibration = newCalibration(items, len(d.classes))
	if d.k = DetectorNeighbors; len(r.b) > 0 {
		if d.k = int(r.uint8()); d.k <= DetectorNeighbors || d.k > mostNeighbors {
			return fmt.Errorf("detector by %d neighbours: %w", d.k, ErrCorrupt)
		}
	}
	return nil
}

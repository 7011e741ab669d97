package index

import (
	"encoding/binary"
	"fmt"
	"math"
)

// A detector is a sealed record (sealed.go) with the content
//
//	metric u8   dimension u16   model text   classes u32
//	for each class: name text, clusters u32, components f32…
//	calibration scores u32, f64…

// MarshalBinary returns the detector as bytes with a version and a checksum.
func (d *Detector) MarshalBinary() ([]byte, error) {
	if len(d.scores) == 0 {
		return nil, fmt.Errorf("detector without calibration: %w: make it with FitDetector", ErrNotCalibrated)
	}
	le := binary.LittleEndian
	b := newRecord(kindDetector, 64+len(d.centers)*4+len(d.scores)*8)
	b = le.AppendUint16(append(b, byte(d.metric)), uint16(d.dim))
	b = appendText(b, d.modelID)
	b = le.AppendUint32(b, uint32(len(d.classes)))
	cluster := 0
	for i, class := range d.classes {
		first := cluster
		for cluster < len(d.classOf) && d.classOf[cluster] == i {
			cluster++
		}
		b = le.AppendUint32(appendText(b, class), uint32(cluster-first))
		for c := first; c < cluster; c++ {
			for _, x := range d.centers[c*d.stride : c*d.stride+d.dim] {
				b = le.AppendUint32(b, math.Float32bits(x))
			}
		}
	}
	b = le.AppendUint32(b, uint32(len(d.scores)))
	for _, x := range d.scores {
		b = le.AppendUint64(b, math.Float64bits(x))
	}
	return seal(b, ""), nil
}

// UnmarshalBinary reads what MarshalBinary wrote. ErrCorrupt: it was damaged. ErrFormat: a newer version wrote it.
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
	out := Detector{space: newSpace(metric, dim), modelID: string(r.text())}
	for i := range int(r.uint32()) {
		class, clusters := string(r.text()), int(r.uint32())
		// Bounds before memory: every component takes 4 bytes.
		if r.bad || clusters < 1 || clusters > len(r.b)/(4*dim) || i > 0 && class <= out.classes[i-1] {
			return fmt.Errorf("detector: class %d %q has %d clusters: %w", i, class, clusters, ErrCorrupt)
		}
		out.classes = append(out.classes, class)
		centers := make([]float32, clusters*out.stride)
		for c := range clusters {
			for j := range dim {
				x := math.Float32frombits(r.uint32())
				if x != x || math.IsInf(float64(x), 0) {
					return fmt.Errorf("detector: class %q has a cluster with %v: %w", class, x, ErrCorrupt)
				}
				centers[c*out.stride+j] = x
			}
			if n := length(centers[c*out.stride : (c+1)*out.stride]); n > maxNorm || metric == Cosine && math.Abs(n-1) > 1e-3 {
				return fmt.Errorf("detector: class %q has a cluster of length %v: %w", class, n, ErrCorrupt)
			}
		}
		out.addClass(i, centers)
	}
	n := int(r.uint32())
	if r.bad || len(out.classes) == 0 || n < 1 || len(r.b) != 8*n {
		return fmt.Errorf("detector of %d classes, %d bytes for %d scores: %w", len(out.classes), len(r.b), n, ErrCorrupt)
	}
	out.scores = make([]float64, n)
	for i := range out.scores {
		x := math.Float64frombits(r.uint64())
		if !(x >= 0) || math.IsInf(x, 0) || i > 0 && x < out.scores[i-1] {
			return fmt.Errorf("detector: score %d is %v: %w", i, x, ErrCorrupt)
		}
		out.scores[i] = x
	}
	*d = out
	return nil
}

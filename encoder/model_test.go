package encoder

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func testModel(t *testing.T) *Model {
	n := Default(Size{12, 12, 1}, 8)
	return &Model{Network: n, Preprocessing: preprocessing(n.Input), Record: json.RawMessage(`{"items":3}`), Weights: weightsOf(t, n)}
}

func TestModelFile(t *testing.T) {
	m := testModel(t)
	path := filepath.Join(t.TempDir(), "m.akin")
	id, err := m.WriteFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	got, gotID, err := ReadModel(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := hex.EncodeToString(sum[:]); id != want || gotID != want {
		t.Errorf("ModelID %s when written, %s when read; the file's SHA-256 is %s", id, gotID, want)
	}
	again, err := got.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(content, again) {
		t.Error("reading and writing a model changes its bytes")
	}
	if names, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); err != nil || len(names) != 1 {
		t.Errorf("writing left %v, %v", names, err)
	}
}

// TestModelFileDamage flips every bit of the first bytes and some of the rest, and truncates everywhere.
func TestModelFileDamage(t *testing.T) {
	b, err := testModel(t).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		if i > 600 && i%97 != 0 && i < len(b)-40 {
			continue
		}
		bad := bytes.Clone(b)
		bad[i] ^= 1 << (i % 8)
		var m Model
		if err := m.UnmarshalBinary(bad); !errors.Is(err, ErrModelFile) {
			t.Fatalf("bit %d of byte %d flipped: %v", i%8, i, err)
		}
		if err := m.UnmarshalBinary(b[:i]); !errors.Is(err, ErrModelFile) {
			t.Fatalf("truncated to %d bytes: %v", i, err)
		}
	}
}

// sealed puts a right checksum on a damaged file, so that the checks behind it are reached.
func sealed(b []byte) []byte {
	sum := sha256.Sum256(b)
	return append(bytes.Clone(b), sum[:]...)
}

func TestModelFileLies(t *testing.T) {
	whole, err := testModel(t).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	body := whole[:len(whole)-sha256.Size]
	put := func(at int, v uint32) []byte {
		b := bytes.Clone(body)
		binary.LittleEndian.PutUint32(b[at:], v)
		return sealed(b)
	}
	nan := put(len(body)-4, math.Float32bits(float32(math.NaN())))
	for name, b := range map[string][]byte{
		"unknown version": put(8, 9), "header too long": put(12, 1<<31), "missing weights": sealed(body[:len(body)-4]), "NaN weight": nan,
		"unknown layer": sealed(bytes.Replace(body, []byte(`"normalize"`), []byte(`"normalise"`), 1)),
		"huge network":  sealed(bytes.Replace(body, []byte(`"filters":32`), []byte(`"filters":9e9`), 1)),
	} {
		var m Model
		if err := m.UnmarshalBinary(b); !errors.Is(err, ErrModelFile) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzModelFile(f *testing.F) {
	n := Network{Input: Size{2, 2, 1}, Layers: []Layer{{Kind: KindLinear, Units: 2}, {Kind: KindNormalize}}}
	m := &Model{Network: n, Preprocessing: preprocessing(n.Input), Weights: [][]float32{make([]float32, 8), make([]float32, 2)}}
	b, err := m.MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b[:len(b)-sha256.Size])
	f.Fuzz(func(t *testing.T, body []byte) {
		var m Model
		if err := m.UnmarshalBinary(sealed(body)); err != nil {
			if !errors.Is(err, ErrModelFile) {
				t.Fatalf("error of another kind: %v", err)
			}
			return
		}
		if _, err := m.MarshalBinary(); err != nil {
			t.Fatalf("a model that was read cannot be written: %v", err)
		}
	})
}

func TestNetworkErrorsNameTheLayer(t *testing.T) {
	conv := Layer{Kind: KindConv, Filters: 4, Kernel: 3, ReLU: true, Pool: true}
	end := Layer{Kind: KindNormalize}
	for name, layers := range map[string][]Layer{
		"no layers": nil, "no normalisation": {conv}, "even kernel": {{Kind: KindConv, Filters: 4, Kernel: 2}, end},
		"pooled away": {conv, conv, conv, conv, end}, "conv after linear": {{Kind: KindLinear, Units: 4}, conv, end},
		"units of a conv": {{Kind: KindConv, Filters: 4, Kernel: 3, Units: 2}, end}, "unknown": {{Kind: "dense", Units: 4}, end},
		"no weights": {end}, "residual after linear": {{Kind: KindLinear, Units: 4}, {Kind: KindResidual, Filters: 4}, end},
		"cells after conv": {conv, {Kind: KindCells, Kernel: 2}, end}, "cells of a pixel": {{Kind: KindCells, Kernel: 1}, conv, end}, "cells with filters": {{Kind: KindCells, Kernel: 2, Filters: 3}, conv, end},
		"bands after linear": {{Kind: KindLinear, Units: 4}, {Kind: KindBands}, end}, "statistics with units": {conv, {Kind: KindStatistics, Units: 3}, end}, "a whole pool": {conv, {Kind: KindGlobalPool, Whole: true}, end}, "the whole of nothing": {{Kind: KindStatistics, Whole: true}, {Kind: KindLinear, Units: 3}, end},
		"the whole behind a stride": {{Kind: KindConv, Filters: 4, Kernel: 3, Stride: 2}, {Kind: KindStatistics, Whole: true}, end}, "the whole of a wide view": {{Kind: KindConv, Filters: 4, Kernel: 11, Line: true}, {Kind: KindConv, Filters: 4, Kernel: 11, Line: true}, {Kind: KindStatistics, Whole: true}, end},
		"line of a residual": {{Kind: KindResidual, Filters: 4, Line: true}, end}, "too many bands": {{Kind: KindConv, Filters: MaxChannels, Kernel: 1}, {Kind: KindBands}, end},
		"filters of a pool": {conv, {Kind: KindGlobalPool, Filters: 3}, end}, "negative stride": {{Kind: KindResidual, Filters: 4, Stride: -1}, end},
		"kernel of a residual": {{Kind: KindResidual, Filters: 4, Kernel: 5}, end}, "linear with stride": {{Kind: KindLinear, Units: 4, Stride: 2}, end},
		"too many values": {{Kind: KindConv, Filters: MaxChannels, Kernel: 257}, {Kind: KindGlobalPool}, end}, "options of normalize": {conv, {Kind: KindNormalize, ReLU: true}}, "too wide": {{Kind: KindLinear, Units: MaxChannels + 1}, end},
		"fixed behind what is trained": {{Kind: KindLinear, Units: 4}, {Kind: KindLinear, Units: 4, Fixed: true}, end}, "fixed with relu": {{Kind: KindLinear, Units: 4, Fixed: true, ReLU: true}, {Kind: KindLinear, Units: 4}, end},
		"keeps more than there is": {{Kind: KindLinear, Units: 4}, {Kind: KindLinear, Units: 4, Keep: 5}, end}, "keeps less than nothing": {{Kind: KindLinear, Units: 4, Keep: -1}, end},
	} {
		err := Network{Input: Size{8, 8, 1}, Layers: layers}.Validate()
		if !errors.Is(err, ErrSpec) {
			t.Errorf("%s: %v", name, err)
		} else if name == "unknown" && !strings.Contains(err.Error(), `layer 0 (dense): unknown kind "dense": use conv, residual, bands, cells, globalpool, statistics, bag, linear or normalize`) {
			t.Errorf("%s: %v does not say what to use", name, err)
		}
	}
	if err := (Network{Input: Size{8, 8, MaxChannels}, Layers: []Layer{{Kind: KindCells, Kernel: 2}, conv, end}}).Validate(); !errors.Is(err, ErrSpec) || !strings.Contains(err.Error(), "cells") {
		t.Errorf("cells of too many channels: %v", err)
	}
	if err := (Network{Input: Size{0, 8, 1}, Layers: []Layer{conv, end}}).Validate(); !errors.Is(err, ErrSpec) {
		t.Errorf("an image of no height: %v", err)
	}
}

func TestEncodeErrors(t *testing.T) {
	e, err := NewEncoder(testModel(t), "id", 2)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if _, err := e.Encode(ctx, idxBlob(3, 3), []byte("no image")); !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), "item 1") {
		t.Errorf("a broken second item: %v", err)
	}
	if _, err := e.EncodeFeatures(ctx, []Features{{Data: make([]float32, 9), Shape: []int{3, 3, 1}}}); !errors.Is(err, ErrInput) {
		t.Errorf("features of another shape: %v", err)
	}
	if got, err := e.Encode(ctx); err != nil || len(got) != 0 {
		t.Errorf("nothing to encode: %v, %v", got, err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := e.Encode(cancelled, idxBlob(3, 3)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := NewEncoder(testModel(t), "id", -1); err == nil {
		t.Error("-1 threads were accepted")
	}
}

// TestEncodeConcurrently runs more callers than runners; the race detector watches.
func TestEncodeConcurrently(t *testing.T) {
	e, err := NewEncoder(testModel(t), "id", 2)
	if err != nil {
		t.Fatal(err)
	}
	want, err := e.Encode(context.Background(), idxBlob(12, 12))
	if err != nil {
		t.Fatal(err)
	}
	results := make(chan error)
	for range 8 {
		go func() {
			for range 20 {
				got, err := e.Encode(context.Background(), idxBlob(12, 12))
				if err == nil && !equal(got[0], want[0]) {
					err = errors.New("another embedding")
				}
				if err != nil {
					results <- err
					return
				}
			}
			results <- nil
		}()
	}
	for range 8 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	var length float64
	for _, v := range want[0] {
		length += float64(v) * float64(v)
	}
	if math.Abs(length-1) > 1e-5 {
		t.Errorf("the embedding has squared length %g", length)
	}
}

func equal(a, b []float32) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return len(a) == len(b)
}

// TestDefaultFitsAnySize: the default networks build for every size of picture that is accepted and end in few pixels; large ones are
// halved first.
func TestDefaultFitsAnySize(t *testing.T) {
	for _, s := range []Size{{1, 1, 1}, {2, 40, 3}, {5, 5, 1}, {6, 6, 1}, {5, 200, 3}, {28, 28, 1}, {64, 64, 3}, {65, 65, 3}, {96, 96, 3}, {97, 33, 3}, {224, 224, 3}, {MaxSide, MaxSide, 3}} {
		for name, n := range map[string]Network{"default": Default(s, 64), "wide": Wide(s, 64), "light": Light(s, 64)} {
			list, err := n.Summary()
			if err != nil {
				t.Fatalf("%s, %+v: %v", name, s, err)
			}
			if d, err := n.Dimension(); err != nil || d != 64 {
				t.Errorf("%s, %+v: dimension %d, %v", name, s, d, err)
			}
			if halved := n.Layers[0].Stride == 2; halved != (max(s.Height, s.Width) > largestPlain || name == "light") {
				t.Errorf("%s, %+v: the first layer is %+v", name, s, n.Layers[0])
			}
			last := list[len(list)-3].Output // before the linear layer
			if side := min(last.Height, last.Width); side > 5 {
				t.Errorf("%s, %+v: %+v before the linear layer", name, s, last)
			}
		}
	}
	forward := func(side int) int {
		f, _, err := Default(Size{side, side, 3}, 64).Flops()
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	if a, b := forward(96), forward(64); a > b {
		t.Errorf("96 pixels cost %d operations, 64 pixels %d", a, b)
	}
}

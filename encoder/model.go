package encoder

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
)

// ErrModelFile is wrapped by every error about a file that is not a whole, readable model.
var ErrModelFile = errors.New("not a usable akin model file")

// The model file, little-endian:
//
//	0  magic "akinmodl"
//	8  uint32 version
//	12 uint32 length of the header
//	16 header: JSON of network, preprocessing and training record
//	…  weights: float32, parameter by parameter, and those of the network of patches where the header has patches
//	…  SHA-256 of everything before
const (
	modelMagic = "akinmodl"
	// modelVersion counts the formats: 1, the first.
	modelVersion = 1
	maxHeader    = 64 << 20
)

// Model is what a model file holds.
type Model struct {
	Network       Network         `json:"network"`
	Preprocessing Preprocessing   `json:"preprocessing"`
	Record        json.RawMessage `json:"record,omitempty"` // how it was trained: data hash, options, curves, metrics
	Weights       [][]float32     `json:"-"`
	Thumb         *Thumb          `json:"thumb,omitempty"`   // beside what the network makes; nil for none
	Patches       *Patches        `json:"patches,omitempty"` // nil for none
}

// Validate reports a network, preprocessing or weights that do not belong together.
func (m *Model) Validate() error {
	p, err := m.Network.plan(1)
	if err != nil {
		return err
	}
	if err := m.Preprocessing.Validate(); err != nil {
		return err
	}
	if m.Preprocessing.Size != m.Network.Input {
		return fmt.Errorf("%w: the preprocessing makes %+v, the network takes %+v", ErrSpec, m.Preprocessing.Size, m.Network.Input)
	}
	if err := p.checkWeights(m.Weights); err != nil {
		return err
	}
	for i, w := range m.Weights {
		for j, v := range w {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				return fmt.Errorf("%w: weight %d of %s is %g", ErrSpec, j, p.parameters[i].Name, v)
			}
		}
	}
	if m.Thumb != nil {
		if err := m.Thumb.validate(m.Preprocessing, p.dimension); err != nil {
			return err
		}
	}
	if m.Patches != nil {
		return m.Patches.Validate()
	}
	return nil
}

// MarshalBinary returns the model file's content. The same model gives the same bytes.
func (m *Model) MarshalBinary() ([]byte, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	header, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encoder: writing the model's header: %w", err)
	}
	b := append([]byte(modelMagic), 0, 0, 0, 0, 0, 0, 0, 0)
	binary.LittleEndian.PutUint32(b[8:], modelVersion)
	binary.LittleEndian.PutUint32(b[12:], uint32(len(header)))
	b = append(b, header...)
	weights := m.Weights
	if m.Patches != nil {
		weights = slices.Concat(weights, m.Patches.Weights)
	}
	for _, w := range weights {
		for _, v := range w {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...), nil
}

// UnmarshalBinary reads a model file's content. Every bit of it is covered by the checksum.
func (m *Model) UnmarshalBinary(b []byte) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrModelFile, fmt.Sprintf(format, args...))
	}
	if len(b) < 16+sha256.Size || string(b[:8]) != modelMagic {
		return bad("%d bytes without the magic %q: is it a model that akin wrote?", len(b), modelMagic)
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != modelVersion {
		return bad("it has format %d, this akin reads %d: use the akin that wrote it, or train anew", v, modelVersion)
	}
	body, sum := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if got := sha256.Sum256(body); !bytes.Equal(got[:], sum) {
		return bad("its checksum does not match: it is truncated or damaged; copy it again")
	}
	n := int(binary.LittleEndian.Uint32(b[12:]))
	if n > maxHeader || 16+n > len(body) {
		return bad("its header claims %d bytes, the file has %d", n, len(body)-16)
	}
	var got Model
	if err := json.Unmarshal(body[16:16+n], &got); err != nil {
		return bad("its header is not readable: %v", err)
	}
	p, err := got.Network.plan(1)
	if err != nil {
		return bad("%v", err)
	}
	parameters, own := p.parameters, len(p.parameters)
	if got.Patches != nil {
		q, err := got.Patches.Network.plan(1)
		if err != nil {
			return bad("patches: %v", err)
		}
		parameters = slices.Concat(parameters, q.parameters)
	}
	var total int
	for _, q := range parameters {
		total += q.Len()
	}
	w := body[16+n:]
	if len(w) != 4*total {
		return bad("it holds %d bytes of weights, its network needs %d", len(w), 4*total)
	}
	for i, q := range parameters {
		weights := make([]float32, q.Len())
		for i := range weights {
			weights[i] = math.Float32frombits(binary.LittleEndian.Uint32(w[4*i:]))
		}
		w = w[4*len(weights):]
		if i < own {
			got.Weights = append(got.Weights, weights)
		} else {
			got.Patches.Weights = append(got.Patches.Weights, weights)
		}
	}
	if err := got.Validate(); err != nil {
		return bad("%v", err)
	}
	*m = got
	return nil
}

// WriteFile writes the model to path, whole or not at all, and returns its ModelID.
func (m *Model) WriteFile(path string) (id string, err error) {
	b, err := m.MarshalBinary()
	if err != nil {
		return "", err
	}
	if err := WriteFileAtomic(path, b); err != nil {
		return "", fmt.Errorf("encoder: writing the model: %w", err)
	}
	return modelID(b), nil
}

// WriteFileAtomic writes a file so that path holds the old or the new content, whatever happens, and survives a power cut.
func WriteFileAtomic(path string, content []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Chmod(f.Name(), 0o644); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	dir, e := os.Open(filepath.Dir(path))
	if e != nil {
		return nil // the rename is done; only its durability is the system's
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// ReadModel reads a model file and returns it with its ModelID, the SHA-256 of the file's content.
func ReadModel(path string) (*Model, string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, "", fmt.Errorf("encoder: reading the model: %w", err)
	}
	var m Model
	if err := m.UnmarshalBinary(b); err != nil {
		return nil, "", fmt.Errorf("%s: %w", path, err)
	}
	return &m, modelID(b), nil
}

func modelID(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

package train

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/akin-search/akin/encoder"
)

// ErrCheckpoint is wrapped by every error about a checkpoint that cannot be resumed from.
var ErrCheckpoint = errors.New("cannot resume from this checkpoint")

// The checkpoint file, little-endian:
//
//	0  magic "akinckpt"
//	8  uint32 version
//	12 uint32 length of the header
//	16 header: JSON of checkpointHeader
//	…  float32: the tables, in the header's order
//	…  SHA-256 of everything before
const (
	checkpointMagic = "akinckpt"
	// checkpointVersion counts the formats: 1, the first; 2, named tables in place of weights and moments.
	checkpointVersion = 2
)

// Groups of tables in a checkpoint.
const (
	tablesWeights   = "weights"   // of the network, running statistics included
	tablesOptimizer = "optimizer" // Optimizer.State
	tablesObjective = "objective" // Objective.State
	tablesAverage   = "average"   // of the weights, where there is one
	tablesGradients = "gradients" // gathered so far, between two batches of a step
	tablesBest      = "best"      // weights of the best epoch's model, with early stopping
	tablesLabels    = "labels"    // of all items, after a stage that found some
	tablesMembers   = "members"   // weights of the members that are done, one's behind the other's
	tablesGood      = "good "     // before the names of those to go back to, where they are not those at hand
)

// tables are groups of tables by name.
type tables map[string][][]float32

// checkpointHeader is the state of a run between two steps. Samplers and augmentation are replayed from the seed.
type checkpointHeader struct {
	Fingerprint string  `json:"fingerprint"`      // of data and options: another run's checkpoint is refused
	Step        int     `json:"step"`             // steps done
	LossSum     float64 `json:"loss_sum"`         // over the steps of the epoch in progress
	Curve       []Epoch `json:"curve"`            // of the epochs done
	Seconds     float64 `json:"seconds"`          // that the run took so far
	Initial     *Health `json:"initial"`          // of the probe before the first step; null before it was measured
	Stages      []Stage `json:"stages,omitempty"` // done before this run
	Tables      []group `json:"tables"`           // what follows the header
}

// group is a group of tables in the file.
type group struct {
	Name  string `json:"name"`
	Sizes []int  `json:"sizes"`
}

type checkpoint struct {
	checkpointHeader
	tables tables
}

// tables copies what the run is to the host.
func (r *run) tables() tables {
	t := tables{tablesWeights: r.graph.Weights(), tablesOptimizer: r.optimizer.State(), tablesObjective: r.objective.State()}
	if r.average != nil {
		t[tablesAverage] = r.average.state()
	}
	if r.step%r.batchesAStep() != 0 {
		t[tablesGradients] = r.gradients.state()
	}
	return t
}

// save writes the checkpoint.
func (r *run) save() error {
	if r.Checkpoint == "" {
		return nil
	}
	c := checkpoint{checkpointHeader: checkpointHeader{Fingerprint: r.fingerprint, Step: r.step, LossSum: r.lossSum, Curve: r.curve,
		Seconds: (r.elapsed + time.Since(r.began)).Seconds(), Initial: r.initial}}
	if r.initial != nil && r.step == r.epochs()*r.perEpoch {
		c.tables = maps.Clone(r.good)
	} else {
		c.tables = r.tables()
		for name, t := range r.good {
			c.tables[tablesGood+name] = t
		}
	}
	if r.best != nil {
		c.tables[tablesBest] = r.best
	}
	if r.before != nil {
		c.Stages, c.tables[tablesLabels], c.tables[tablesMembers] = r.before.stages, [][]float32{r.before.table()}, slices.Concat(r.before.weights...)
	}
	return c.write(r.Checkpoint)
}

// resume takes up the state of a checkpoint of this run.
func (r *run) resume(c *checkpoint) error {
	r.step, r.lossSum, r.curve, r.elapsed = c.Step, c.LossSum, c.Curve, time.Duration(c.Seconds*float64(time.Second))
	r.initial, r.best = c.Initial, c.tables[tablesBest]
	delete(c.tables, tablesBest)
	delete(c.tables, tablesLabels)
	delete(c.tables, tablesMembers)
	r.good = tables{}
	for name, t := range c.tables {
		if good, ok := strings.CutPrefix(name, tablesGood); ok {
			r.good[good] = t
			delete(c.tables, name)
		}
	}
	if len(r.good) == 0 {
		r.good = c.tables
	}
	return r.restore(c.tables)
}

func (c *checkpoint) write(path string) error {
	c.Tables = nil
	for _, name := range slices.Sorted(maps.Keys(c.tables)) {
		c.Tables = append(c.Tables, group{name, sizesOf(c.tables[name])})
	}
	header, err := json.Marshal(c.checkpointHeader)
	if err != nil {
		return fmt.Errorf("train: writing the checkpoint's header: %w", err)
	}
	b := binary.LittleEndian.AppendUint32([]byte(checkpointMagic), checkpointVersion)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(header)))
	b = append(b, header...)
	for _, g := range c.Tables {
		for _, w := range c.tables[g.Name] {
			for _, v := range w {
				b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
			}
		}
	}
	sum := sha256.Sum256(b)
	if err := encoder.WriteFileAtomic(path, append(b, sum[:]...)); err != nil {
		return fmt.Errorf("train: writing the checkpoint: %w", err)
	}
	return nil
}

// readCheckpoint reads path for the run with the given fingerprint, steps and parameter sizes.
func readCheckpoint(path, fingerprint string, steps int, sizes []int) (*checkpoint, error) {
	c, err := openCheckpoint(path)
	if err != nil {
		return nil, err
	}
	if c.Fingerprint != fingerprint || !slices.Equal(sizesOf(c.tables[tablesWeights]), sizes) {
		return nil, otherRun(path)
	}
	if c.Step > steps {
		return nil, fmt.Errorf("%w: %s is at step %d of %d", ErrCheckpoint, path, c.Step, steps)
	}
	return c, nil
}

func otherRun(path string) error {
	return fmt.Errorf("%w: %s was written with other data or options: use the same ones, or start without resuming", ErrCheckpoint, path)
}

// openCheckpoint reads path, whatever run it is of.
func openCheckpoint(path string) (*checkpoint, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: there is none at %s: start without resuming", ErrCheckpoint, path)
	}
	if err != nil {
		return nil, fmt.Errorf("train: reading the checkpoint: %w", err)
	}
	c, err := parseCheckpoint(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrCheckpoint, path, err)
	}
	return c, nil
}

func parseCheckpoint(b []byte) (*checkpoint, error) {
	if len(b) < 16+sha256.Size || string(b[:8]) != checkpointMagic {
		return nil, fmt.Errorf("%d bytes without the magic %q", len(b), checkpointMagic)
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != checkpointVersion {
		return nil, fmt.Errorf("it has format %d, this akin reads %d", v, checkpointVersion)
	}
	body := b[:len(b)-sha256.Size]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], b[len(body):]) {
		return nil, errors.New("its checksum does not match: it is damaged")
	}
	n := int(binary.LittleEndian.Uint32(b[12:]))
	if n > len(body)-16 {
		return nil, fmt.Errorf("its header claims %d bytes of %d", n, len(body)-16)
	}
	var c checkpoint
	if err := json.Unmarshal(body[16:16+n], &c.checkpointHeader); err != nil {
		return nil, fmt.Errorf("its header is not readable: %w", err)
	}
	data := body[16+n:]
	c.tables = make(tables, len(c.Tables))
	for _, g := range c.Tables {
		for _, s := range g.Sizes {
			if s < 0 || s > len(data)/4 {
				return nil, fmt.Errorf("a table of %d values, and %d bytes left", s, len(data))
			}
			w := make([]float32, s)
			for i := range w {
				w[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
			}
			data = data[4*s:]
			c.tables[g.Name] = append(c.tables[g.Name], w)
		}
	}
	if len(data) != 0 || c.Step < 0 {
		return nil, fmt.Errorf("%d bytes left over after %d steps", len(data), c.Step)
	}
	return &c, nil
}

func sizesOf(matrices [][]float32) []int {
	sizes := make([]int, len(matrices))
	for i, m := range matrices {
		sizes[i] = len(m)
	}
	return sizes
}

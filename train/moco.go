package train

import (
	"fmt"
	"math"

	"github.com/akin-search/akin/encoder/kernel"
)

// moco is the loss of He, Fan, Wu, Xie, Girshick 2020, "Momentum contrast for unsupervised visual representation learning", equation 1,
// as the mean over the rows:
//
//	L = mean_i −log( exp(q_i·k_i/τ) / (exp(q_i·k_i/τ) + Σ_{k in queue} exp(q_i·k/τ)) )
//
// where q_i are the embeddings of the batch, k_i the momentum encoder's keys of other views of the same items, and the queue holds the
// keys of the last batches, those of other items than i. A batch's keys join the queue after its loss. While the queue is empty, which
// is in the first step, loss and gradient are zero.
type moco struct {
	temperature float32
	queue       *recent
	keys        kernel.Matrix
	sim         []float32 // scratch: rows × queue
}

// NewMoCo returns MoCo for keys of the given dimension with a queue of so many. It panics at a temperature τ that is not positive.
func NewMoCo(temperature float32, queue, dimension int) KeyObjective {
	if !(temperature > 0) {
		panic(fmt.Sprintf("train: MoCo: temperature %v, want more than 0", temperature))
	}
	return &moco{temperature: temperature, queue: newRecent(queue, dimension)}
}

// Keys implements KeyObjective.
func (m *moco) Keys(_ *Batch, keys kernel.Matrix) {
	if len(m.keys.Data) != len(keys.Data) {
		m.keys = kernel.NewMatrix(keys.Rows, keys.Cols)
	}
	m.keys.Rows, m.keys.Cols = keys.Rows, keys.Cols
	copy(m.keys.Data, keys.Data)
}

// Loss implements Objective.
func (m *moco) Loss(b *Batch, emb, grad kernel.Matrix) float32 {
	checkLossShapes("MoCo", emb, b.Labels, grad)
	n, dim, queued := emb.Rows, emb.Cols, m.queue.filled
	if m.keys.Rows != n || m.keys.Cols != dim {
		panic(fmt.Sprintf("train: MoCo: keys %v for embeddings %v", m.keys, emb))
	}
	if queued == 0 {
		clear(grad.Data)
		m.queue.add(b.Items, b.Labels, m.keys)
		return 0
	}
	if cap(m.sim) < n*queued {
		m.sim = make([]float32, n*m.queue.capacity())
	}
	sim := m.sim[:n*queued]
	kernel.Gemm(false, true, n, queued, dim, emb.Data, dim, m.queue.rows.Data, dim, sim, queued, false)
	inverse := 1 / m.temperature
	sum, scale := 0.0, inverse/float32(n)
	for i, item := range b.Items {
		row := sim[i*queued : (i+1)*queued]
		for j, q := range m.queue.items[:queued] {
			if q == item {
				row[j] = float32(math.Inf(-1)) // an older view of the item is no negative: exp makes this 0
			}
		}
		positive := float32(0)
		key := m.keys.Row(i)
		for k, x := range emb.Row(i) {
			positive += x * key[k]
		}
		top := max(maximum(row), positive) // NaN is carried on
		total := expShifted(row, top, inverse) + math.Exp(float64((positive-top)*inverse))
		lost := math.Log(total) - float64((positive-top)*inverse)
		sum += lost
		share := float32(1/total) * scale
		for j := range row {
			row[j] *= share
		}
		pull := float32(math.Expm1(-lost)) * scale // softmax of the positive − 1
		for k, x := range key {
			grad.Row(i)[k] = pull * x
		}
	}
	kernel.Gemm(false, false, n, dim, queued, sim, queued, m.queue.rows.Data, dim, grad.Data, dim, true)
	m.queue.add(b.Items, b.Labels, m.keys)
	return float32(sum / float64(n))
}

// State implements Objective.
func (m *moco) State() [][]float32 { return m.queue.state() }

// Restore implements Objective.
func (m *moco) Restore(state [][]float32) error { return m.queue.restore(state) }

package train

import (
	"fmt"

	"github.com/akin-search/akin/encoder/kernel"
)

// memory is the cross-batch memory of Wang, Zhang, Huang, Scott 2020, "Cross-batch memory for embedding learning", algorithm 1: the
// batch's rows are compared with each other and, by the same loss, with the embeddings of the last batches,
//
//	L = L(batch, batch) + L(batch, memory)
//
// where the gradient goes to the batch alone: embeddings drift slowly, so that old ones do. As early ones drift fast, the memory counts
// only from when it is full for the first time. The batch joins it after its loss.
type memory struct {
	name   string
	batch  *batchwise
	across pairwise
	recent *recent
	value  []float32     // scratch: rows × memory
	other  kernel.Matrix // scratch: the second gradient
}

// newMemory takes two of the same loss, since each has its scratch.
func newMemory(name string, batch, across pairwise, capacity, dimension int) *memory {
	return &memory{name: name, batch: newBatchwise(name, batch), across: across, recent: newRecent(capacity, dimension)}
}

// Loss implements Objective.
func (m *memory) Loss(b *Batch, emb, grad kernel.Matrix) float32 {
	loss := m.batch.loss(emb, b.Labels, grad)
	if emb.Cols != m.recent.rows.Cols {
		panic(fmt.Sprintf("train: %s: embeddings of %d dimensions, the memory has %d", m.name, emb.Cols, m.recent.rows.Cols))
	}
	if m.recent.filled == m.recent.capacity() {
		loss += m.past(b, emb, grad)
	}
	m.recent.add(b.Items, b.Labels, emb)
	return loss
}

// past adds the loss against the memory and its gradient.
func (m *memory) past(b *Batch, emb, grad kernel.Matrix) float32 {
	n, k, dim := emb.Rows, m.recent.capacity(), emb.Cols
	if cap(m.value) < n*k {
		m.value, m.other = make([]float32, n*k), kernel.NewMatrix(n, dim)
	}
	s := similarities{value: m.value[:n*k], labels: b.Labels, among: m.recent.labels, dimension: dim}
	kernel.Gemm(false, true, n, k, dim, emb.Data, dim, m.recent.rows.Data, dim, s.value, k, false)
	loss, factor := m.across.gradient(s)
	if factor == 0 {
		return loss
	}
	other := m.other.Data[:n*dim]
	kernel.Gemm(false, false, n, dim, k, s.value, k, m.recent.rows.Data, dim, other, dim, false)
	for i, g := range other {
		grad.Data[i] += factor * g
	}
	return loss
}

// State implements Objective.
func (m *memory) State() [][]float32 { return m.recent.state() }

// Restore implements Objective.
func (m *memory) Restore(state [][]float32) error { return m.recent.restore(state) }

package train

import "github.com/akin-search/akin/encoder/kernel"

// similarities are the dot products of a batch's rows, the anchors, with candidates: the same rows, or embeddings of a memory.
type similarities struct {
	value         []float32 // anchors × candidates
	labels, among []int     // of the anchors, of the candidates
	self          bool      // candidate i is anchor i, and no pair with it
	dimension     int       // of the embeddings
}

func (s similarities) row(i int) []float32 {
	n := len(s.among)
	return s.value[i*n : (i+1)*n : (i+1)*n]
}

// relation tells what candidate j is to anchor i.
func (s similarities) positive(i, j int) bool {
	return s.labels[i] == s.among[j] && !(s.self && i == j)
}

func (s similarities) negative(i, j int) bool { return s.labels[i] != s.among[j] }

// pairwise is a loss that depends on the embeddings through their similarities alone.
type pairwise interface {
	// gradient overwrites s.value with G and returns the loss L and the factor of G: dL/ds = factor·G.
	gradient(s similarities) (loss, factor float32)
}

// batchwise compares the rows of a batch with each other. Since s_ij = e_i·e_j depends on both rows, dL/dE = factor·(G + Gᵀ)·E.
type batchwise struct {
	name string
	pairwise
	value []float32 // scratch
}

func newBatchwise(name string, p pairwise) *batchwise { return &batchwise{name: name, pairwise: p} }

func (b *batchwise) loss(emb kernel.Matrix, labels []int, grad kernel.Matrix) float32 {
	checkLossShapes(b.name, emb, labels, grad)
	n, dim := emb.Rows, emb.Cols
	if n == 0 {
		return 0
	}
	if cap(b.value) < n*n {
		b.value = make([]float32, n*n)
	}
	s := similarities{value: b.value[:n*n], labels: labels, among: labels, self: true, dimension: dim}
	kernel.Gemm(false, true, n, n, dim, emb.Data, dim, emb.Data, dim, s.value, n, false)
	loss, factor := b.gradient(s)
	if factor == 0 {
		clear(grad.Data)
		return loss
	}
	kernel.Gemm(false, false, n, dim, n, s.value, n, emb.Data, dim, grad.Data, dim, false)
	kernel.Gemm(true, false, n, dim, n, s.value, n, emb.Data, dim, grad.Data, dim, true)
	for i := range grad.Data {
		grad.Data[i] *= factor
	}
	return loss
}

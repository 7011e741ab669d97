// Package encoder turns raw bytes into embeddings: a decoder makes features of them, a network described by data makes a
// unit vector of those, and a model file holds both with the weights.
//
//	raw ──Decoder──► Features ──Network──► embedding
//	                              │
//	Network (layers) ──► Graph: gorgonia, forward and backward, one batch size (training)
//	                └──► runner: the same kernels without gorgonia, any number of items (Encoder)
//	model file: magic, version, spec, training record, weights, SHA-256 ──► ModelID
//
// A sound becomes a mel spectrum as long as it is; its embedding is the mean of those of its crops, brought to unit length, or one of statistics over all
// of it where the network says so.
//
// Caveats. An image is Height × Width × Channels, channels last. Embeddings of two models are not comparable even at equal
// dimension: compare ModelIDs first. The last bits of an embedding depend on the CPU tier (package kernel).
package encoder

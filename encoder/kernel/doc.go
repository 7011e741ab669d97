// Package kernel holds the arithmetic of akin's networks: a Device makes layers bound to a shape, and a layer runs forward
// and backward on Buffers that only the device looks into.
//
//	Buffer x ──► Conv: padded NHWC, bias, ReLU, 2×2 max pool ──► Linear: bias, ReLU ──► Normalize ──► Buffer y
//	                 └────────────── every product is a run of tiles ─────┘
//	tile: rows × 16 or 32 columns of C kept in registers; A and B read in place through strides (tile.go)
//	tier: avx512 ─► avx2 ─► generic, chosen once by CPU feature, lowered by AKIN_CPU; -tags noasm leaves generic only
//	bf16: amx ─► avx512bf16, for a device that is asked for it: pairs of bf16 in tiles, sums in float32 (bf16.go)
//
// Caveats. Images carry their zero padding in memory: a Conv reads its input with a border of Kernel/2 pixels and writes its
// output with the border that the next layer asks for; borders are never written, so a fresh Buffer, which is zeroed, is
// right. Layers own scratch memory and a device runs one layer at a time: neither is for concurrent use. Results do not
// depend on the number of threads, bit for bit; they do depend on the tier.
//
// The assembly is written by gen.go (go generate); tileReference and the other …Reference loops are its oracles.
package kernel

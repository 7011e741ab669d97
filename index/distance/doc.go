// Package distance holds the arithmetic of vector search: inner products and squared Euclidean distances of float32
// vectors, of a pair or of one query against many rows of a flat arena, and distances of int8 codes with a scale and a bias.
//
//	query q ─────────────────────┐
//	rows  [7 2 9 …] ──► prefetch ──► 4 rows at a time ──► out [d7 d2 d9 …]
//	arena [row 0 | row 1 | …] ───┘
//	tier: avx512 ─► avx2 ─► generic, chosen once by CPU feature, lowered by AKIN_CPU; -tags noasm leaves generic only
//
// Caveats. A row's distance does not depend on the rows beside it, bit for bit, and is the same with q and row exchanged;
// it does depend on the tier, and a single Dot may differ from a DotRows in the last bits: sums are ordered differently.
// Panels sum one row a lane, in the order of the components, and so differ from both in the last bits.
// CodeRows gives the same bits on every tier: its sums are of integers.
// Products beyond float32 give infinities and, for inner products, NaN: callers bound the length of their vectors.
// Lengths that do not fit together and rows outside the arena are a programmer's error and panic.
//
// The assembly is written by gen.go and gen_codes.go (go generate); generic.go and codes.go are its oracles.
package distance

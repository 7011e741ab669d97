// Package op holds the gorgonia operations of akin's graphs: each is one fused layer with a hand-written gradient, on a
// kernel.Device.
//
//	x ─► Layer ─► … ─► Layer ─► Loss ─► scalar            forward: a convolution, a residual block, a linear layer, …
//	       │             │        │
//	    dw,db ◄─ dx … dw,db,dx ◄─ dEmbedding              SymDiff: one operation a layer, its side outputs picked off
//
// Values are Arrays: a kernel.Buffer with a shape, so that an operation never assumes that its data is a Go slice. All are
// matrices to gorgonia's type system, one row an item.
//
// Caveats, each the mend of a trap in gorgonia v0.9.18: every operation owns its output memory (the machine overwrites the
// registers of intermediates), has a hash of its own (equal ones are merged, state and all) and a type of its own (unification
// changes it in place). An operation runs in one machine at a time.
package op

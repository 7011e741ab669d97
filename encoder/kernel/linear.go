package kernel

// cpuLinear computes a linear layer column panel by column panel, each panel on one thread.
type cpuLinear struct {
	LinearShape
	sizes   sizes
	dev     *cpuDevice
	dz      []float32
	panels  [][]float32 // scratch, one a chunk
	tiles   []tile
	product product
	n       int // columns of product
	body    func(int)
}

func newLinear(d *cpuDevice, s LinearShape) *cpuLinear {
	l := &cpuLinear{LinearShape: s, sizes: sizesOf(s, s.Batch, s.In), dev: d}
	if s.ReLU {
		l.dz = aligned(s.Batch * s.Out)
	}
	chunks := (max(s.In, s.Out) + d.tier.wide - 1) / d.tier.wide
	chunks = min(chunks, d.threads)
	l.panels = make([][]float32, chunks)
	l.tiles = make([]tile, chunks)
	for i := range l.panels {
		l.panels[i] = aligned(panelK * d.tier.wide)
	}
	l.body = func(i int) {
		w := l.dev.tier.wide
		lo, hi := chunk(i, min(len(l.panels), (l.n+w-1)/w), (l.n+w-1)/w)
		for j := lo * w; j < min(hi*w, l.n); j += w {
			l.product.columns(l.dev.tier, l.panels[i], &l.tiles[i], j, min(w, l.n-j))
		}
	}
	return l
}

// run computes n columns of p.
func (l *cpuLinear) run(n int, p product) {
	l.product, l.n = p, n
	w := l.dev.tier.wide
	l.dev.parallel(min(len(l.panels), (n+w-1)/w), l.body)
}

func (l *cpuLinear) Forward(n int, x Buffer, params []Buffer, y Buffer) {
	l.sizes.checkForward(n, x, params, y)
	flags := tileBias
	if l.ReLU {
		flags |= tileReLU
	}
	l.run(l.Out, product{m: n, k: l.In, a: floats(x), lda: l.In, b: floats(params[0]), ldb: l.Out, c: floats(y), ldc: l.Out, bias: floats(params[1]), flags: flags})
}

func (l *cpuLinear) Backward(n int, x Buffer, params []Buffer, y, dy, dx Buffer, grads []Buffer) {
	l.sizes.checkBackward(n, x, params, y, dy, dx, grads)
	dz := floats(dy)[:n*l.Out]
	if l.ReLU {
		l.dev.tier.zeroWhereInactive(l.dz[:n*l.Out], floats(y)[:n*l.Out], dz)
		dz = l.dz[:n*l.Out]
	}
	bias := floats(grads[1])
	clear(bias)
	for i := range n {
		l.dev.tier.add(bias, dz[i*l.Out:(i+1)*l.Out])
	}
	l.run(l.Out, product{transA: true, m: l.In, k: n, a: floats(x), lda: l.In, b: dz, ldb: l.Out, c: floats(grads[0]), ldc: l.Out})
	if l.InputGrad {
		l.run(l.In, product{transB: true, m: n, k: l.Out, a: dz, lda: l.Out, b: floats(params[0]), ldb: l.Out, c: floats(dx), ldc: l.In})
	}
}

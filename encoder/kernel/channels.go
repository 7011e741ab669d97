package kernel

// Loops over pixels of which each holds one value a channel, as many as the per-channel vectors are long. The assembly does
// whole blocks of lanes, the reference the other channels.

// sumChannels adds Σ (z-shift) and Σ (z-shift)² over the pixels to sum and square.
func (t *tier) sumChannels(sum, square, z, shift []float32) {
	f := len(sum)
	n := t.whole(f)
	for c := 0; c < n; c += t.lanes {
		t.channelSums(&sum[c], &square[c], &z[c], &shift[c], 4*f, len(z)/f)
	}
	if n < f {
		channelSumsReference(sum, square, z, shift, n)
	}
}

func channelSumsReference(sum, square, z, shift []float32, from int) {
	for p := 0; p < len(z); p += len(sum) {
		for c := from; c < len(sum); c++ {
			v := z[p+c] - shift[c]
			sum[c] += v
			square[c] += v * v
		}
	}
}

// affine computes y = max(z·a + b, floor).
func (t *tier) affine(y, z, a, b []float32, floor *[1]float32) {
	f := len(a)
	n := t.whole(f)
	for c := 0; c < n; c += t.lanes {
		t.channelAffine(&y[c], &z[c], &a[c], &b[c], &floor[0], 4*f, len(z)/f)
	}
	if n < f {
		affineReference(y, z, a, b, floor[0], nil, nil, n)
	}
}

// affineSkip computes y = max(z·a + b + skip·scale, floor).
func (t *tier) affineSkip(y, z, a, b []float32, floor *[1]float32, skip, scale []float32) {
	f := len(a)
	n := t.whole(f)
	for c := 0; c < n; c += t.lanes {
		t.channelAffineSkip(&y[c], &z[c], &a[c], &b[c], &floor[0], &skip[c], &scale[c], 4*f, len(z)/f)
	}
	if n < f {
		affineReference(y, z, a, b, floor[0], skip, scale, n)
	}
}

func affineReference(y, z, a, b []float32, floor float32, skip, scale []float32, from int) {
	for p := 0; p < len(z); p += len(a) {
		for c := from; c < len(a); c++ {
			v := z[p+c]*a[c] + b[c]
			if skip != nil {
				v += skip[p+c] * scale[c]
			}
			y[p+c] = max(v, floor)
		}
	}
}

// active says which gradients of a row or an image count: all, those where y > 0, or those where z·a + b > 0.
type active struct{ y, a, b []float32 }

func (m active) at(z []float32, p, c int) bool {
	switch {
	case m.y != nil:
		return m.y[p+c] > 0
	case m.a != nil:
		return z[p+c]*m.a[c]+m.b[c] > 0
	}
	return true
}

// sumChannelGrads adds Σ dv and Σ dv·z over the pixels whose gradient counts to sum and product.
func (t *tier) sumChannelGrads(sum, product, dv, z []float32, m active) {
	f := len(sum)
	n := t.whole(f)
	for c := 0; c < n; c += t.lanes {
		switch {
		case m.y != nil:
			t.channelGradSumsReLU(&sum[c], &product[c], &dv[c], &z[c], &m.y[c], 4*f, len(z)/f)
		case m.a != nil:
			t.channelGradSumsNorm(&sum[c], &product[c], &dv[c], &z[c], &m.a[c], &m.b[c], 4*f, len(z)/f)
		default:
			t.channelGradSums(&sum[c], &product[c], &dv[c], &z[c], 4*f, len(z)/f)
		}
	}
	if n < f {
		channelGradSumsReference(sum, product, dv, z, m, n)
	}
}

func channelGradSumsReference(sum, product, dv, z []float32, m active, from int) {
	for p := 0; p < len(z); p += len(sum) {
		for c := from; c < len(sum); c++ {
			if m.at(z, p, c) {
				sum[c] += dv[p+c]
				product[c] += dv[p+c] * z[p+c]
			}
		}
	}
}

// channelGrads computes dz = dv·k1 + z·k2 + k3, where k holds k1, k2 and k3 one after the other, and dv counts where z·a + b > 0; where
// a is nil, everywhere.
func (t *tier) channelGrads(dz, dv, z, k, a, b []float32) {
	f := len(k) / 3
	n := t.whole(f)
	for c := 0; c < n; c += t.lanes {
		if a == nil {
			t.channelGrad(&dz[c], &dv[c], &z[c], &k[c], 4*f, len(z)/f)
		} else {
			t.channelGradNorm(&dz[c], &dv[c], &z[c], &k[c], &a[c], &b[c], 4*f, len(z)/f)
		}
	}
	if n < f {
		channelGradsReference(dz, dv, z, k, active{a: a, b: b}, n)
	}
}

func channelGradsReference(dz, dv, z, k []float32, m active, from int) {
	f := len(k) / 3
	for p := 0; p < len(z); p += f {
		for c := from; c < f; c++ {
			v := z[p+c]*k[f+c] + k[2*f+c]
			if m.at(z, p, c) {
				v += dv[p+c] * k[c]
			}
			dz[p+c] = v
		}
	}
}

// GlobalPoolShape is the mean over all pixels of each channel: x [Batch][Height][Width][Channels] to y [Batch][Channels].
type GlobalPoolShape struct{ Batch, Height, Width, Channels int }

// Validate reports the first value that no kernel can serve.
func (s GlobalPoolShape) Validate() error {
	if s.Batch < 1 || s.Height < 1 || s.Width < 1 || s.Channels < 1 {
		return shapeError("global pooling", s)
	}
	return nil
}

// Parameters are none.
func (s GlobalPoolShape) Parameters() []Parameter { return nil }

// Output returns Channels.
func (s GlobalPoolShape) Output() int { return s.Channels }

// Differentiable is always true.
func (s GlobalPoolShape) Differentiable() bool { return true }

// Flops returns 0: there is no product.
func (s GlobalPoolShape) Flops() int { return 0 }

type cpuGlobalPool struct {
	GlobalPoolShape
	sizes sizes
	dev   *cpuDevice
}

func (l cpuGlobalPool) Forward(n int, x Buffer, params []Buffer, y Buffer) {
	size := l.Height * l.Width * l.Channels
	l.sizes.checkForward(n, x, params, y)
	inverse := 1 / float32(l.Height*l.Width)
	for i := range n {
		out := floats(y)[i*l.Channels:][:l.Channels]
		clear(out)
		img := floats(x)[i*size:][:size]
		for p := 0; p < size; p += l.Channels {
			l.dev.tier.add(out, img[p:][:l.Channels])
		}
		for c := range out {
			out[c] *= inverse
		}
	}
}

func (l cpuGlobalPool) Backward(n int, x Buffer, params []Buffer, y, dy, dx Buffer, grads []Buffer) {
	size := l.Height * l.Width * l.Channels
	l.sizes.checkBackward(n, x, params, y, dy, dx, grads)
	inverse := 1 / float32(l.Height*l.Width)
	for i := range n {
		img := floats(dx)[i*size:][:size]
		for c, g := range floats(dy)[i*l.Channels:][:l.Channels] {
			img[c] = g * inverse
		}
		for p := l.Channels; p < size; p += l.Channels {
			copy(img[p:][:l.Channels], img)
		}
	}
}

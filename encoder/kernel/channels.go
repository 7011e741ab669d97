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

// affine computes y = max(z·a + b + skip, floor); skip may be nil.
func (t *tier) affine(y, z, a, b []float32, floor *[1]float32, skip []float32) {
	f := len(a)
	n := t.whole(f)
	for c := 0; c < n; c += t.lanes {
		if skip == nil {
			t.channelAffine(&y[c], &z[c], &a[c], &b[c], &floor[0], 4*f, len(z)/f)
		} else {
			t.channelAffineSkip(&y[c], &z[c], &a[c], &b[c], &floor[0], &skip[c], 4*f, len(z)/f)
		}
	}
	if n < f {
		affineReference(y, z, a, b, floor[0], skip, n)
	}
}

func affineReference(y, z, a, b []float32, floor float32, skip []float32, from int) {
	for p := 0; p < len(z); p += len(a) {
		for c := from; c < len(a); c++ {
			v := z[p+c]*a[c] + b[c]
			if skip != nil {
				v += skip[p+c]
			}
			y[p+c] = max(v, floor)
		}
	}
}

// sumChannelGrads adds Σ dv and Σ dv·z over the pixels to sum and product. Where y is given, dv counts where y > 0 only.
func (t *tier) sumChannelGrads(sum, product, dv, z, y []float32) {
	f := len(sum)
	n := t.whole(f)
	for c := 0; c < n; c += t.lanes {
		if y == nil {
			t.channelGradSums(&sum[c], &product[c], &dv[c], &z[c], 4*f, len(z)/f)
		} else {
			t.channelGradSumsReLU(&sum[c], &product[c], &dv[c], &z[c], &y[c], 4*f, len(z)/f)
		}
	}
	if n < f {
		channelGradSumsReference(sum, product, dv, z, y, n)
	}
}

func channelGradSumsReference(sum, product, dv, z, y []float32, from int) {
	for p := 0; p < len(z); p += len(sum) {
		for c := from; c < len(sum); c++ {
			if y == nil || y[p+c] > 0 {
				sum[c] += dv[p+c]
				product[c] += dv[p+c] * z[p+c]
			}
		}
	}
}

// channelGrads computes dz = dv·k1 + z·k2 + k3, where k holds k1, k2 and k3 one after the other. Where y is given, dv counts where
// y > 0 only.
func (t *tier) channelGrads(dz, dv, z, k, y []float32) {
	f := len(k) / 3
	n := t.whole(f)
	for c := 0; c < n; c += t.lanes {
		if y == nil {
			t.channelGrad(&dz[c], &dv[c], &z[c], &k[c], 4*f, len(z)/f)
		} else {
			t.channelGradReLU(&dz[c], &dv[c], &z[c], &k[c], &y[c], 4*f, len(z)/f)
		}
	}
	if n < f {
		channelGradsReference(dz, dv, z, k, y, n)
	}
}

func channelGradsReference(dz, dv, z, k, y []float32, from int) {
	f := len(k) / 3
	for p := 0; p < len(z); p += f {
		for c := from; c < f; c++ {
			v := z[p+c]*k[f+c] + k[2*f+c]
			if y == nil || y[p+c] > 0 {
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

package kernel

import "math"

// Element-wise loops: the assembly does a multiple of the tier's lanes, the reference the rest.

func (t *tier) whole(n int) int {
	if t.lanes == 0 {
		return 0
	}
	return n - n%t.lanes
}

// zeroWhereInactive computes dz = dy where y > 0, else 0: the gradient of ReLU from its output.
func (t *tier) zeroWhereInactive(dz, y, dy []float32) {
	n := t.whole(len(dz))
	if n > 0 {
		t.reluGrad(&dz[0], &y[0], &dy[0], n)
	}
	reluGradReference(dz[n:], y[n:], dy[n:])
}

func reluGradReference(dz, y, dy []float32) {
	for i := range dz {
		dz[i] = 0
		if y[i] > 0 {
			dz[i] = dy[i]
		}
	}
}

// add computes dst += src.
func (t *tier) add(dst, src []float32) {
	n := t.whole(len(dst))
	if n > 0 {
		t.addTo(&dst[0], &src[0], n)
	}
	for i := n; i < len(dst); i++ {
		dst[i] += src[i]
	}
}

// plus computes dst += src·scale, rounded twice. The scale is taken where it lies: through a function of the tier, its address escapes.
func (t *tier) plus(dst, src []float32, scale *float32) {
	n := t.whole(len(dst))
	if n > 0 {
		t.addScaled(&dst[0], &src[0], scale, n)
	}
	for i := n; i < len(dst); i++ {
		dst[i] += float32(src[i] * *scale)
	}
}

// poolRow takes the maximum of 2×2 pixels of f channels, for a row of len(out)/f output pixels, and its place: 0 to 3, the first of
// equals, or 4 when it is not positive and so passes no gradient. r0 and r1 are the two input rows.
func (t *tier) poolRow(out []float32, idx []int32, r0, r1 []float32, f int) {
	if t.lanes > 0 && f%t.lanes == 0 {
		t.maxPool(&out[0], &idx[0], &r0[0], &r0[f], &r1[0], &r1[f], 4*f, len(out)/f, f)
		return
	}
	maxPoolReference(out, idx, r0, r1, f)
}

func maxPoolReference(out []float32, idx []int32, r0, r1 []float32, f int) {
	for i := range out {
		at := i + i/f*f
		m, k := r0[at], int32(0)
		for j, v := range [...]float32{r0[at+f], r1[at], r1[at+f]} {
			if v > m {
				m, k = v, int32(j+1)
			}
		}
		if !(m > 0) {
			k = 4
		}
		out[i], idx[i] = m, k
	}
}

// unpoolRow sends dy to the pixel that idx names and zero to the other three.
func (t *tier) unpoolRow(dy []float32, idx []int32, r0, r1 []float32, f int) {
	if t.lanes > 0 && f%t.lanes == 0 {
		t.maxPoolGrad(&dy[0], &idx[0], &r0[0], &r0[f], &r1[0], &r1[f], 4*f, len(dy)/f, f)
		return
	}
	maxPoolGradReference(dy, idx, r0, r1, f)
}

func maxPoolGradReference(dy []float32, idx []int32, r0, r1 []float32, f int) {
	for i, g := range dy {
		at := i + i/f*f
		for j, p := range [...]*float32{&r0[at], &r0[at+f], &r1[at], &r1[at+f]} {
			*p = 0
			if idx[i] == int32(j) {
				*p = g
			}
		}
	}
}

// AdamStep is one step of Adam with decoupled weight decay (Kingma & Ba 2015, algorithm 1; Loshchilov & Hutter 2019,
// algorithm 2). Step counts from 1.
type AdamStep struct {
	Rate, Beta1, Beta2, Epsilon, Decay float64
	Step                               int
	Rows                               []int // of Cols values each, that are updated alone; nil for all. The moments of the others stay as they are
	Cols                               int
}

// coefficients are what the loop needs: {β1, 1-β1, β2, 1-β2, 1/(1-β2^t), ε, -rate/(1-β1^t), 1-rate·decay}, the smallest normal number
// and the bits of an absolute value.
func (s AdamStep) coefficients() [10]float32 {
	c1 := 1 - math.Pow(s.Beta1, float64(s.Step))
	c2 := 1 - math.Pow(s.Beta2, float64(s.Step))
	return [10]float32{float32(s.Beta1), float32(1 - s.Beta1), float32(s.Beta2), float32(1 - s.Beta2), float32(1 / c2),
		float32(s.Epsilon), float32(-s.Rate / c1), float32(1 - s.Rate*s.Decay), math.Float32frombits(0x00800000), math.Float32frombits(0x7fffffff)}
}

// adamChunk keeps a thread's share of the four arrays in its cache.
const adamChunk = 1 << 14

// Adam updates the weights w and the moments m and v by the gradient g.
func (d *cpuDevice) Adam(w, g, m, v Buffer, s AdamStep) {
	k := s.coefficients()
	wf, gf, mf, vf := floats(w), floats(g), floats(m), floats(v)
	if len(gf) != len(wf) || len(mf) != len(wf) || len(vf) != len(wf) {
		panic("kernel: Adam buffers differ in length")
	}
	update := func(lo, hi int) {
		n := d.tier.whole(hi - lo)
		if n > 0 {
			d.tier.adam(&wf[lo], &gf[lo], &mf[lo], &vf[lo], &k[0], n)
		}
		adamReference(wf[lo+n:hi], gf[lo+n:hi], mf[lo+n:hi], vf[lo+n:hi], &k)
	}
	if s.Rows != nil {
		each := max(1, adamChunk/s.Cols)
		d.parallel((len(s.Rows)+each-1)/each, func(i int) {
			for _, row := range s.Rows[i*each : min((i+1)*each, len(s.Rows))] {
				update(row*s.Cols, (row+1)*s.Cols)
			}
		})
		return
	}
	if len(wf) <= adamChunk {
		update(0, len(wf))
		return
	}
	chunks := (len(wf) + adamChunk - 1) / adamChunk
	d.parallel(chunks, func(i int) { update(i*adamChunk, min((i+1)*adamChunk, len(wf))) })
}

// adamReference keeps no subnormal moment: arithmetic on them is a hundred times slower, and those of units that died would stay
// subnormal for ever, for 0.9·x rounds back to x.
func adamReference(w, g, m, v []float32, k *[10]float32) {
	for i := range w {
		m[i] = flushed(k[0]*m[i] + k[1]*g[i])
		v[i] = flushed(k[2]*v[i] + k[3]*(g[i]*g[i]))
		w[i] = k[7]*w[i] + k[6]*(m[i]/(float32(math.Sqrt(float64(v[i]*k[4])))+k[5]))
	}
}

// flushed returns 0 for a subnormal number.
func flushed(x float32) float32 {
	if math.Float32bits(x)&0x7f800000 == 0 {
		return 0
	}
	return x
}

func (d *cpuDevice) Scale(dst, src Buffer, s float32) {
	a, b := floats(dst), floats(src)
	for i, v := range b {
		a[i] = v * s
	}
}

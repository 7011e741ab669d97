package kernel

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
)

// MaxThreads bounds the threads of a CPU device.
const MaxThreads = 1024

// cpuDevice runs kernels on the host's cores.
type cpuDevice struct {
	tier    *tier
	bf16    *bf16Tier // nil where all products are float32
	threads int
	helpers []*helper
	ended   sync.WaitGroup

	// the parallel loop in progress
	body   func(chunk int)
	n      int32
	next   atomic.Int32
	call   atomic.Uint32 // counts the loops; a helper waits for the next
	busy   atomic.Int32  // helpers that have not finished it
	closed atomic.Bool
}

// helper is a thread beside the caller's. Between two loops it spins for a while before it sleeps: layers follow each other within
// microseconds, and waking a goroutine takes longer.
type helper struct {
	asleep atomic.Bool
	wake   chan struct{}
}

// spins is how often a helper looks for the next loop before it sleeps, some 80 µs: between two of them lie the loss, or the packing of
// weights, and waking up on a virtual machine takes as long.
const spins = 1 << 16

// NewCPU returns a float32 device of the given number of threads, the caller's included; 0 means one a core. It fails on more than
// MaxThreads, and when AKIN_CPU names a tier that this machine lacks.
func NewCPU(threads int) (Device, error) { return NewCPUWith(threads, Float32) }

// NewCPUWith is NewCPU for a precision. BF16 fails with ErrNoBF16 where the processor, or the tier that AKIN_CPU names, lacks it.
func NewCPUWith(threads int, p Precision) (Device, error) {
	if err := p.Supported(); err != nil {
		return nil, err
	}
	d, err := newCPU(threads, best)
	if err != nil {
		return nil, err
	}
	if p == BF16 {
		d.bf16, err = bestBF16()
	}
	return d, err
}

func newCPU(threads int, t *tier) (*cpuDevice, error) {
	if threads < 0 || threads > MaxThreads {
		return nil, fmt.Errorf("kernel: %d threads: it must be 0 (one a core) to %d", threads, MaxThreads)
	}
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	d := &cpuDevice{tier: t, threads: threads}
	for range threads - 1 {
		h := &helper{wake: make(chan struct{}, 1)}
		d.helpers = append(d.helpers, h)
		d.ended.Go(func() { d.help(h) })
	}
	return d, nil
}

// help takes part in every parallel loop until the device is closed.
func (d *cpuDevice) help(h *helper) {
	for call := uint32(0); ; {
		for look := 0; d.call.Load() == call; look++ {
			if look < spins {
				continue
			}
			h.asleep.Store(true)
			// Whoever clears the flag, this helper or the one that starts a loop, knows that it is awake.
			if d.call.Load() != call && h.asleep.CompareAndSwap(true, false) {
				break
			}
			<-h.wake
		}
		call = d.call.Load()
		if d.closed.Load() {
			return
		}
		d.drain()
		d.busy.Add(-1)
	}
}

// start lets the helpers go.
func (d *cpuDevice) start() {
	d.call.Add(1)
	for _, h := range d.helpers {
		if h.asleep.CompareAndSwap(true, false) {
			h.wake <- struct{}{}
		}
	}
}

func (d *cpuDevice) Name() string {
	if d.bf16 != nil {
		return "cpu/" + d.tier.name + "+" + d.bf16.name
	}
	return "cpu/" + d.tier.name
}

func (d *cpuDevice) NewLayer(s Shape) (Layer, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	switch s := s.(type) {
	case ConvShape:
		return newConv(d, s), nil
	case NormConvShape:
		return newNormConv(d, s), nil
	case ResidualShape:
		if s.Folded {
			return newFoldedResidual(d, s), nil
		}
		return newResidual(d, s), nil
	case GlobalPoolShape:
		return cpuGlobalPool{s, sizesOf(s, s.Batch, s.Height*s.Width*s.Channels), d}, nil
	case BandsShape:
		return cpuBands{s, sizesOf(s, s.Batch, s.Height*s.Width*s.Channels)}, nil
	case CellsShape:
		return newCells(d, s), nil
	case StatisticsShape:
		return newStatistics(d, s), nil
	case BagShape:
		return newBag(d, s), nil
	case LinearShape:
		return newLinear(d, s), nil
	case FixedShape:
		return cpuFixed{newLinear(d, LinearShape{Batch: s.Batch, In: s.In, Out: s.Out})}, nil
	case BesideShape:
		return newBeside(d, s), nil
	case NormalizeShape:
		return cpuNormalize{s, sizesOf(s, s.Batch, s.Cols)}, nil
	}
	return nil, fmt.Errorf("kernel: the CPU has no layer of shape %T", s)
}

// sizes are what a layer's buffers must hold; they are worked out once.
type sizes struct {
	shape                Shape
	batch, input, output int
	params               []int
	trained              []bool
	differentiable       bool
}

func sizesOf(s Shape, batch, input int) sizes {
	z := sizes{shape: s, batch: batch, input: input, output: s.Output(), differentiable: s.Differentiable()}
	for _, p := range s.Parameters() {
		z.params = append(z.params, p.Len())
		z.trained = append(z.trained, p.Role.Trained())
	}
	return z
}

// checkForward panics when a buffer does not fit its shape: the tiles read through pointers.
func (z *sizes) checkForward(n int, x Buffer, params []Buffer, y Buffer) {
	bad := n < 1 || n > z.batch || x.n < n*z.input || y.n < n*z.output || len(params) != len(z.params)
	for i, p := range z.params {
		bad = bad || params[i].n != p
	}
	if bad {
		panic(fmt.Sprintf("kernel: %T %+v got %d items, x of %d, y of %d and %d parameters", z.shape, z.shape, n, x.n, y.n, len(params)))
	}
}

// checkBackward is checkForward for Backward.
func (z *sizes) checkBackward(n int, x Buffer, params []Buffer, y, dy, dx Buffer, grads []Buffer) {
	z.checkForward(n, x, params, y)
	bad := dy.n < n*z.output || z.differentiable && dx.n < n*z.input || len(grads) != len(z.params)
	for i, p := range z.params {
		bad = bad || z.trained[i] && grads[i].n != p
	}
	if bad {
		panic(fmt.Sprintf("kernel: %T %+v got dy of %d, dx of %d and %d gradients for %d items", z.shape, z.shape, dy.n, dx.n, len(grads), n))
	}
}

func (d *cpuDevice) Close() error {
	if !d.closed.Swap(true) {
		d.start()
		d.ended.Wait()
	}
	return nil
}

// parallel calls body for chunks 0 to n-1, in any order, on the device's threads. What a chunk computes must not depend on
// who runs it: that is what makes results independent of the number of threads.
func (d *cpuDevice) parallel(n int, body func(chunk int)) {
	if d.threads == 1 || n == 1 {
		for i := range n {
			body(i)
		}
		return
	}
	d.body, d.n = body, int32(n)
	d.next.Store(0)
	d.busy.Store(int32(len(d.helpers)))
	d.start()
	d.drain()
	for look := 0; d.busy.Load() > 0; look++ {
		if look > spins/64 {
			runtime.Gosched()
		}
	}
}

func (d *cpuDevice) drain() {
	for {
		i := d.next.Add(1) - 1
		if i >= d.n {
			return
		}
		d.body(int(i))
	}
}

func (d *cpuDevice) Alloc(n int) Buffer { return bufferOf(aligned(n)) }

func (d *cpuDevice) Upload(dst Buffer, src []float32)   { copyExactly(floats(dst), src) }
func (d *cpuDevice) Download(dst []float32, src Buffer) { copyExactly(dst, floats(src)) }

func copyExactly(dst, src []float32) {
	if len(dst) != len(src) {
		panic(fmt.Sprintf("kernel: copy of %d floats to a buffer of %d", len(src), len(dst)))
	}
	copy(dst, src)
}

// hugePage is the size of a large page. A batch of activations is thousands of small ones, more than the processor keeps translations of.
const hugePage = 2 << 20

// aligned returns n zeroed floats that start on a cache line.
func aligned(n int) []float32 {
	s := make([]float32, n+16)
	if 4*n >= 2*hugePage {
		adviseHugePages(unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), 4*len(s)))
	}
	o := 0
	for uintptr(unsafe.Pointer(&s[o]))&63 != 0 {
		o++
	}
	return s[o : o+n : o+n]
}

func bufferOf(s []float32) Buffer {
	if len(s) == 0 {
		return Buffer{}
	}
	return Buffer{p: unsafe.Pointer(&s[0]), n: len(s)}
}

// floats views a host Buffer.
func floats(b Buffer) []float32 { return unsafe.Slice((*float32)(b.p), b.n) }

// chunk returns the bounds of part i of n items in parts.
func chunk(i, parts, n int) (lo, hi int) { return n * i / parts, n * (i + 1) / parts }

package distance

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// naiveScan sums table entries by the definition of the layout, one bit at a time.
func naiveScan(record []uint32, lut []byte, at *Scale) (out [ScanWidth]float64, scale float64) {
	codes := record[scanFactors:]
	bit := func(group, j, i int) int { // bit i of neighbour j's nibble
		b := 16*group + j%16
		return int(codes[b/4]>>(b%4*8+j/16*4+i)) & 1
	}
	for j := range out {
		sum := 0
		for g := range len(lut) / 16 {
			sum += int(lut[16*g+bit(g, j, 0)+2*bit(g, j, 1)+4*bit(g, j, 2)+8*bit(g, j, 3)])
		}
		a, b := float64(math.Float32frombits(record[j])), float64(math.Float32frombits(record[32+j]))
		out[j] = float64(at.Base) + a + b*(float64(at.Scale)*float64(sum)+float64(at.Shift))
		scale = max(scale, math.Abs(float64(at.Base)), math.Abs(a), math.Abs(b)*(math.Abs(float64(at.Scale)*float64(sum))+math.Abs(float64(at.Shift))))
	}
	return out, scale
}

func randomScan(r *rand.Rand, record []uint32, lut []byte) Scale {
	for i := range record {
		record[i] = r.Uint32()
		if i < scanFactors {
			record[i] = math.Float32bits(float32(r.NormFloat64()))
		}
	}
	for i := range lut {
		lut[i] = byte(r.IntN(ScanMaxEntry + 1))
	}
	return Scale{Scale: float32(r.NormFloat64()), Shift: float32(100 * r.NormFloat64()), Base: float32(r.NormFloat64())}
}

func checkScan(t *testing.T, tr tier, record []uint32, lut []byte, at Scale) {
	t.Helper()
	want, scale := naiveScan(record, lut, &at)
	at.Limit = float32(want[7])
	var out [ScanWidth]float32
	mask := tr.scan(record, lut, &at, &out)
	for j, x := range out {
		if math.Abs(float64(x)-want[j]) > scale*0x1p-21 {
			t.Fatalf("%v, %d components: estimate %d is %v, want %v", tr, len(lut)/4, j, x, want[j])
		}
		if (mask>>j&1 == 1) != (x < at.Limit) {
			t.Fatalf("%v, %d components: estimate %d is %v, limit %v, mask %032b", tr, len(lut)/4, j, x, at.Limit, mask)
		}
	}
}

func TestScanEqualsNaiveLoop(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	for _, tr := range supported() {
		for dim := scanStep; dim <= scanLimit; dim += scanStep * (1 + dim/512) {
			record, lut := make([]uint32, ScanWords(dim)), make([]byte, 4*dim)
			at := randomScan(r, record, lut)
			checkScan(t, tr, record, lut, at)
		}
	}
}

// TestScanSumsFit fills the largest table with the largest entries.
func TestScanSumsFit(t *testing.T) {
	record, lut := make([]uint32, ScanWords(scanLimit)), make([]byte, 4*scanLimit)
	for i := range lut {
		lut[i] = ScanMaxEntry
	}
	for i := range ScanWidth {
		record[32+i] = math.Float32bits(1)
	}
	for _, tr := range supported() {
		checkScan(t, tr, record, lut, Scale{Scale: 1})
	}
	if scanLimit < 4096+scanStep {
		t.Errorf("%d components fit, want 4096 and a lifted one", scanLimit)
	}
}

func TestScanMisusePanics(t *testing.T) {
	for _, n := range [][2]int{{ScanWords(16), 60}, {ScanWords(16), 128}, {ScanWords(16) - 1, 64}, {ScanWords(scanLimit + 16), 4*scanLimit + 64}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("record of %d words and table of %d bytes were taken", n[0], n[1])
				}
			}()
			Scan(make([]uint32, n[0]), make([]byte, n[1]), &Scale{}, &[ScanWidth]float32{})
		}()
	}
}

func FuzzScan(f *testing.F) {
	f.Add(uint64(1), uint16(49))
	f.Fuzz(func(t *testing.T, seed uint64, steps uint16) {
		r := rand.New(rand.NewPCG(seed, 0))
		dim := scanStep * (1 + int(steps)%(scanLimit/scanStep))
		record, lut := make([]uint32, ScanWords(dim)), make([]byte, 4*dim)
		at := randomScan(r, record, lut)
		for _, tr := range supported() {
			checkScan(t, tr, record, lut, at)
		}
	})
}

func BenchmarkScan(b *testing.B) {
	for _, tr := range supported() {
		for _, dim := range []int{256, 784} {
			b.Run(fmt.Sprintf("%v/dim=%d", tr, dim), func(b *testing.B) {
				record, lut := make([]uint32, ScanWords(dim)+16), make([]byte, 4*dim)
				skip := int(-uintptr(unsafe.Pointer(&record[0]))%64) / 4
				record = record[skip : skip+ScanWords(dim)]
				at := randomScan(rand.New(rand.NewPCG(1, 1)), record, lut)
				var out [ScanWidth]float32
				for range b.N {
					tr.scan(record, lut, &at, &out)
				}
			})
		}
	}
}

// TestScanTable compares the entries of a table with the sums that they stand for.
func TestScanTable(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 31))
	for _, tr := range supported() {
		for dim := scanStep; dim <= 1024; dim += scanStep {
			for _, size := range []float64{0, 1e-40, 1e-30, 1, 1e17} {
				q, lut := padded(dim, dim%5), make([]byte, 4*dim+1)
				total := 0.0
				for i := range q {
					q[i] = float32(r.NormFloat64() * size)
					total += math.Abs(float64(q[i]))
				}
				lut[4*dim] = 0xA5
				scale, shift := tr.table(q, lut[:4*dim])
				if lut[4*dim] != 0xA5 || math.Abs(float64(shift)+total) > total*1e-6 {
					t.Fatalf("%v, %d components: shift %v, want %v", tr, dim, shift, -total)
				}
				for i := 0; i < dim; i += 4 {
					for e := range 16 {
						want := 0.0
						for j, x := range q[i : i+4] {
							want += math.Abs(float64(x)) + float64(x)*float64(e>>j&1*2-1)
						}
						entry := lut[4*i+e]
						if got := float64(scale) * float64(entry); entry > ScanMaxEntry || math.Abs(got-want) > float64(scale)*0.501+1e-35 {
							t.Fatalf("%v, %d components of size %v: entry %d of group %d is %v, want %v", tr, dim, size, e, i/4, got, want)
						}
					}
				}
			}
		}
	}
}

func BenchmarkScanTable(b *testing.B) {
	for _, tr := range supported() {
		b.Run(fmt.Sprintf("%v/dim=784", tr), func(b *testing.B) {
			q, lut := make([]float32, 784), make([]byte, 4*784)
			fill(rand.New(rand.NewPCG(1, 1)), q)
			for range b.N {
				tr.table(q, lut)
			}
		})
	}
}

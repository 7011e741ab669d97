package train

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/akin-search/akin/encoder/kernel"
)

// naiveDBSCAN grows clusters as the paper says, with all distances at hand.
func naiveDBSCAN(m kernel.Matrix, within float32, points int) (clusters []int, core []bool) {
	near := func(i, j int) bool { return float32(dot(m.Row(i), m.Row(j))) >= within }
	clusters, core = make([]int, m.Rows), make([]bool, m.Rows)
	for i := range m.Rows {
		n := 0
		for j := range m.Rows {
			if near(i, j) {
				n++
			}
		}
		core[i], clusters[i] = n >= points, noise
	}
	for i := range m.Rows {
		if !core[i] || clusters[i] != noise {
			continue
		}
		for open := []int{i}; len(open) > 0; {
			at := open[0]
			open = open[1:]
			clusters[at] = i
			for j := range m.Rows {
				if core[at] && near(at, j) && clusters[j] == noise {
					clusters[j] = i
					open = append(open, j)
				}
			}
		}
	}
	return clusters, core
}

func TestDBSCANAgainstNaive(t *testing.T) {
	for seed := range uint64(6) {
		m, labels := blobs(seed, 200+60*int(seed), 3+int(seed), 2+int(seed), 0.08)
		for i := 0; i < m.Rows; i += 9 { // and strays
			copy(m.Row(i), unitRows(rand.New(rand.NewPCG(seed, uint64(i))), 1, m.Cols, 3).Row(0))
		}
		got, err := dbscan(t.Context(), m, 2)
		if err != nil {
			t.Fatal(err)
		}
		reach := make([]float32, m.Rows)
		e := newVoter(m, labels, dbscanPoints)
		for from := 0; from < m.Rows; from += knnQueries {
			to := min(from+knnQueries, m.Rows)
			e.search(m, from, to)
			for i := from; i < to; i++ {
				reach[i] = e.near[(i-from+1)*dbscanPoints-1].similarity
			}
		}
		within := radiusOf(reach)
		want, core := naiveDBSCAN(m, within-1e-6, dbscanPoints) // the radius is a distance that occurs: let rounding not decide
		strays := 0
		for i := range want {
			switch {
			case want[i] == noise:
				strays++
				fallthrough
			case core[i]:
				if got[i] != want[i] {
					t.Fatalf("seed %d, row %d: cluster %d, want %d", seed, i, got[i], want[i])
				}
			default: // a row at the border of two clusters may be in either by the paper; here it is in the nearest core's
				nearest, highest := noise, float32(math.Inf(-1))
				for j := range core {
					if s := float32(dot(m.Row(i), m.Row(j))); core[j] && s > highest {
						nearest, highest = want[j], s
					}
				}
				if got[i] != nearest {
					t.Fatalf("seed %d, row %d at a border: cluster %d, want %d", seed, i, got[i], nearest)
				}
			}
		}
		if strays == 0 || strays > m.Rows/2 {
			t.Errorf("seed %d: %d of %d rows are noise: the test shows little", seed, strays, m.Rows)
		}
	}
}

// Two rings around the pole, one in the other, as dense as each other, with a few strays between: k-means cannot part them, density can.
func TestDBSCANFindsRings(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 37))
	m, labels := kernel.NewMatrix(1800, 3), make([]int, 1800)
	for i := range labels {
		angle, far := 2*math.Pi*float64(i)/600, 0.5+0.01*rng.Float64()
		if i >= 600 {
			labels[i], angle, far = 1, 2*math.Pi*float64(i)/1200, 2*far
		}
		if i%100 == 50 {
			labels[i], far = noise, 0.6+0.3*rng.Float64()
		}
		kernel.Unit(m.Row(i), []float64{far * math.Cos(angle), far * math.Sin(angle), 1})
	}
	clusters, err := dbscan(t.Context(), m, 1)
	if err != nil {
		t.Fatal(err)
	}
	if ari, err := ARI(clusters, labels); err != nil || ari < 0.98 {
		t.Errorf("ARI %v, %v", ari, err)
	}
	// Rows that are all alike are one cluster.
	if clusters, err = dbscan(t.Context(), kernel.Matrix{Rows: 3, Cols: 1, Data: []float32{1, 1, 1}}, 1); err != nil || clusters[0] != 0 || clusters[2] != 0 {
		t.Errorf("three equal rows: %v, %v", clusters, err)
	}
}

package train

import (
	"math"
	"testing"

	"github.com/akin-search/akin/encoder"
)

// TestLayoutOf: how far pictures are said to be apart is how far each is from those of other folds, and none is far from itself; pictures that are all alike
// are fitted, too.
func TestLayoutOf(t *testing.T) {
	var surfaces []*encoder.Surface
	for i := range 60 {
		s, err := encoder.NewSurface(surfacePicture(t, 60+i%9, 80-i%7, float64(3*(i%5)), uint64(i)), 1, 110)
		if err != nil {
			t.Fatal(err)
		}
		surfaces = append(surfaces, s)
	}
	l, apart, err := layoutOf(surfaces)
	if err != nil || len(apart) != len(surfaces) || len(l.Known) != len(surfaces) {
		t.Fatalf("%d distances, %d known, %v", len(apart), len(l.Known), err)
	}
	var others [][]float32
	for i, s := range surfaces {
		if i%5 != 0 {
			others = append(others, s.Layout())
		}
	}
	without, err := fitLayout(others)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 12 { // the first fold
		if want := without.Distance(surfaces[5*i].Layout()); math.Abs(apart[i]-want) > 1e-12 {
			t.Errorf("picture %d: %.3f, of a fit without its fold %.3f", 5*i, apart[i], want)
		}
		if own := l.Distance(surfaces[5*i].Layout()); own > -6 {
			t.Errorf("picture %d is known, and %g away", 5*i, own)
		}
	}
	// White: uncorrelated, and of the variance that a shrunk covariance leaves.
	var first, both, n float64
	for _, k := range l.Known {
		first += float64(k[0] * k[0])
		both += float64(k[0] * k[9])
		n++
	}
	if first/n < 0.3 || first/n > 1.1 || math.Abs(both/n) > 0.3 {
		t.Errorf("variance %.2f, covariance %.2f", first/n, both/n)
	}
	alike, apart, err := layoutOf([]*encoder.Surface{surfaces[0], surfaces[0], surfaces[0]})
	if err != nil || !(alike.Distance(surfaces[0].Layout()) < alike.Distance(surfaces[2].Layout())) || usualOf(apart).Validate() != nil {
		t.Errorf("pictures that are alike: %v, usually %+v", err, usualOf(apart))
	}
}

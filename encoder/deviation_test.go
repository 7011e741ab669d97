package encoder

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

func TestDeviating(t *testing.T) {
	p := sensors()
	n := ForRows(p.Size, 8, 4, 2)
	weights, err := n.Initialize(rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	e, err := NewEncoder(&Model{Network: n, Preprocessing: p, Weights: weights}, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	others := [][]byte{[]byte(`{"temp":19,"flow":1,"kind":"a"}`), []byte(`{"temp":21,"flow":3,"kind":"a"}`), []byte(`{"temp":20,"flow":2,"kind":"b"}`), []byte(`{"temp":20,"kind":"a"}`), []byte(`broken`)}
	got, err := e.Deviating([]byte(`{"temp":30,"flow":null,"kind":"never"}`), others, 3)
	if err != nil {
		t.Fatal(err)
	}
	// temp: features -0.5, 0.5, 0, 0 of the others, 5 of the row. flow: one of four has none either.
	if z := 5 / math.Sqrt(0.125); len(got) != 3 || got[0].Column != "temp" || math.Abs(got[0].Z-z) > 1e-4 || *got[0].Mean != 20 {
		t.Errorf("%+v, want temp first with z %g", got, z)
	}
	b, err := json.Marshal(got[1:])
	if want := `[{"column":"kind","value":"never","usual":"a","share":0,"z":4},{"column":"flow","value":null,"mean":2,"share":0.25,"z":1.7320508075688774}]`; err != nil || string(b) != want {
		t.Errorf("%s, want %s", b, want)
	}
	if got, err := e.Deviating([]byte(`{"temp":30,"flow":1,"kind":"a"}`), nil, 3); err != nil || len(got) != 0 {
		t.Errorf("of no others: %+v, %v", got, err)
	}
	if _, err := e.Deviating([]byte(`[1]`), others, 3); !errors.Is(err, ErrInput) {
		t.Errorf("a broken row: %v", err)
	}
}

package train

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
)

// logMels are the features of sounds with 40 filters, in units of their own.
func logMels(frames int) encoder.Preprocessing {
	return encoder.Preprocessing{Modality: encoder.ModalityAudio, Size: encoder.Size{Height: 40, Width: frames, Channels: 1}, Mean: []float32{0}, Deviation: []float32{1}}
}

// TestSoundShifts: every shift changes a sound of any length, draws all from rng and adds nothing where it only moves; backwards twice is forwards.
func TestSoundShifts(t *testing.T) {
	shifts := soundShifts(logMels(32), []float32{-1})
	for _, frames := range []int{1, 2, 31, 100} {
		src := make([]float32, 40*frames)
		for i := range src {
			src[i] = float32(i)
		}
		for _, shift := range shifts {
			apply := func(src []float32, seed uint64) []float32 {
				dst := make([]float32, len(src))
				shift.apply(dst, src, rand.New(rand.NewPCG(seed, 1)))
				return dst
			}
			changed := 0
			for seed := range uint64(20) {
				got := apply(src, seed)
				if !slices.Equal(got, apply(src, seed)) {
					t.Fatalf("%d frames, %s: the same seed gives another sound", frames, shift.name)
				}
				if !slices.Equal(got, src) {
					changed++
				}
				switch shift.name {
				case "reverse":
					if !slices.Equal(apply(got, seed), src) {
						t.Fatalf("%d frames: backwards twice is not forwards", frames)
					}
				case "cutpaste", "blank":
					for i, v := range got {
						if v != -1 && v != float32(int(v)) {
							t.Fatalf("%d frames, %s: value %g at %d", frames, shift.name, v, i)
						}
					}
				}
				if sorted := slices.Sorted(slices.Values(got)); shift.whole && !slices.Equal(sorted, src) {
					t.Fatalf("%d frames, %s loses values", frames, shift.name)
				}
			}
			if changed < 15 && frames > 1 {
				t.Errorf("%d frames, %s changed %d of 20", frames, shift.name, changed)
			}
		}
	}
}

// TestSoundShiftAmounts: a tone is moved by a tenth to three tenths up or down, and a flat spectrum is tilted alike at all times, by more than views are.
func TestSoundShiftAmounts(t *testing.T) {
	p := logMels(32)
	d, err := p.Decoder()
	if err != nil {
		t.Fatal(err)
	}
	tone := func(hz float64) []float32 {
		f, err := d.Decode(chirp(hz, hz, 0.5, rand.New(rand.NewPCG(1, 1))))
		if err != nil {
			t.Fatal(err)
		}
		return f.Data
	}
	shifts := soundShifts(p, p.Background())
	src, flat := tone(1500), make([]float32, 40*10)
	dst := make([]float32, len(src))
	ups, downs := 0, 0
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 2))
		shifts[1].apply(dst, src, rng)
		switch at := loudest(dst); {
		case at > loudest(tone(1500*1.08)) && at < loudest(tone(1500*1.33)):
			ups++
		case at < loudest(tone(1500/1.08)) && at > loudest(tone(1500/1.33)):
			downs++
		default:
			t.Errorf("the tone of filter %.2f is moved to %.2f", loudest(src), at)
		}
		tilted := make([]float32, len(flat))
		shifts[2].apply(tilted, flat, rng)
		for i, v := range tilted {
			if v != tilted[i/10*10] {
				t.Fatalf("value %d is %g, another than at the beginning", i, v)
			}
		}
		if db := float64(slices.Max(tilted)-slices.Min(tilted)) / math.Ln10 * 10; db < leastTilt || db > 2*mostTilt {
			t.Errorf("tilted by %g dB", db)
		}
	}
	if ups < 4 || downs < 4 {
		t.Errorf("%d times up, %d times down", ups, downs)
	}
}

// TestSoundsAlike: sounds that are the same backwards are told from others, whatever their lengths.
func TestSoundsAlike(t *testing.T) {
	r := run{modality: sounds, pre: logMels(32)}
	rng := rand.New(rand.NewPCG(9, 9))
	var same, others []encoder.Features
	for i := range 40 {
		frames := 20 + 2*i
		a, b := make([]float32, 40*frames), make([]float32, 40*frames)
		for y := range 40 {
			for x := range frames / 2 {
				v := rng.Float32()
				a[y*frames+x], a[(y+1)*frames-1-x], b[y*frames+x] = v, v, v
			}
		}
		shape := []int{40, frames, 1}
		same, others = append(same, encoder.Features{Data: a, Shape: shape}), append(others, encoder.Features{Data: b, Shape: shape})
	}
	reverse := soundShifts(r.pre, r.pre.Background())[0]
	if !alike(reverse, same, r.seen, 1) || alike(reverse, others, r.seen, 1) {
		t.Errorf("%s: symmetric sounds %v, others %v", reverse.name, alike(reverse, same, r.seen, 1), alike(reverse, others, r.seen, 1))
	}
}

// TestOneClassOfSounds: rising tones alone are trained so, tones that fall or stay are told after it, three threads make the same model, and so does
// a run that was interrupted.
func TestOneClassOfSounds(t *testing.T) {
	only := func(d Dataset) (own, others Dataset) {
		others, own, err := d.Without("rise")
		if err != nil {
			t.Fatal(err)
		}
		return own, others
	}
	d, _ := only(chirps(60, 1))
	held, strange := only(chirps(20, 2))
	o := Options{Batch: 42, Epochs: 8, Dimension: 16, Seed: 3, Threads: 1}
	m := mustRun(t, d, Dataset{}, o)
	var rec Record
	if err := json.Unmarshal(m.Record, &rec); err != nil {
		t.Fatal(err)
	}
	if rec.Options.Loss != "one-class" || !slices.Equal(rec.Options.Shifts, []string{"reverse", "pitch", "tilt", "cutpaste", "blank"}) ||
		rec.Options.Augmentation.String() != "sounds" || rec.Options.Network.Layers[0].Kind != encoder.KindBands {
		t.Errorf("record %+v", rec.Options)
	}
	known := embedAll(t, m, d)
	score := func(q kernel.Matrix) (s []float64) {
		for i := range q.Rows {
			best := -1.0
			for j := range known.Rows {
				best = max(best, dot(q.Row(i), known.Row(j)))
			}
			s = append(s, 1-best)
		}
		return s
	}
	if a, err := AUROC(score(embedAll(t, m, held)), score(embedAll(t, m, strange))); err != nil || a < 0.95 {
		t.Errorf("AUROC %g of other tones against rising ones, %v", a, err)
	}
	o.Epochs = 8
	want := modelBytes(t, mustRun(t, d, Dataset{}, o))
	o.Threads = 3
	if !slices.Equal(want, modelBytes(t, mustRun(t, d, Dataset{}, o))) {
		t.Error("three threads give another model than one")
	}
	o.Threads = 1
	checkResumes(t, d, Dataset{}, o, want, 1)
}

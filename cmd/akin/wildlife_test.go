package main

import (
	"bytes"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

var keepPhotos = flag.String("photos", "", "folder to write the pictures of TestWildlife into, many and large, in place of testing")

// species are the animals of the pictures: a body with legs, neck, head and tail, as shares of the body's length.
var species = []struct {
	name               string
	fur                color.RGBA
	high, legs, neck   float64 // body, legs and neck
	rise, tail, thick  float64 // of the neck in radians; length and thickness of the tail
	antlers, pale, ear bool    // pale: tip of the tail and chest
}{
	{"boar", color.RGBA{62, 50, 44, 255}, 0.55, 0.28, 0.18, -0.1, 0.2, 0.03, false, false, true},
	{"deer", color.RGBA{141, 96, 58, 255}, 0.36, 0.62, 0.42, 0.9, 0.12, 0.07, true, false, true},
	{"fox", color.RGBA{178, 92, 38, 255}, 0.3, 0.34, 0.2, 0.35, 0.62, 0.13, false, true, true},
	{"heron", color.RGBA{150, 160, 168, 255}, 0.34, 0.8, 0.75, 1.25, 0.18, 0.1, false, true, false},
}

// photo draws a picture as a camera in a wood takes it: another light, place, size and pose each time, grass before the animal's feet, some
// by night and so in grey. It is no photograph.
func photo(kind, w, h int, rng *rand.Rand) image.Image {
	of := species[kind]
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	day, night := 0.6+0.5*rng.Float64(), rng.IntN(4) == 0
	ground := float64(h) * (0.35 + 0.3*rng.Float64())
	far, near := [3]float64{70 + 60*rng.Float64(), 90 + 50*rng.Float64(), 60 + 60*rng.Float64()}, [3]float64{60 + 60*rng.Float64(), 80 + 50*rng.Float64(), 40 + 30*rng.Float64()}
	var v [3]float64
	light := make([][3]float64, w*h)
	for y := range h {
		part := 1 / (1 + math.Exp(-(float64(y)-ground)/6))
		for x := range w {
			grain := 10 * rng.NormFloat64()
			for c := range v {
				light[y*w+x][c] = far[c] + part*(near[c]-far[c]) + grain
			}
		}
	}
	disc := func(x, y, rx, ry, turn float64, tone [3]float64) {
		sin, cos := math.Sincos(turn)
		reach := int(max(rx, ry)) + 2
		for py := max(0, int(y)-reach); py < min(h, int(y)+reach); py++ {
			for px := max(0, int(x)-reach); px < min(w, int(x)+reach); px++ {
				dx, dy := float64(px)-x, float64(py)-y
				if u, s := (dx*cos+dy*sin)/rx, (dy*cos-dx*sin)/ry; u*u+s*s < 1 {
					for c := range tone {
						light[py*w+px][c] = tone[c]*(1-0.25*s) + 5*rng.NormFloat64()
					}
				}
			}
		}
	}
	limb := func(x0, y0, x1, y1, thick float64, tone [3]float64) {
		n := int(math.Hypot(x1-x0, y1-y0)) + 1
		for i := range n + 1 {
			t := float64(i) / float64(n)
			disc(x0+t*(x1-x0), y0+t*(y1-y0), thick, thick, 0, tone)
		}
	}
	for range 6 + rng.IntN(10) { // trunks and bushes
		x, tone := rng.Float64()*float64(w), 30+50*rng.Float64()
		if rng.IntN(2) == 0 {
			limb(x, 0, x+10*rng.NormFloat64(), ground+10*rng.Float64(), 2+4*rng.Float64(), [3]float64{tone * 1.1, tone, tone * 0.8})
		} else {
			disc(x, ground-10*rng.Float64(), 8+20*rng.Float64(), 6+14*rng.Float64(), 0, [3]float64{tone * 0.8, tone * 1.2, tone * 0.6})
		}
	}
	fur := [3]float64{float64(of.fur.R), float64(of.fur.G), float64(of.fur.B)}
	dark, pale := [3]float64{}, [3]float64{}
	for c := range fur {
		fur[c] *= 0.85 + 0.3*rng.Float64()
		dark[c], pale[c] = 0.6*fur[c], 210
	}
	long := float64(min(w, h)) * (0.25 + 0.3*rng.Float64())
	side := float64(1 - 2*rng.IntN(2))
	x, y := float64(w)*(0.3+0.4*rng.Float64()), float64(h)*(0.55+0.2*rng.Float64())-of.legs*long/2
	for i := range 4 {
		foot := x + side*long*(0.38-0.25*float64(i)+0.06*rng.NormFloat64())
		limb(x+side*long*(0.38-0.25*float64(i)), y, foot, y+long*(of.legs+of.high/2), max(1, long*0.035), dark)
	}
	rise := of.rise + 0.2*rng.NormFloat64()
	hx, hy := x+side*long*(0.45+of.neck*math.Cos(rise)), y-long*(0.1+of.neck*math.Sin(rise))
	droop := 0.5 + 0.4*rng.NormFloat64()
	tx, ty := x-side*long*(0.45+of.tail*math.Cos(droop)), y+long*of.tail*math.Sin(droop)
	limb(x-side*long*0.45, y, tx, ty, max(1, long*of.thick/2), fur)
	if of.pale {
		disc(tx, ty, max(1, long*0.07), max(1, long*0.07), 0, pale)
	}
	disc(x, y, long/2, long*of.high/2, side*0.05*rng.NormFloat64(), fur)
	limb(x+side*long*0.42, y-long*0.05, hx, hy, max(1.5, long*0.07), fur)
	disc(hx+side*long*0.06, hy, long*0.14, long*0.08, side*0.3, fur)
	if of.ear {
		limb(hx, hy, hx-side*long*0.03, hy-long*0.14, max(1, long*0.03), dark)
	}
	if of.antlers {
		for i := range 3 {
			limb(hx, hy-long*0.05, hx-side*long*(0.1*float64(i)-0.05), hy-long*(0.3+0.05*rng.Float64()), max(0.8, long*0.015), [3]float64{90, 80, 70})
		}
	}
	for range w / 3 { // grass before it
		gx, gy := rng.Float64()*float64(w), float64(h)*(0.8+0.25*rng.Float64())
		limb(gx, gy, gx+6*rng.NormFloat64(), gy-float64(h)*0.15*rng.Float64(), 0.8, [3]float64{near[0] * 0.9, near[1] * 1.1, near[2] * 0.8})
	}
	for i, tone := range light {
		if night {
			grey := 0.7 * (0.3*tone[0] + 0.59*tone[1] + 0.11*tone[2])
			tone = [3]float64{grey, grey, grey}
		}
		level := func(c int) uint8 { return uint8(min(max(day*tone[c], 0), 255)) }
		img.SetRGBA(i%w, i/w, color.RGBA{level(0), level(1), level(2), 255})
	}
	return img
}

// writePhotos writes n pictures of every species into dir.
func writePhotos(t *testing.T, dir string, n, w, h int, seed uint64) {
	t.Helper()
	for kind, of := range species {
		if err := os.MkdirAll(filepath.Join(dir, of.name), 0o755); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			var b bytes.Buffer
			if err := jpeg.Encode(&b, photo(kind, w, h, rand.New(rand.NewPCG(seed, uint64(kind*10_000+i)))), &jpeg.Options{Quality: 85}); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, of.name, fmt.Sprintf("%03d.jpg", i)), b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestWildlife: folders of colour pictures by species, as of camera traps, are learned from, and others are told apart. With -photos it writes
// the pictures of examples/wildlife instead: 75 to learn from and 25 to test of each species.
func TestWildlife(t *testing.T) {
	if *keepPhotos != "" {
		writePhotos(t, filepath.Join(*keepPhotos, "photos"), 75, 200, 150, 1)
		writePhotos(t, filepath.Join(*keepPhotos, "new"), 25, 200, 150, 2)
		return
	}
	dir, photos, others := t.TempDir(), t.TempDir(), t.TempDir()
	writePhotos(t, photos, 16, 80, 60, 1)
	writePhotos(t, others, 8, 80, 60, 2)
	if code, _, errs := akin(t, "train", "--data", photos, "--dir", dir, "--size", "32", "--epochs", "15", "--augment", "photos", "--seed", "1"); code != 0 {
		t.Fatalf("train: exit code %d: %s", code, errs)
	}
	got := mustAkin[struct {
		KNN float64 `json:"knn_accuracy"`
	}](t, "eval", "--dir", dir, "--base", photos, "--data", others)
	if got.KNN < 0.5 { // a guess is right for a quarter
		t.Errorf("kNN accuracy %.3f of four species", got.KNN)
	}
}

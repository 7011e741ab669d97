package benchmarks

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestEncode(t *testing.T) {
	for _, name := range []string{"mlp", "cnn"} {
		r, err := Encode(context.Background(), EncodeOptions{Network: name, Threads: 2, Items: 50, Batch: 64, Rounds: 1})
		if err != nil {
			t.Fatal(err)
		}
		if r.Network != name || r.Items != 50 || r.Threads != 2 || r.Batch != 64 || !strings.HasPrefix(r.Device, "cpu/") {
			t.Errorf("%+v", r)
		}
		if r.P50 <= 0 || r.P99 < r.P50 || r.PNGP50 <= 0 || r.PNGP99 < r.PNGP50 || r.ImagesPerSecond <= 0 || r.FractionOfPeak <= 0 {
			t.Errorf("%+v", r)
		}
	}
}

// TestDrawDigits: both formats hold the same pixels, and there is something on them.
func TestDrawDigits(t *testing.T) {
	const seed = 3
	blobs, pngs, err := drawDigits(rand.New(rand.NewPCG(seed, 1)), 5)
	if err != nil {
		t.Fatal(err)
	}
	for i := range blobs {
		img, err := png.Decode(bytes.NewReader(pngs[i]))
		if err != nil {
			t.Fatal(err)
		}
		grey, ok := img.(*image.Gray)
		if !ok || !bytes.Equal(grey.Pix, blobs[i][12:]) {
			t.Errorf("seed %d: picture %d is a %T of other pixels than its blob", seed, i, img)
		}
		dark, bright := 0, 0
		for _, v := range blobs[i][12:] {
			if v < 16 {
				dark++
			}
			if v > 128 {
				bright++
			}
		}
		if dark < 300 || bright < 20 {
			t.Errorf("seed %d: picture %d has %d dark and %d bright pixels", seed, i, dark, bright)
		}
	}
}

func TestEncodeOptions(t *testing.T) {
	for want, o := range map[string]EncodeOptions{
		`network "vgg": use one of`:  {Network: "vgg"},
		"-1 items: it must be 1":     {Items: -1},
		"batch of -1: it must be 1":  {Batch: -1},
		"2000 threads: it must be 1": {Threads: 2000},
		"-1 rounds: it must be 1":    {Rounds: -1},
	} {
		if _, err := Encode(context.Background(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
}

func TestGemm(t *testing.T) {
	r, err := Gemm(context.Background(), GemmOptions{Size: 64, Rounds: 1})
	if err != nil {
		t.Fatal(err)
	}
	if r.Size != 64 || r.GFLOPS <= 0 || r.FractionOfPeak <= 0 || r.FractionOfPeak > 1.1 {
		t.Errorf("%+v", r)
	}
	for want, o := range map[string]GemmOptions{"size 5000: it must be": {Size: 5000}, "-2 rounds": {Rounds: -2}} {
		if _, err := Gemm(context.Background(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
}

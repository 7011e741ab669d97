package train

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/akin-search/akin/encoder"
)

// TestAround takes white pictures with a black middle and one black corner: what surrounds them is white.
func TestAround(t *testing.T) {
	p := encoder.Preprocessing{Size: encoder.Size{Height: 4, Width: 3, Channels: 2}, Mean: []float32{0.5, 0}, Deviation: []float32{0.25, 1}}
	f := encoder.Features{Data: make([]float32, 24)}
	for i := range f.Data {
		f.Data[i] = 1 - 0.5*float32(i%2) // channel 0 is 1, channel 1 is 0.5
	}
	for _, pixel := range []int{0, 4, 7} { // the corner, and both pixels of the middle
		f.Data[2*pixel], f.Data[2*pixel+1] = 0, 0
	}
	if got := aroundPictures(p, []encoder.Features{f}); got[0] != 2 || got[1] != 0.5 {
		t.Errorf("around is %v, want 2 and 0.5", got)
	}
}

// TestLargePictures trains at the largest sizes, with pictures cropped: the model says so, and one that letterboxes does not speak of it.
func TestLargePictures(t *testing.T) {
	d := stripes(16, 1)
	for _, size := range []int{96, 224} {
		m := mustRun(t, d, Dataset{}, Options{Size: size, Fit: new(encoder.FitCrop), Epochs: 1, Batch: 8})
		if p := m.Preprocessing; p.Fit != encoder.FitCrop || p.Size.Height != size || p.Size.Width != size {
			t.Errorf("size %d: %+v", size, p)
		}
		_, err := Run(context.Background(), d, Dataset{}, Options{Base: m, From: "m", Fit: new(encoder.FitCrop), Epochs: 1, Batch: 8, Size: size - 1})
		if !errors.Is(err, ErrOptions) {
			t.Errorf("another size than the model's: %v", err)
		}
	}
	plain := mustRun(t, d, Dataset{}, Options{Epochs: 1, Batch: 8})
	b, err := json.Marshal(plain)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), `"fit"`) {
		t.Error("the default fit is in the model file")
	}
	if _, err := Run(context.Background(), d, Dataset{}, Options{Base: plain, From: "p", Fit: new(encoder.FitCrop), Epochs: 1, Batch: 8}); !errors.Is(err, ErrOptions) {
		t.Errorf("another fit than the model's: %v", err)
	}
	if _, err := Run(context.Background(), d, Dataset{}, Options{Fit: new(encoder.Fit(9))}); !errors.Is(err, encoder.ErrSpec) {
		t.Errorf("an unknown fit: %v", err)
	}
}

// TestDefaultBatch: batches grow with the data, up to what large pictures leave room for.
func TestDefaultBatch(t *testing.T) {
	for _, c := range []struct{ items, side, want int }{{100, 28, 32}, {600, 28, 64}, {60_000, 28, 256}, {60_000, 64, 256}, {60_000, 96, 256}, {60_000, 128, 256}, {60_000, 224, 128}, {60_000, 1024, 32}, {100, 1024, 32}} {
		var o Options
		o.SetDefaults(c.items, 2, encoder.Size{Height: c.side, Width: c.side, Channels: 3})
		if o.Batch != c.want {
			t.Errorf("%d items of %d pixels: batch %d, want %d", c.items, c.side, o.Batch, c.want)
		}
		photos := Options{Augmentation: &Augmentation{Flip: 0.5}}
		if photos.SetDefaults(c.items, 2, encoder.Size{Height: c.side, Width: c.side, Channels: 3}); photos.Batch > c.want || c.side <= 64 && photos.Batch != c.want {
			t.Errorf("%d photographs of %d pixels: batch %d", c.items, c.side, photos.Batch)
		}
	}
}

// TestLargePicturesAreFewOrSmall: few labelled pictures are looked at closer where they are large; the augmentation is then that of
// photographs, and the network not the wide one.
func TestLargePicturesAreFewOrSmall(t *testing.T) {
	for _, c := range []struct{ classes, short, want int }{{2, 240, 128}, {2, 130, 128}, {2, 100, 64}, {1, 240, 64}} {
		var d Dataset
		for i := range 6 {
			d.IDs, d.Raw, d.Labels = append(d.IDs, strconv.Itoa(i)), append(d.Raw, surfacePicture(t, c.short+10*i, c.short, 0, uint64(i))), append(d.Labels, i%c.classes)
		}
		d.Classes = []string{"a", "b"}[:c.classes]
		p, err := inspect(d, "")
		if err != nil || p.Size.Height != c.want || p.Size.Width != c.want {
			t.Errorf("%d classes, %d pixels: fitted into %+v, want %d: %v", c.classes, c.short, p.Size, c.want, err)
		}
	}
	photos := Photos()
	o := Options{Augmentation: &photos}
	size := encoder.Size{Height: 128, Width: 128, Channels: 3}
	if o.SetDefaults(600, 6, size); !reflect.DeepEqual(o.Network, encoder.Default(size, 64)) {
		t.Error("128 pixels with the wide network")
	}
}

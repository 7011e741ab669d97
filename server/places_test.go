package server

import (
	"bytes"
	"context"
	"encoding/base64"
	"image"
	"image/png"
	"testing"

	"github.com/akin-search/akin/encoder"
)

// TestPlaces: an explanation of a verdict on a picture has the heat map of covered places, and only where it is asked for and there is a picture.
func TestPlaces(t *testing.T) {
	e, raw := testSurface(t), anyPicture(t)
	ts := start(t, func(o *Options) { o.Encoder, o.Places = pictureEncoder{&fakeEncoder{}}, fourfold{e} })
	var got struct {
		Score   float64
		Heatmap []byte
		Box     *box
		By      string
	}
	input := `"input":"` + base64.StdEncoding.EncodeToString(raw) + `"`
	ts.ok("POST", "/anomaly", `{`+input+`,"explain":true}`, &got)
	if img, err := png.Decode(bytes.NewReader(got.Heatmap)); err != nil || img.Bounds() != image.Rect(0, 0, 50, 40) || got.Box == nil || got.By != "" {
		t.Errorf("heat map %v, box %+v, by %q", err, got.Box, got.By)
	}
	for _, body := range []string{`{` + input + `}`, `{"vector":` + axis5 + `,"explain":true}`} {
		got.Heatmap, got.Box = nil, nil
		if ts.ok("POST", "/anomaly", body, &got); got.Heatmap != nil || got.Box != nil {
			t.Errorf("%.60s has a heat map: %+v", body, got.Box)
		}
	}
	if a := ts.post("/anomaly", `{"input":"`+b64("class 2, no picture")+`","explain":true}`); a.status < 400 || a.status >= 500 {
		t.Errorf("status %d of no picture", a.status)
	}
}

// fourfold covers pictures as e does, with embeddings of the length that the test's collection has.
type fourfold struct{ e *encoder.Encoder }

func (f fourfold) Cover(ctx context.Context, raw []byte) (*encoder.Cover, error) {
	c, err := f.e.Cover(ctx, raw)
	if err != nil {
		return nil, err
	}
	for i, v := range c.Vectors {
		c.Vectors[i] = append(v[:len(v):len(v)], make([]float32, testDim-len(v))...)
	}
	return c, nil
}

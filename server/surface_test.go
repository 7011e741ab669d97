package server

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"image"
	"image/png"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/index"
)

// testSurface is an encoder with patches of random weights; its heat is as good as any to be told of.
func testSurface(t *testing.T) *encoder.Encoder {
	t.Helper()
	whole, part := encoder.Default(encoder.Size{Height: 28, Width: 28, Channels: 1}, 4), encoder.Default(encoder.Size{Height: encoder.PatchSide, Width: encoder.PatchSide, Channels: encoder.PatchScales}, 8)
	pre := func(n encoder.Network) encoder.Preprocessing {
		p := encoder.Preprocessing{Modality: encoder.ModalityImage, Size: n.Input}
		for range n.Input.Channels {
			p.Mean, p.Deviation = append(p.Mean, 0.5), append(p.Deviation, 0.1)
		}
		return p
	}
	weights := func(n encoder.Network) [][]float32 {
		w, err := n.Initialize(rand.New(rand.NewPCG(1, 2)))
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	direction := make([]float32, 8)
	direction[0] = 1
	e, err := encoder.NewEncoder(&encoder.Model{Network: whole, Preprocessing: pre(whole), Weights: weights(whole),
		Patches: &encoder.Patches{Preprocessing: pre(part), Network: part, Weights: weights(part), Scale: 1, Light: 110,
			Layout: encoder.Layout{Mean: make([]float32, encoder.LayoutCells), Inverse: make([]float32, encoder.LayoutCells*(encoder.LayoutCells+1)/2), Known: [][]float32{make([]float32, encoder.LayoutCells)}}, Local: encoder.Usual{Spread: 1}, Whole: encoder.Usual{Spread: 1},
			Direction: direction}}, testModel, 1)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// anyPicture passes for the picture of a class with fakeEncoder, too.
func anyPicture(t *testing.T) []byte {
	g := image.NewGray(image.Rect(0, 0, 50, 40))
	for i := range g.Pix {
		g.Pix[i] = uint8(i * 7)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, g); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// normalBelow are n scores of normal pictures, all below that of a picture: its p-value is 1/(n+1).
func normalBelow(t *testing.T, e *encoder.Encoder, raw []byte, n int) (normal []float64) {
	t.Helper()
	h, err := e.Heat(context.Background(), raw)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		normal = append(normal, h.Score-0.01*float64(i+1))
	}
	return normal
}

// watched is what /metrics counts of the collection digits.
func (ts *testServer) watched() index.WatchStats { return ts.settled("digits").Detector.Watch }

// TestSurfaceIsWatched: what patches answered is what is counted, once; what was refused is not.
func TestSurfaceIsWatched(t *testing.T) {
	e, raw := testSurface(t), anyPicture(t)
	ts := start(t, func(o *Options) {
		o.Encoder, o.Surface, o.Normal = pictureEncoder{&fakeEncoder{}}, e, normalBelow(t, e, raw, 19)
	})
	input := `"input":"` + base64.StdEncoding.EncodeToString(raw) + `"`
	counts := func(judged, alarms uint64) {
		t.Helper()
		if w := ts.watched(); w.Judged != judged || judged > 0 && (len(w.Alarms) != 2 || w.Alarms[0].Alarms != alarms || w.Alarms[1].Alarms != alarms) {
			t.Errorf("%+v, want %d alarms of %d, at 0.05 and at 0.1", w, alarms, judged)
		}
	}
	var got struct {
		IsAnomaly bool     `json:"is_anomaly"`
		Score     float64  `json:"score"`
		InPlaces  *float64 `json:"in_places"`
		AsAWhole  *float64 `json:"as_a_whole"`
	}
	ts.ok("POST", "/anomaly", `{`+input+`,"alpha":0.1}`, &got)
	if counts(1, 1); !got.IsAnomaly || got.InPlaces == nil || got.AsAWhole == nil || math.Abs(got.Score-*got.InPlaces-*got.AsAWhole) > 1e-9 {
		t.Errorf("%+v, want an anomaly with a score that is the sum of its parts", got)
	}
	for _, body := range []string{`{` + input + `,"alpha":0.03}`, `{` + input + `,"alpha":0.03,"explain":true}`} {
		if a := ts.post("/anomaly", body); a.status != http.StatusBadRequest {
			t.Errorf("status %d", a.status)
		}
	}
	if a := ts.post("/anomaly/batch", `{"items":[{"vector":`+axis0+`},{`+input+`}],"alpha":0.03}`); a.status != http.StatusBadRequest {
		t.Errorf("status %d", a.status)
	}
	counts(1, 1)
	ts.ok("POST", "/anomaly/batch", `{"items":[{`+input+`},{"id":"7"},{`+input+`}]}`, nil)
	counts(3, 3)
}

// TestSurfaceAlpha: an alpha is refused for the calibration that counts: of inputs that of patches, where others are judged beside them the
// smaller; the class's p-value is that of patches, too.
func TestSurfaceAlpha(t *testing.T) {
	e, raw := testSurface(t), anyPicture(t)
	input := `"input":"` + base64.StdEncoding.EncodeToString(raw) + `"`
	mixed := `{"items":[{"vector":` + axis0 + `},{` + input + `}],`
	for n, asks := range map[int][]struct{ path, body, want string }{
		19: {
			{"/anomaly", `{` + input + `,"alpha":0.001}`, "of the model's patches: alpha 0.001 with 19 calibration scores"},
			{"/anomaly", `{` + input + `,"alpha":0.04}`, "of the model's patches: alpha 0.04 with 19 calibration scores"},
			{"/anomaly", `{` + input + `,"alpha":2}`, "alpha 2"},
			{"/anomaly", `{"vector":` + axis0 + `,"alpha":0.001}`, "alpha 0.001 with 200 calibration scores"},
			{"/anomaly/batch", `{"items":[{` + input + `}],"alpha":0.001}`, "of the model's patches: alpha 0.001 with 19"},
			{"/anomaly/batch", mixed + `"alpha":0.001}`, "of the model's patches: alpha 0.001 with 19"},
		},
		999: { // more than the detector's 200
			{"/anomaly", `{` + input + `,"alpha":0.001}`, ""},
			{"/anomaly/batch", `{"items":[{` + input + `}],"alpha":0.001}`, ""},
			{"/anomaly/batch", mixed + `"alpha":0.001}`, "alpha 0.001 with 200"},
			{"/anomaly/batch", mixed + `"alpha":0.005}`, ""},
		},
	} {
		ts := start(t, func(o *Options) {
			o.Encoder, o.Surface, o.Normal = pictureEncoder{&fakeEncoder{}}, e, normalBelow(t, e, raw, n)
		})
		for _, c := range asks {
			if a := ts.post(c.path, c.body); (a.status == http.StatusOK) != (c.want == "") || !strings.Contains(a.body, c.want) {
				t.Errorf("%d scores, %s: %d %s, want %q", n, c.path, a.status, a.body, c.want)
			}
		}
		var got verdict
		if ts.ok("POST", "/anomaly", `{`+input+`}`, &got); got.ClassPValue != got.PValue || got.PValue != 1/float64(n+1) || got.NearestClass != "c1" {
			t.Errorf("%+v", got)
		}
		var batch struct{ Verdicts []batchVerdict }
		if ts.ok("POST", "/anomaly/batch", mixed[:len(mixed)-1]+`}`, &batch); batch.Verdicts[1].ClassPValue != got.PValue || batch.Verdicts[1].NearestClass != "c1" {
			t.Errorf("%+v", batch)
		}
	}
}

// TestSurfaceClassify: what patches call an anomaly is of none of the classes; other inputs, and vectors, are told as without patches.
func TestSurfaceClassify(t *testing.T) {
	e, raw := testSurface(t), anyPicture(t)
	ts := start(t, func(o *Options) {
		o.Encoder, o.Surface, o.Normal = pictureEncoder{&fakeEncoder{}}, e, normalBelow(t, e, raw, 9)
	})
	input := `"input":"` + base64.StdEncoding.EncodeToString(raw) + `"`
	for name, c := range map[string]struct {
		body, label, by string
		p, alpha        float64 // 0: any
	}{
		"an anomaly":         {`{` + input + `,"alpha":0.1}`, "", "patches", 0.1, 0.1},
		"at the least alpha": {`{` + input + `}`, "", "patches", 0.1, 0.1},
		"explained":          {`{` + input + `,"explain":true}`, "", "patches", 0.1, 0.1},
		"a vector":           {`{"vector":` + axis0 + `,"alpha":0.1}`, "c0", "", 0, 0.1},
	} {
		var got classifyResult
		ts.ok("POST", "/classify", c.body, &got)
		label := ""
		if got.Label != nil {
			label = *got.Label
		}
		if label != c.label || label == "" && (got.Probability != 0 || len(got.PredictionSet) != 0) || got.By != c.by || got.Alpha != c.alpha || c.p != 0 && got.PValue != c.p {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if a := ts.post("/classify", `{`+input+`,"alpha":0.05}`); a.status != http.StatusBadRequest || !strings.Contains(a.body, "of the model's patches: alpha 0.05 with 9") {
		t.Errorf("%d %s", a.status, a.body)
	}
	usual := start(t, func(o *Options) {
		o.Encoder, o.Surface, o.Normal = pictureEncoder{&fakeEncoder{}}, e, slices.Repeat([]float64{9}, 9)
	})
	var got classifyResult
	if usual.ok("POST", "/classify", `{`+input+`}`, &got); got.Label == nil || *got.Label != "c1" || got.PValue != 1 || got.By != "patches" {
		t.Errorf("a usual picture: %+v", got)
	}
}

// TestSurfaceCalibration: pictures that are sent as inputs to calibrate, alone or as feedback, calibrate patches from then on, beyond a
// restart; what is sent otherwise does not, and the answer says so.
func TestSurfaceCalibration(t *testing.T) {
	e, raw := testSurface(t), anyPicture(t)
	dir := t.TempDir()
	store, err := index.Open(dir, index.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	normal := normalBelow(t, e, raw, 9)
	begin := func() *testServer {
		return start(t, func(o *Options) {
			o.Encoder, o.Surface, o.Normal, o.Store = pictureEncoder{&fakeEncoder{}}, e, normal, store
		})
	}
	ts := begin()
	col, err := store.Create("digits", index.Config{Dimension: testDim, ModelID: testModel})
	if err != nil {
		t.Fatal(err)
	}
	var points []index.Point
	for i := range 20 {
		points = append(points, index.Point{ID: fmt.Sprint(i), Vector: near(rand.New(rand.NewPCG(1, uint64(i))), 1, 0.05), Label: "c1"})
	}
	if err := errors.Join(col.Upsert(t.Context(), points), col.SetAside(t.Context(), index.RoleCalibration, points[:10]), col.Calibrate(t.Context())); err != nil {
		t.Fatal(err)
	}
	input := `"input":"` + base64.StdEncoding.EncodeToString(raw) + `"`
	judged := func(p float64) {
		t.Helper()
		var got verdict
		if ts.ok("POST", "/anomaly", `{`+input+`,"alpha":0.1}`, &got); got.PValue != p || got.IsAnomaly != (p <= 0.1) {
			t.Errorf("%+v, want p = %g", got, p)
		}
	}
	asked := func(path, body string, n int, note bool) {
		t.Helper()
		var got struct{ Patches patchesInfo }
		ts.ok("POST", path, body, &got)
		if got.Patches.Calibration != n || got.Patches.MinAlpha != 1/float64(n+1) || (got.Patches.Note != "") != note {
			t.Errorf("%s: %+v, want %d pictures, a note: %t", path, got.Patches, n, note)
		}
		var info struct{ Patches patchesInfo }
		if ts.ok("GET", "/collections/digits", "", &info); info.Patches.Calibration != n || info.Patches.Note != "" {
			t.Errorf("%+v", info.Patches)
		}
	}
	judged(0.1)
	asked("/anomaly/feedback", `{"id":"a",`+input+`,"verdict":"wrong"}`, 9, true)
	asked("/anomaly/feedback", `{"id":"b","vector":`+axis0+`,"label":"c1","verdict":"wrong","into":"calibration"}`, 9, true)
	asked("/calibrate", `{"points":[{"id":"c","vector":`+axis0+`,"label":"c1"}]}`, 9, true)
	judged(0.1)
	asked("/anomaly/feedback", `{"id":"a",`+input+`,"verdict":"wrong","into":"calibration"}`, 10, false)
	judged(2.0 / 11)
	asked("/calibrate", `{"points":[{"id":"b",`+input+`,"label":"c1"},{"id":"d",`+input+`,"label":"c1"},{"id":"e","vector":`+axis0+`,"label":"c1"}]}`, 12, false)
	judged(4.0 / 13)
	asked("/anomaly/feedback", `{"id":"d",`+input+`,"verdict":"right"}`, 11, false)
	no := base64.StdEncoding.EncodeToString([]byte("class 2, no picture"))
	for path, body := range map[string]string{"/calibrate": `{"points":[{"id":"f","input":"` + no + `"}]}`, "/anomaly/feedback": `{"id":"f","input":"` + no + `","verdict":"wrong","into":"calibration"}`} {
		if a := ts.post(path, body); a.status != http.StatusBadRequest || !strings.Contains(a.body, "input: ") {
			t.Errorf("%s of no picture: %d %s", path, a.status, a.body)
		}
	}
	ts.stop()
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if store, err = index.Open(dir, index.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	ts = begin()
	judged(3.0 / 12)
	ts.stop()
	if err := store.Close(); err != nil {
		t.Error(err)
	}
}

// TestSurface: inputs are judged by patches, alone and in batches, vectors by clusters; an explanation has the heat map and the worst place.
func TestSurface(t *testing.T) {
	e, raw := testSurface(t), anyPicture(t)
	h, err := e.Heat(context.Background(), raw)
	if err != nil {
		t.Fatal(err)
	}
	ts := start(t, func(o *Options) {
		o.Encoder, o.Surface, o.Normal = pictureEncoder{&fakeEncoder{}}, e, normalBelow(t, e, raw, 19)
	})
	var got struct {
		Score     float64
		PValue    float64 `json:"p_value"`
		IsAnomaly bool    `json:"is_anomaly"`
		Alpha     float64
		By        string
		Heatmap   []byte
		Box       box
	}
	input := base64.StdEncoding.EncodeToString(raw)
	ts.ok("POST", "/anomaly", `{"input":"`+input+`","explain":true,"alpha":0.05}`, &got)
	if got.Score != h.Score || got.PValue != 0.05 || !got.IsAnomaly || got.By != "patches" {
		t.Errorf("%+v, want score %g at p = 0.05", got, h.Score)
	}
	want := h.Worst()
	if img, err := png.Decode(bytes.NewReader(got.Heatmap)); err != nil || img.Bounds() != image.Rect(0, 0, 50, 40) || got.Box != (box{want.Min.X, want.Min.Y, want.Dx(), want.Dy()}) {
		t.Errorf("heat map %v, box %+v", err, got.Box)
	}
	if ts.ok("POST", "/anomaly", `{"input":"`+input+`"}`, &got); got.Alpha != 0.05 {
		t.Errorf("alpha %g, want the least that 19 scores support", got.Alpha)
	}
	got.By = ""
	if ts.ok("POST", "/anomaly", `{"id":"7"}`, &got); got.By != "" {
		t.Errorf("a point by %q", got.By)
	}
	var batch struct {
		Verdicts []struct {
			PValue float64 `json:"p_value"`
		}
		Alpha     float64
		Threshold *float64
	}
	ts.ok("POST", "/anomaly/batch", `{"items":[{"id":"7"},{"input":"`+input+`"}]}`, &batch)
	if batch.Verdicts[1].PValue != 0.05 || batch.Alpha != 0.05 || batch.Threshold != nil {
		t.Errorf("%+v", batch)
	}
	for _, body := range []string{`{"input":"` + input + `","alpha":0.01}`, `{"input":"` + base64.StdEncoding.EncodeToString([]byte("class 2, no picture")) + `"}`} {
		if a := ts.post("/anomaly", body); a.status < 400 || a.status >= 500 {
			t.Errorf("status %d of %.60s", a.status, body)
		}
	}
	if _, err := New(Options{Store: testStore(t), Surface: e, Logger: slog.New(slog.DiscardHandler)}); err == nil {
		t.Error("a surface without scores is taken")
	}
}

// pictureEncoder embeds any input as one of class 1.
type pictureEncoder struct{ *fakeEncoder }

func (p pictureEncoder) Encode(ctx context.Context, raw ...[]byte) ([][]float32, error) {
	return p.fakeEncoder.Encode(ctx, slices.Repeat([][]byte{[]byte("class 1")}, len(raw))...)
}

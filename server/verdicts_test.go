package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/index"
)

// fit is what GET /collections/{c} says of a detector.
type fit struct {
	Count    int `json:"points_count"`
	Detector *struct {
		Classes     []string
		Calibration int
		Anomalies   int
		Score       string
		ScoreAUROC  map[string]float64 `json:"score_auroc"`
		Stale       bool
		Watch       index.WatchStats
	}
}

// settled waits until the detector knows all writes.
func (ts *testServer) settled(name string) (f fit) {
	ts.t.Helper()
	for range 400 {
		f = fit{}
		ts.ok("GET", "/collections/"+name, "", &f)
		if f.Detector != nil && !f.Detector.Stale {
			return f
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.t.Fatal("the detector does not follow")
	return f
}

func jsonOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestAnomalyBatch(t *testing.T) {
	ts := start(t, nil)
	var got struct {
		Verdicts []struct {
			Score        float64
			PValue       float64 `json:"p_value"`
			IsAnomaly    bool    `json:"is_anomaly"`
			NearestClass string  `json:"nearest_class"`
		}
		Anomalies int
		Alpha     *float64
		Threshold *float64
		FDR       *float64
		Fewest    int `json:"fewest_alarms"`
	}
	items := `{"vector":` + axis0 + `},{"id":"7"},{"input":"` + b64("class 2") + `"},{"vector":` + axis5 + `}`
	ts.ok("POST", "/anomaly/batch", `{"items":[`+items+`],"alpha":0.05}`, &got)
	if len(got.Verdicts) != 4 || got.Anomalies != 1 || !got.Verdicts[3].IsAnomaly || got.Verdicts[0].NearestClass != "c0" ||
		got.Verdicts[2].NearestClass != "c2" || *got.Alpha != 0.05 || got.FDR != nil || got.Threshold == nil {
		t.Errorf("%+v", got)
	}
	// Each is what it is by itself.
	var one struct {
		Score  float64
		PValue float64 `json:"p_value"`
	}
	if ts.ok("POST", "/anomaly", `{"id":"7","alpha":0.05}`, &one); one.Score != got.Verdicts[1].Score || one.PValue != got.Verdicts[1].PValue {
		t.Errorf("alone %+v, in a batch %+v", one, got.Verdicts[1])
	}
	got.Alpha = nil
	// 1 of 4 may be called at fdr 0.05 up to p = 0.0125, and with 200 calibration scores the stranger has 1/201; no p-value is
	// small enough at a rate of 0.01.
	if ts.ok("POST", "/collections/digits/anomaly/batch", `{"items":[`+items+`],"fdr":0.05}`, &got); got.Anomalies != 1 || !got.Verdicts[3].IsAnomaly || got.Alpha != nil || *got.FDR != 0.05 || got.Fewest != 1 {
		t.Errorf("%+v", got)
	}
	if ts.ok("POST", "/anomaly/batch", `{"items":[`+items+`],"fdr":0.01}`, &got); got.Anomalies != 0 || got.Fewest != 2 {
		t.Errorf("%+v", got)
	}
}

func TestCalibrateAndFeedback(t *testing.T) {
	ts := start(t, nil)
	r := rand.New(rand.NewPCG(7, 7))
	// A class that nobody knows: an alarm.
	var v struct {
		IsAnomaly    bool   `json:"is_anomaly"`
		NearestClass string `json:"nearest_class"`
	}
	if ts.ok("POST", "/anomaly", `{"vector":`+axis5+`}`, &v); !v.IsAnomaly {
		t.Fatalf("%+v", v)
	}
	var moved struct {
		MovedTo     string `json:"moved_to"`
		Label       string
		Calibration int
		Anomalies   int
		Points      int `json:"points_count"`
	}
	// Wrong alarms make it known.
	for i := range 12 {
		ts.ok("POST", "/anomaly/feedback", fmt.Sprintf(`{"id":"new %d","vector":%s,"verdict":"wrong","label":"c5"}`, i, jsonOf(near(r, 5, 0.05))), &moved)
	}
	if moved.MovedTo != "known" || moved.Points != 212 || moved.Label != "c5" {
		t.Errorf("%+v", moved)
	}
	if f := ts.settled("digits"); !slices.Contains(f.Detector.Classes, "c5") || f.Detector.Calibration != 200 {
		t.Errorf("%+v", f.Detector)
	}
	if ts.ok("POST", "/anomaly", `{"vector":`+axis5+`}`, &v); v.IsAnomaly || v.NearestClass != "c5" {
		t.Errorf("%+v", v)
	}
	// A known point goes to the calibration, with its label; another is called an anomaly; a third is left where it is.
	if ts.ok("POST", "/collections/digits/anomaly/feedback", `{"id":"8","verdict":"wrong","into":"calibration"}`, &moved); moved.MovedTo != "calibration" || moved.Label != "c0" || moved.Points != 211 || moved.Calibration != 201 {
		t.Errorf("%+v", moved)
	}
	if ts.ok("POST", "/anomaly/feedback", `{"id":"9","verdict":"right"}`, &moved); moved.MovedTo != "anomalies" || moved.Points != 210 || moved.Anomalies != 1 {
		t.Errorf("%+v", moved)
	}
	if ts.ok("POST", "/anomaly/feedback", `{"id":"10","verdict":"wrong"}`, &moved); moved.MovedTo != "known" || moved.Points != 210 {
		t.Errorf("%+v", moved)
	}
	if f := ts.search("/search", `{"query":"10","limit":1,"filter":{"must":[{"key":"n","match":{"value":10}}]}}`); f.Anomaly == nil {
		t.Errorf("%+v", f)
	}
	if a := ts.post("/search", `{"query":"9"}`); a.status != http.StatusNotFound {
		t.Errorf("what was called an anomaly is known: %d", a.status)
	}
	// Without a label it is of the class that it is nearest to.
	if ts.ok("POST", "/anomaly/feedback", `{"id":"mine","input":"`+b64("class 2")+`","verdict":"wrong"}`, &moved); moved.Label != "c2" || moved.Points != 211 {
		t.Errorf("%+v", moved)
	}

	var c struct {
		Moved    int
		Points   int `json:"points_count"`
		Detector struct {
			Calibration int
			Watch       index.WatchStats
		}
	}
	ts.ok("POST", "/calibrate", `{}`, &c)
	if c.Moved != 0 || c.Detector.Calibration != 201 || c.Detector.Watch.Judged != 0 {
		t.Errorf("%+v", c)
	}
	for _, contentType := range []string{"", "application/json"} { // nothing is a body, too
		if a := ts.do("POST", "/calibrate", contentType, ""); a.status != http.StatusOK || !strings.Contains(a.body, `"moved":0`) {
			t.Errorf("no body: %d %s", a.status, a.body)
		}
	}
	ts.ok("POST", "/calibrate", `{"points":[{"id":"x","vector":`+axis5+`,"label":"c5"},{"id":"y","input":"`+b64("class 1")+`","label":"c1"}]}`, &c)
	if c.Moved != 0 || c.Detector.Calibration != 203 || c.Points != 211 {
		t.Errorf("%+v", c)
	}
	ts.ok("POST", "/collections/digits/calibrate", `{"holdout":0.2,"seed":4}`, &c)
	if c.Moved < 20 || c.Moved > 70 || c.Points != 211-c.Moved || c.Detector.Calibration != 203+c.Moved {
		t.Errorf("%+v", c)
	}
	// A collection that never had a detector, of raw vectors: features are explained.
	var points []string
	for i := range 300 {
		points = append(points, fmt.Sprintf(`{"id":%d,"vector":[%v,%v,%v]}`, i, r.NormFloat64(), r.NormFloat64(), 10+r.NormFloat64()))
	}
	ts.ok("PUT", "/collections/plain/points", `{"points":[`+strings.Join(points, ",")+`]}`, nil)
	ts.ok("POST", "/collections/plain/calibrate", `{"holdout":0.4}`, &c)
	var explained struct {
		IsAnomaly bool `json:"is_anomaly"`
		Features  []feature
		Examples  []examples
	}
	ts.ok("POST", "/collections/plain/anomaly", `{"vector":[0,0,30],"explain":true}`, &explained)
	if !explained.IsAnomaly || len(explained.Features) != 3 || explained.Features[0].Component != 2 || explained.Features[0].Z < 5 || len(explained.Examples) != 1 || len(explained.Examples[0].Points) != 3 {
		t.Errorf("%+v", explained)
	}
}

// TestFeedbackRelabels: a known point that is said to be of another class is of that, with all else that it has.
func TestFeedbackRelabels(t *testing.T) {
	ts := start(t, nil)
	ts.ok("PUT", "/collections/digits/points", `{"points":[{"id":"p","input":"`+b64("class 1")+`","label":"c0","payload":{"n":7}}]}`, nil)
	var moved struct {
		MovedTo string `json:"moved_to"`
		Label   string
		Points  int `json:"points_count"`
	}
	if ts.ok("POST", "/anomaly/feedback", `{"id":"p","verdict":"wrong","label":"c1"}`, &moved); moved.MovedTo != "known" || moved.Label != "c1" || moved.Points != 201 {
		t.Errorf("%+v", moved)
	}
	digits, err := ts.store.Collection("digits")
	if err != nil {
		t.Fatal(err)
	}
	got, err := digits.Get("p")
	if err != nil || got[0].Label != "c1" || got[0].Payload["n"] != 7.0 || string(got[0].Raw) != "class 1" {
		t.Errorf("%+v, %v", got, err)
	}
	// Sent again as an input and without a label, it keeps the one that it has, whatever it is near to.
	if ts.ok("POST", "/anomaly/feedback", `{"id":"p","input":"`+b64("class 2")+`","verdict":"wrong"}`, &moved); moved.Label != "c1" {
		t.Errorf("%+v", moved)
	}
}

// TestFeedbackTakesBack: what was called an anomaly is known again, with its vector and label, once somebody says that it is normal.
func TestFeedbackTakesBack(t *testing.T) {
	ts := start(t, nil)
	var moved struct {
		MovedTo   string `json:"moved_to"`
		Label     string
		Restored  bool
		Points    int `json:"points_count"`
		Anomalies int
	}
	if ts.ok("POST", "/anomaly/feedback", `{"id":"8","verdict":"right"}`, &moved); moved.Points != 199 || moved.Anomalies != 1 || moved.Restored {
		t.Errorf("%+v", moved)
	}
	if ts.ok("POST", "/anomaly/feedback", `{"id":"8","verdict":"wrong"}`, &moved); moved.MovedTo != "known" || moved.Label != "c0" || !moved.Restored || moved.Points != 200 || moved.Anomalies != 0 {
		t.Errorf("%+v", moved)
	}
	if f := ts.search("/search", `{"query":"8","limit":1}`); f.Anomaly == nil || f.Anomaly.IsAnomaly || f.Anomaly.NearestClass != "c0" {
		t.Errorf("%+v", f.Anomaly)
	}
	// What calibrates can be called an anomaly, too.
	if ts.ok("POST", "/anomaly/feedback", `{"id":"held 3","verdict":"right"}`, &moved); moved.MovedTo != "anomalies" || moved.Label != "c3" || moved.Anomalies != 1 {
		t.Errorf("%+v", moved)
	}
	if a := ts.post("/anomaly/feedback", `{"id":"nobody","verdict":"wrong"}`); a.status != http.StatusNotFound || !strings.Contains(a.text, "give its vector or input") {
		t.Errorf("%d %s", a.status, a.text)
	}
}

// TestCalibrationIsOfKnownLabels: points that could not calibrate are refused, and nothing of the request is stored.
func TestCalibrationIsOfKnownLabels(t *testing.T) {
	ts := start(t, nil)
	ts.ok("PUT", "/collections/digits/points", `{"points":[{"id":"lone","vector":`+axis5+`,"label":"lone"}]}`, nil)
	good := `{"id":"good","vector":` + axis0 + `,"label":"c0"}`
	for _, c := range []struct {
		path, body string
		want       []string
	}{
		{"/calibrate", `{"points":[` + good + `,{"id":"bad","vector":` + axis0 + `,"label":"c9"}]}`, []string{`"bad"`, `label "c9"`, `"c0", "c1", "c2", "c3"`, "store points of that label first"}},
		{"/calibrate", `{"points":[` + good + `,{"id":"bad","vector":` + axis0 + `}]}`, []string{`"bad"`, `label ""`}},
		{"/calibrate", `{"points":[` + good + `,{"id":"lone","vector":` + axis5 + `,"label":"lone"}]}`, []string{`"lone"`, "stays known"}},
		{"/anomaly/feedback", `{"id":"bad","vector":` + axis0 + `,"label":"c9","verdict":"wrong","into":"calibration"}`, []string{`"bad"`, `label "c9"`, `"c0", "c1"`}},
		{"/collections/other/calibrate", `{"points":[` + good + `]}`, []string{`label "c0"`, "no label is known"}},
	} {
		a := ts.post(c.path, c.body)
		for _, want := range c.want {
			if a.status != http.StatusBadRequest || !strings.Contains(a.text, want) {
				t.Errorf("%s %s: %d %s, want %q", c.path, c.body, a.status, a.text, want)
			}
		}
	}
	for name, want := range map[string]int{"digits": 200, "other": 0} {
		col, err := ts.store.Collection(name)
		if err != nil || col.Aside(index.RoleCalibration) != want {
			t.Errorf("%s: %d kept aside, want %d, %v", name, col.Aside(index.RoleCalibration), want, err)
		}
	}
	dot, err := ts.store.Create("dot", index.Config{Dimension: 2, Metric: index.Dot})
	if err != nil {
		t.Fatal(err)
	}
	ts.ok("PUT", "/collections/dot/points", `{"points":[{"id":1,"vector":[1,0]},{"id":2,"vector":[0,1]}]}`, nil)
	if a := ts.post("/collections/dot/calibrate", `{"points":[{"id":3,"vector":[1,1]}]}`); a.status != http.StatusBadRequest || !strings.Contains(a.text, "use cosine or l2") || dot.Aside(index.RoleCalibration) != 0 {
		t.Errorf("%d %s, %d kept aside", a.status, a.text, dot.Aside(index.RoleCalibration))
	}
}

func TestClassify(t *testing.T) {
	ts := start(t, nil)
	var got struct {
		Label         *string
		Probability   float64
		PredictionSet []string `json:"prediction_set"`
		PValue        float64  `json:"p_value"`
		Classes       []classFit
		Neighbors     []neighbor
		Examples      []examples
		Features      []feature
	}
	ts.ok("POST", "/classify", `{"vector":`+axis0+`,"alpha":0.05,"explain":true}`, &got)
	if got.Label == nil || *got.Label != "c0" || got.Probability != 1 || !slices.Equal(got.PredictionSet, []string{"c0"}) || len(got.Classes) != 4 || got.Classes[0].Class != "c0" ||
		got.Classes[0].Calibration != 50 || len(got.Neighbors) != 5 || len(got.Examples) != 4 || got.Features != nil {
		t.Errorf("%+v", got)
	}
	got.Examples = nil
	ts.ok("POST", "/collections/digits/classify", `{"vector":`+axis5+`,"alpha":0.05}`, &got)
	if got.Label != nil || got.Probability != 0 || len(got.PredictionSet) != 0 || got.PValue > 0.05 || got.Examples != nil {
		t.Errorf("none of these: %+v", got)
	}
	if ts.ok("POST", "/classify", `{"input":"`+b64("class 3")+`"}`, &got); got.Label == nil || *got.Label != "c3" {
		t.Errorf("%+v", got)
	}
}

// TestClassifyUnjudged: a class that too few items calibrate for an alpha is not ruled out, is named, and does not win.
func TestClassifyUnjudged(t *testing.T) {
	ts := start(t, nil)
	r := rand.New(rand.NewPCG(9, 9))
	var points []string
	for i := range 30 {
		points = append(points, fmt.Sprintf(`{"id":"z%d","vector":%s,"label":"z"}`, i, jsonOf(near(r, 5, 0.05))))
	}
	ts.ok("PUT", "/collections/digits/points", `{"points":[`+strings.Join(points, ",")+`]}`, nil)
	ts.settled("digits")
	type classified struct {
		Label         *string
		Probability   float64
		PredictionSet []string `json:"prediction_set"`
		Unjudged      []string
		Classes       []classFit
	}
	var got classified
	ts.ok("POST", "/classify", `{"vector":`+axis0+`,"alpha":0.05}`, &got)
	if got.Label == nil || *got.Label != "c0" || got.Probability != 1 || !slices.Equal(got.PredictionSet, []string{"c0", "z"}) || !slices.Equal(got.Unjudged, []string{"z"}) ||
		got.Classes[1].Class != "z" || got.Classes[1].Calibration != 0 || len(got.Classes) != 5 {
		t.Errorf("%+v", got)
	}
	// 50 items a class do not support an alpha of 0.01.
	ts.ok("POST", "/classify", `{"vector":`+axis0+`,"alpha":0.01}`, &got)
	if got.Label == nil || *got.Label != "c0" || len(got.PredictionSet) != 5 || !slices.Equal(got.Unjudged, got.PredictionSet) || got.Classes[0].Class != "c0" {
		t.Errorf("%+v", got)
	}
	// None of the nearest is of a class that it may be of: no label.
	lone := classifyResult{PredictionSet: []string{"z"}}
	if lone.vote([]index.Record{{ID: "1", Label: "c0"}, {ID: "2", Label: "c0"}}); lone.Label != nil || lone.Probability != 0 {
		t.Errorf("%+v", lone)
	}
}

// TestClassifyUnlabelled: points without a label are no class and have no vote.
func TestClassifyUnlabelled(t *testing.T) {
	ts := start(t, nil)
	r := rand.New(rand.NewPCG(10, 10))
	unlabelled := func(collection string, class, n int, spread float64) {
		var points []string
		for i := range n {
			points = append(points, fmt.Sprintf(`{"id":"u%d","vector":%s}`, i, jsonOf(near(r, class, spread))))
		}
		ts.ok("PUT", "/collections/"+collection+"/points", `{"points":[`+strings.Join(points, ",")+`]}`, nil)
	}
	unlabelled("digits", 0, 60, 0.001)
	ts.settled("digits")
	var got struct {
		Label         *string
		Probability   float64
		PredictionSet []string `json:"prediction_set"`
		Classes       []classFit
		Neighbors     []neighbor
	}
	ts.ok("POST", "/classify", `{"vector":`+axis0+`,"alpha":0.05,"explain":true}`, &got)
	if got.Label == nil || *got.Label != "c0" || got.Probability != 1 || !slices.Equal(got.PredictionSet, []string{"c0"}) || len(got.Classes) != 4 || got.Neighbors[0].Label != "" {
		t.Errorf("%+v", got)
	}
	unlabelled("other", 0, 60, 0.05)
	ts.ok("POST", "/collections/other/calibrate", `{"holdout":0.4}`, nil)
	ts.ok("POST", "/collections/other/anomaly", `{"vector":`+axis0+`}`, nil)
	if a := ts.post("/collections/other/classify", `{"vector":`+axis0+`}`); a.status != http.StatusConflict || !strings.Contains(a.text, `"other": no known point has a label`) || !strings.Contains(a.text, "label points") {
		t.Errorf("%d %s", a.status, a.text)
	}
}

var sample = regexp.MustCompile(`^akin_[a-z_]+\{([a-z]+="[^"]*",?)+\} [-+0-9.e]+$`)

// TestMetrics reads the text as Prometheus does, after healthy verdicts and after strange ones.
func TestMetrics(t *testing.T) {
	ts := start(t, nil)
	read := func() string {
		resp, err := http.Get(ts.url + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != metricsType {
			t.Fatalf("%d %q, %v", resp.StatusCode, resp.Header.Get("Content-Type"), err)
		}
		return string(b)
	}
	r := rand.New(rand.NewPCG(8, 8))
	judge := func(class int) {
		var items []string
		for range 60 {
			items = append(items, `{"vector":`+jsonOf(near(r, class, 0.05))+`}`)
		}
		ts.ok("POST", "/anomaly/batch", `{"items":[`+strings.Join(items, ",")+`]}`, nil)
	}
	judge(0)
	for range 5 { // points are not watched
		ts.ok("POST", "/anomaly", `{"id":"7"}`, nil)
	}
	healthy := read()
	for _, want := range []string{`akin_points{collection="digits"} 200`, `akin_calibration_items{collection="digits"} 200`, `akin_verdicts_total{collection="digits"} 60`,
		`akin_drift_alarm{collection="digits"} 0`, `akin_drift_mean_time{collection="digits"} 100000`, `akin_alarm_rate_low{collection="digits",alpha="0.05"} `, `akin_detector_stale{collection="digits"} 0`,
		"# TYPE akin_verdicts_total counter", `akin_recall_checked_total{collection="plain"} 0`} {
		if !strings.Contains(healthy, want) {
			t.Errorf("no %q in\n%s", want, healthy)
		}
	}
	seen := map[string]bool{}
	for line := range strings.Lines(healthy) {
		line = strings.TrimSuffix(line, "\n")
		if !strings.HasPrefix(line, "# ") && !sample.MatchString(line) {
			t.Errorf("line %q", line)
		}
		if seen[line] {
			t.Errorf("%q stands twice", line)
		}
		seen[line] = true
	}
	judge(5)
	if strange := read(); !strings.Contains(strange, `akin_drift_alarm{collection="digits"} 1`) || !strings.Contains(strange, `akin_verdicts_total{collection="digits"} 120`) {
		t.Errorf("after strangers\n%s", strange)
	}
	var health struct {
		Drift []string `json:"drift_alarms"`
	}
	if ts.ok("GET", "/healthz", "", &health); !slices.Equal(health.Drift, []string{"digits"}) {
		t.Errorf("%+v", health)
	}
	ts.ok("POST", "/calibrate", `{}`, nil)
	if !strings.Contains(read(), `akin_drift_alarm{collection="digits"} 0`) {
		t.Error("calibrating does not reset the alarm")
	}
}

// deafToAll refuses every sound.
type deafToAll struct{}

func (deafToAll) Occlude(context.Context, []byte) ([]encoder.Occlusion, error) {
	return nil, fmt.Errorf("%w: nothing to hear", encoder.ErrInput)
}

// TestRefusalIsNoVerdict: what is refused after it was judged is not counted.
func TestRefusalIsNoVerdict(t *testing.T) {
	ts := start(t, func(o *Options) { o.Sounds = deafToAll{} })
	input := `{"input":"` + b64("class 1") + `"`
	if a := ts.post("/anomaly", input+`,"explain":true}`); a.status != http.StatusBadRequest {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if f := ts.settled("digits"); f.Detector.Watch.Judged != 0 {
		t.Errorf("%d verdicts of a refusal", f.Detector.Watch.Judged)
	}
	ts.ok("POST", "/anomaly", input+`}`, nil)
	if f := ts.settled("digits"); f.Detector.Watch.Judged != 1 {
		t.Errorf("%d verdicts, want 1", f.Detector.Watch.Judged)
	}
}

package benchmarks

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/akin-search/akin/train"
)

func learnOptions() LearnOptions {
	return LearnOptions{Dataset: MNIST, Limit: 600, Validation: true, Seeds: 2, Train: train.Options{Epochs: 1, Threads: 1}}
}

// digits returns the first training and test images of MNIST.
func digits(t *testing.T, learned, asked int) task {
	a, b, err := train.MNIST("")
	if errors.Is(err, train.ErrNoMNIST) {
		t.Skipf("%v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return task{Train: a.Subset(firstN(learned)), Test: b.Subset(firstN(asked))}
}

// repeated measures a protocol on a small task and returns the JSON report.
func repeated(t *testing.T, name string, small task) map[string]any {
	p, err := findProtocol(name)
	if err != nil {
		t.Fatal(err)
	}
	o := learnOptions()
	o.Protocol = name
	o.SetDefaults()
	r, err := o.repeat(t.Context(), p, small)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	return got
}

// TestLearnIsRepeatable runs the smallest benchmark twice: the figures, but for times, are those of the seeds.
func TestLearnIsRepeatable(t *testing.T) {
	small := digits(t, 500, 200)
	var got [2]map[string]any
	for i := range got {
		got[i] = repeated(t, "supervised", small)
	}
	for _, key := range []string{"knn_accuracy", "nearest_mean_accuracy", "linear_probe_accuracy", "recall_at_1", "map_at_r", "nmi", "pair_eer", "epochs"} {
		a, b := got[0][key], got[1][key]
		low, high := got[0]["min"].(map[string]any)[key].(float64), got[0]["max"].(map[string]any)[key].(float64)
		if v, ok := a.(float64); !ok || a != b || v < low || v > high {
			t.Errorf("%s: %v and %v, between %v and %v", key, a, b, low, high)
		}
	}
	if acc := got[0]["knn_accuracy"].(float64); acc < 0.5 {
		t.Errorf("kNN accuracy %v after one epoch of 600 images", acc)
	}
	if s, ok := got[0]["train_seconds"].(float64); !ok || s <= 0 {
		t.Errorf("train_seconds %v", got[0]["train_seconds"])
	}
}

func TestLearnReportMedians(t *testing.T) {
	runs := []Measures{{"a": 3, "b": 1}, {"a": 1, "b": 1}, {"a": 2, "b": 0}}
	r, err := newLearnReport(LearnOptions{Dataset: "d", Protocol: "p"}, runs)
	if err != nil {
		t.Fatal(err)
	}
	if r.Median["a"] != 2 || r.Min["a"] != 1 || r.Max["a"] != 3 || r.Median["b"] != 1 || r.Min["b"] != 0 {
		t.Errorf("%+v", r)
	}
	if _, err := newLearnReport(LearnOptions{}, []Measures{{"a": 1}, {"b": 1}}); err == nil {
		t.Error("runs of different measures made a report")
	}
	r.Median["seeds"] = 1
	if _, err := json.Marshal(r); err == nil {
		t.Error("a measure overwrote a field of the report")
	}
}

func TestLearnOptions(t *testing.T) {
	for want, change := range map[string]func(*LearnOptions){
		"protocol":  func(o *LearnOptions) { o.Protocol = "telepathy" },
		"data set":  func(o *LearnOptions) { o.Dataset = GMM },
		"-1 seeds":  func(o *LearnOptions) { o.Seeds = -1 },
		"limit -1":  func(o *LearnOptions) { o.Limit = -1 },
		"-1 epochs": func(o *LearnOptions) { o.Train.Epochs = -1 },
		"threads":   func(o *LearnOptions) { o.Train.Threads = -1 },
	} {
		o := learnOptions()
		change(&o)
		if _, err := Learn(t.Context(), o); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestLearnStops(t *testing.T) {
	if _, _, err := train.MNIST(""); errors.Is(err, train.ErrNoMNIST) {
		t.Skipf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	o := learnOptions()
	o.Progress = func(string) { cancel() } // at the first line
	if _, err := Learn(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestTransfer(t *testing.T) {
	got := repeated(t, "transfer", digits(t, 600, 200))
	if g, ok := got["gain_points"].(float64); !ok || g < -20 || g > 100 {
		t.Errorf("gain %v", got["gain_points"])
	}
	for _, key := range []string{"base_knn_accuracy", "scratch_nearest_mean_accuracy", "map_at_r", "transfer_epochs"} {
		if v, ok := got[key].(float64); !ok || v <= 0 {
			t.Errorf("%s is %v", key, got[key])
		}
	}
}

func TestDrawLabels(t *testing.T) {
	d := train.Dataset{Labels: []int{0, 5, 6, 5, 6, 5, 6, 7}}
	items := itemsWhere(d, func(l int) bool { return l >= 5 })
	drawn := drawLabels(d, items, 2, 3)
	count := map[int]int{}
	for _, i := range drawn {
		count[d.Labels[i]]++
	}
	if len(drawn) != 5 || count[5] != 2 || count[6] != 2 || count[7] != 1 {
		t.Errorf("drawn %v", drawn)
	}
}

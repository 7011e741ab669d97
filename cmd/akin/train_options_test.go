package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/train"
)

// optionsOf returns the options in a model's record.
func optionsOf(t *testing.T, path string) train.Options {
	t.Helper()
	m, _, err := encoder.ReadModel(path)
	if err != nil {
		t.Fatal(err)
	}
	var rec train.Record
	if err := json.Unmarshal(m.Record, &rec); err != nil {
		t.Fatal(err)
	}
	return rec.Options
}

// TestTrainFromModelAndConfig: a model by a config, whose options flags overrule, and another on top of it.
func TestTrainFromModelAndConfig(t *testing.T) {
	data, dir := shapes(t, 20, "disc", "bar"), t.TempDir()
	config := filepath.Join(dir, "config.json")
	if err := os.WriteFile(config, []byte(`{"size": 16, "dimension": 12, "epochs": 9, "rate": 0.002, "optimizer": "lars", "ema": 0.5, "holdout": 0.2, "augmentation": {"shift": 0.1}, "fit": "crop", "variants": "turned"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	first := mustAkin[trained](t, "train", "--data", data, "--dir", dir, "--config", config, "--epochs", "2", "--optimizer", "nesterov", "--threads", "1", "--fit", "letterbox", "--variants", "none")
	o := optionsOf(t, first.Model)
	if o.Size != 16 || o.Dimension != 12 || o.Epochs != 2 || o.Rate != 0.002 || o.Optimizer != "nesterov" || o.Momentum != 0.9 || o.EMA != 0.5 || o.Holdout != 0.2 || *o.Augmentation != (train.Augmentation{Shift: 0.1}) ||
		*o.Fit != encoder.FitLetterbox || o.Variants != train.VariantsNone {
		t.Errorf("options %+v", o)
	}
	second := mustAkin[trained](t, "train", "--data", data, "--dir", t.TempDir(), "--from", first.Model, "--freeze", "1", "--epochs", "1", "--augment", "none", "--fit", "auto", "--variants", "none", "--config", config)
	if o := optionsOf(t, second.Model); o.From != first.ModelID || o.Freeze != 1 || o.Dimension != 12 || !o.Augmentation.IsZero() {
		t.Errorf("options on top of a model: %+v", o)
	}
	for _, bad := range []struct{ content, want string }{{`{"rates": 1}`, "rates"}, {`{"rate": 1} {}`, "more after"}, {`{"rate": "high"}`, "rate"}, {`[]`, "object of training options"}} {
		if err := os.WriteFile(config, []byte(bad.content), 0o644); err != nil {
			t.Fatal(err)
		}
		if code, _, errs := akin(t, "train", "--data", data, "--dir", t.TempDir(), "--config", config); code != 1 || !strings.Contains(errs, bad.want) {
			t.Errorf("config %s: exit code %d: %s", bad.content, code, errs)
		}
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--from", config}, "--from"}, {[]string{"--config", config + "x"}, "--config"}, {[]string{"--freeze", "1"}, "model to start from"},
		{[]string{"--from", first.Model, "--freeze", "99"}, "freeze 99"}, {[]string{"--from", first.Model, "--size", "20"}, "size 20"}, {[]string{"--ema", "1"}, "ema 1"},
	} {
		if code, _, errs := akin(t, append([]string{"train", "--data", data, "--dir", t.TempDir()}, c.args...)...); code != 1 || !strings.Contains(errs, c.want) {
			t.Errorf("%v: exit code %d: %s", c.args, code, errs)
		}
	}
}

// TestTrainSaysThatItGoesBack: where all pictures are alike so are their embeddings; what goes wrong and what is done about it stand on
// standard error, and there is nothing to resume.
func TestTrainSaysThatItGoesBack(t *testing.T) {
	data := shapes(t, 30, "disc", "bar")
	picture, err := os.ReadFile(filepath.Join(data, "disc", "000.png"))
	if err != nil {
		t.Fatal(err)
	}
	for _, class := range []string{"disc", "bar"} {
		files, err := filepath.Glob(filepath.Join(data, class, "*.png"))
		if err != nil || len(files) != 30 {
			t.Fatal(files, err)
		}
		for _, f := range files {
			if err := os.WriteFile(f, picture, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	code, _, errs := akin(t, "train", "--data", data, "--dir", t.TempDir(), "--size", "12", "--rate", "0.01", "--epochs", "2", "--augment", "none")
	if code != 1 || !strings.Contains(errs, "draw together") || !strings.Contains(errs, "back to the end of epoch 0, rate 0.005") || !strings.Contains(errs, "training collapsed") || strings.Contains(errs, "--resume") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}

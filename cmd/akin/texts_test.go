package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sentences returns so many rows of each topic, "text,label" at first: words of the topic among words that all have.
func sentences(n int, topics map[string]string) string {
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	filler := strings.Fields("please can you tell me now what the about my today we need some more of it")
	out := "text,label\n"
	for topic, words := range topics {
		own := strings.Fields(words)
		for range n {
			var text []string
			for range 3 {
				text = append(text, filler[rng.IntN(len(filler))], own[rng.IntN(len(own))])
			}
			out += strings.Join(text, " ") + "," + topic + "\n"
		}
	}
	return out
}

// TestOwnTexts walks a user's path with texts: train, ingest, search, score, eval, serve with an explanation, and another start.
func TestOwnTexts(t *testing.T) {
	dir := t.TempDir()
	list := filepath.Join(dir, "list.csv")
	content := sentences(100, map[string]string{"card": "card pin chip atm contactless", "travel": "flight hotel train luggage visa", "food": "recipe oven sugar dinner spice"}) + "?!,card\n"
	if err := os.WriteFile(list, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	code, _, errs := akin(t, "train", "--data", list, "--dir", dir, "--holdout", "0.25", "--epochs", "4")
	for _, want := range []string{"found 301 texts", "skipped 302: ", "without a word", "short trial of words, runs of 3 to 5 characters: validation kNN", "texts as bags of", "augmentation texts"} {
		if code != 0 || !strings.Contains(errs, want) {
			t.Fatalf("train: exit code %d without %q: %s", code, want, errs)
		}
	}
	in := mustAkin[ingested](t, "ingest", "--data", list, "--dir", dir)
	if in.Points+in.Calibration != 300 || in.Calibration < 40 {
		t.Errorf("ingested %+v, want 300 texts, a quarter of them kept aside as in training", in)
	}
	hits := mustAkin[[]found](t, "search", "my luggage and the hotel", "--dir", dir, "--k", "3")
	if len(hits) != 3 || hits[0].Label != "travel" || !strings.Contains(hits[0].Text, " ") {
		t.Errorf("luggage finds %+v", hits)
	}
	if ev := mustAkin[evaluated](t, "eval", "--data", list, "--dir", dir); ev.KNNAccuracy < 0.9 || ev.Baseline.Name != "TF-IDF" || ev.Baseline.KNNAccuracy < 0.5 {
		t.Errorf("evaluation %+v", ev)
	}
	if code, out, errs := akin(t, "show", filepath.Join(dir, "model.akin")); code != 0 || !strings.Contains(out, "text") {
		t.Errorf("show: exit code %d: %s%s", code, out, errs)
	}
	strange := filepath.Join(dir, "strange.csv")
	rows := "text\n"
	for i := range 10 {
		rows += fmt.Sprintf("quarks and leptons decay %d times faster\n", i)
	}
	if err := os.WriteFile(strange, []byte(rows), 0o644); err != nil {
		t.Fatal(err)
	}
	var judged []struct {
		File      string
		IsAnomaly bool `json:"is_anomaly"`
	}
	_, out, _ := akin(t, "score", "--dir", dir, "--alpha", "0.1", "--json", strange, "please card tell pin my chip") // the exit code says that there are anomalies
	if err := json.Unmarshal([]byte(out), &judged); err != nil || len(judged) != 11 {
		t.Fatalf("score: %v in %s", err, out)
	}
	alarms := 0
	for _, s := range judged[:10] {
		if s.IsAnomaly {
			alarms++
		}
	}
	if alarms < 8 || judged[10].IsAnomaly || judged[10].File != "please card tell pin my chip" || !strings.HasPrefix(judged[0].File, strange+":") {
		t.Errorf("%d of 10 strange texts are called so: %+v", alarms, judged)
	}
	missing := filepath.Join(dir, "gone.txt") // a name of a file, not a text
	if code, out, errs := akin(t, "score", "--dir", dir, "--alpha", "0.1", "--json", missing, "gone.txt"); code != 1 || strings.Count(out, "no such file") != 2 || !strings.Contains(errs, "2 of 2 files could not be scored") {
		t.Errorf("files that are not there: exit code %d: %s%s", code, out, errs)
	}
	if err := os.WriteFile(strange, []byte("text,split\ncard pin,train\ncard chip,test\n,test\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := akin(t, "score", "--dir", dir, "--alpha", "0.1", "--json", strange); code != 1 || !strings.Contains(out, strange+":line 4") || !strings.Contains(errs, "1 rows of "+strange+" are of the other split") {
		t.Errorf("a list with a row that cannot be read: exit code %d: %s%s", code, out, errs)
	}
	for range 2 { // the second start finds everything on disk
		s := startServing(t, "serve", "--dir", dir, "--addr", "127.0.0.1:0")
		var answer struct {
			Result struct {
				Label string
				Words []struct{ Word string }
			}
		}
		post := func(path, body string) {
			t.Helper()
			resp, err := http.Post(s.url+path, "application/json", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusOK {
				t.Fatalf("%s %s: %d, %v", path, body, resp.StatusCode, err)
			}
		}
		if post("/classify", `{"text":"now oven more sugar some dinner","alpha":0.1}`); answer.Result.Label != "food" {
			t.Errorf("a recipe is classified as %q", answer.Result.Label)
		}
		if post("/anomaly", `{"text":"my card leptons pin the chip","alpha":0.1,"explain":true}`); len(answer.Result.Words) == 0 || answer.Result.Words[0].Word != "leptons" {
			t.Errorf("what deviates is %+v, want the leptons", answer.Result.Words)
		}
		s.stop(t)
	}
	if code, _, errs := akin(t, "search", "?", "--dir", dir); code != 1 || !strings.Contains(errs, "without a word") {
		t.Errorf("searching by no word: exit code %d: %s", code, errs)
	}
}

// TestOwnPairs trains on pairs of questions, measures them, and tells by a threshold from pairs kept aside whether two others mean the same.
func TestOwnPairs(t *testing.T) {
	dir := t.TempDir()
	things := strings.Fields("invoice password parcel refund contract receipt voucher account address delivery")
	forms := []string{"where is my %s", "i cannot find the %s", "what happened to the %s of last week", "please send me the %s"}
	rng := rand.New(rand.NewPCG(3, 3))
	rows := "question1\tquestion2\tis_duplicate\n"
	for i := range 400 {
		a, b := rng.IntN(len(things)), rng.IntN(len(things))
		if i%2 == 0 {
			b = a
		} else if b == a {
			b = (a + 1) % len(things)
		}
		f := rng.IntN(4)
		g := (f + 1 + rng.IntN(3)) % 4
		if i%2 == 1 {
			g = f
		}
		rows += fmt.Sprintf(forms[f]+" no %d\t"+forms[g]+" no %d\t%d\n", things[a], 2*i, things[b], 2*i+1, 1-i%2)
	}
	list := filepath.Join(dir, "questions.tsv")
	if err := os.WriteFile(list, []byte(rows), 0o644); err != nil {
		t.Fatal(err)
	}
	code, _, errs := akin(t, "train", "--data", list, "--dir", dir, "--holdout", "0.3", "--epochs", "4")
	if code != 0 || !strings.Contains(errs, "400 pairs of them, 200 alike and 200 not") || !strings.Contains(errs, "validation pair AUROC") {
		t.Fatalf("train: exit code %d: %s", code, errs)
	}
	ev := mustAkin[pairsEvaluated](t, "eval", "--data", list, "--dir", dir)
	if ev.AUROC < 0.9 || ev.AUROC < ev.Baseline.AUROC || ev.Pairs != 400 || ev.Intervals["pair_auroc"].Low > ev.AUROC || ev.Baseline.Name != "TF-IDF" {
		t.Errorf("evaluation %+v", ev)
	}
	if code, _, errs := akin(t, "eval", "--data", list, "--dir", dir, "--corrupt"); code != 1 || !strings.Contains(errs, "does not go with pairs") {
		t.Errorf("corrupted pairs: exit code %d: %s", code, errs)
	}
	for other, want := range map[string]int{"i cannot find the parcel": 0, "where is my password": 3} {
		if code, out, errs := akin(t, "verify-pair", "--dir", dir, "--far", "0.1", "where is my parcel", other); code != want {
			t.Errorf("%s: exit code %d, want %d: %s%s", other, code, want, out, errs)
		}
	}
	if in := mustAkin[ingested](t, "ingest", "--data", list, "--dir", dir); in.Points == 0 || in.Calibration == 0 {
		t.Errorf("ingested %+v", in)
	}
}

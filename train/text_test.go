package train

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
)

func listFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTextList reads texts with classes in all formats, and says of each row that it skips why.
func TestTextList(t *testing.T) {
	for name, content := range map[string]string{
		"a.csv":   "Intent,Split,Utterance\ncard,train,\"where, my card\"\n,,no label here\ncard,test,late one\ncard,train,  \nrate,train,the rate\n",
		"b.tsv":   "Intent\tSplit\tUtterance\ncard\ttrain\twhere, my card\n\t\tno label here\ncard\ttest\tlate one\ncard\ttrain\t \nrate\ttrain\tthe rate\n",
		"c.jsonl": "{\"intent\":\"card\",\"split\":\"train\",\"utterance\":\"where, my card\"}\n{\"intent\":null,\"utterance\":\"no label here\"}\n{\"intent\":\"card\",\"split\":\"test\",\"utterance\":\"late one\"}\n{\"intent\":\"card\",\"split\":\"train\",\"utterance\":\" \"}\n{\"intent\":\"rate\",\"split\":\"train\",\"utterance\":\"the rate\"}\n",
	} {
		file := listFile(t, name, content)
		if !IsTextList(file) || IsTable(file) || !IsManifest(file) {
			t.Errorf("%s is taken for something else", name)
		}
		l, err := Manifest(file, RowsTraining)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		d := l.Dataset
		if d.Len() != 3 || l.Left != 1 || string(d.Raw[0]) != "where, my card" || d.Label(0) != "card" || d.Label(1) != "" || d.Label(2) != "rate" || d.Validate() != nil {
			t.Errorf("%s: %q of classes %v, %d left", name, d.Raw, d.Labels, l.Left)
		}
		if len(l.Skipped) != 1 || !strings.Contains(l.Skipped[0].Reason, "empty") || !strings.HasPrefix(l.Skipped[0].Path, "line ") {
			t.Errorf("%s: skipped %v", name, l.Skipped)
		}
		if l, err := Manifest(file, RowsTest); err != nil || l.Dataset.Len() != 1 || string(l.Dataset.Raw[0]) != "late one" || l.Left != 4 {
			t.Errorf("%s: test rows %q, %v", name, l.Dataset.Raw, err)
		}
	}
	broken := listFile(t, "d.csv", "id,text\n7,one text\n7,again\n8,a,b\n9,fine\n")
	if l, err := TextList(broken, RowsTraining); err != nil || !slices.Equal(l.Dataset.IDs, []string{"7", "9"}) || len(l.Skipped) != 2 {
		t.Errorf("%v, skipped %v, %v", l.Dataset.IDs, l.Skipped, err)
	}
	for content, want := range map[string]string{"text,split\na,dev2\n": `split "dev2"`, "text\n": "no text in 0 rows", "text\n\"a\n": "\""} {
		if _, err := TextList(listFile(t, "bad.csv", content), RowsTraining); !errors.Is(err, ErrDataset) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", content, err, want)
		}
	}
	if IsTextList(listFile(t, "rows.csv", "a,b,label\n1,2,x\n")) || IsTextList(listFile(t, "files.csv", "path,text\na.png,b\n")) {
		t.Error("a table or a manifest of files is taken for texts")
	}
}

// TestTextListByItsCells: where no column has a known name, sentences tell which is the text, and what repeats itself is the label; with more columns, or
// sentences in two, it is a table.
func TestTextListByItsCells(t *testing.T) {
	rows := func(header string, cells func(i int) string) string {
		for i := range 300 {
			header += cells(i)
		}
		return header
	}
	queues := []string{"billing", "parcels", "returns"}
	for name, content := range map[string]string{
		"a.csv": rows("queue,ticket\n", func(i int) string { return fmt.Sprintf("%s,\"my order %d, is late\"\n", queues[i%3], i) }),
		"b.tsv": rows("ticket\tqueue\n", func(i int) string { return fmt.Sprintf("my order %d, is late\t%s\n", i, queues[(i+2)%3]) }),
		"c.jsonl": rows("", func(i int) string {
			return fmt.Sprintf("{\"ticket\":\"my order %d, is late\",\"label\":\"%s\",\"id\":%d}\n", i, queues[i%3], i)
		}),
	} {
		file := listFile(t, name, content)
		l, err := Manifest(file, RowsTraining)
		if err != nil || IsTable(file) || l.Dataset.Len() != 300 || len(l.Dataset.Classes) != 3 || !strings.HasSuffix(string(l.Dataset.Raw[299]), ", is late") {
			t.Errorf("%s: %d texts of %v, %v", name, l.Dataset.Len(), l.Dataset.Classes, err)
		}
	}
	for name, content := range map[string]string{
		"more columns": rows("what,price,weight\n", func(i int) string { return fmt.Sprintf("a fine chair %d,%d,%d\n", i, i, 2*i) }),
		"two":          rows("a,b\n", func(i int) string { return fmt.Sprintf("a fine chair %d,a fine table %d\n", i, i) }),
		"repeated":     rows("a,b\n", func(i int) string { return fmt.Sprintf("a fine chair %d,%d\n", i%3, i) }),
		"files":        rows("path,b\n", func(i int) string { return fmt.Sprintf("%d.png,a fine table %d\n", i, i) }),
		"empty":        "a,b\n",
	} {
		if IsTextList(listFile(t, "d.csv", content)) {
			t.Errorf("%s: a table is taken for texts", name)
		}
	}
}

// TestPairList reads pairs: grades of any range become 0 to 1, words are scores too, a text of several pairs is one item, and rows without a score
// are skipped.
func TestPairList(t *testing.T) {
	l, err := Manifest(listFile(t, "p.csv", "sentence1,sentence2,score\na cat,a dog,2.5\na cat,the cat,5\nthis,that,0\nx,y,much\n"), RowsTraining)
	if err != nil {
		t.Fatal(err)
	}
	d := l.Dataset
	want := []Pair{{"2a", "2b", 0.5}, {"2a", "3b", 1}, {"4a", "4b", 0}}
	if d.Len() != 5 || !slices.Equal(d.Pairs, want) || !graded(d.Pairs) || len(l.Skipped) != 1 || !strings.Contains(l.Skipped[0].Reason, `score "much" is no number`) {
		t.Errorf("%v, skipped %v", d.Pairs, l.Skipped)
	}
	l, err = Manifest(listFile(t, "q.tsv", "question1\tquestion2\tis_duplicate\na?\tb?\tTrue\nc?\td?\tfalse\n"), RowsTraining)
	if err != nil || graded(l.Dataset.Pairs) || !l.Dataset.Pairs[0].Similar() || l.Dataset.Pairs[1].Similar() {
		t.Errorf("%v, %v", l.Dataset.Pairs, err)
	}
	if _, err := Manifest(listFile(t, "r.csv", "text_a,text_b,label\na,b,0\nc,d,0\n"), RowsTraining); !errors.Is(err, ErrDataset) || !strings.Contains(err.Error(), "another score") {
		t.Errorf("pairs of one kind: %v", err)
	}
	for _, list := range []string{"question1,question2\na,b\nc,d\n", "question1,question2,is_duplicate\na,b,true\nc,d,1\n"} {
		if l, err := Manifest(listFile(t, "s.csv", list), RowsTraining); err != nil || !slices.Equal(l.Dataset.Pairs, []Pair{{"2a", "2b", 1}, {"3a", "3b", 1}}) {
			t.Errorf("%q: %v, %v", list, l.Dataset.Pairs, err)
		}
	}
}

func FuzzTextList(f *testing.F) {
	f.Add("text,label\na b,c\n", ".csv")
	f.Add("s1\ts2\tscore\na\tb\t0.5\nc\td\t1\n", ".tsv")
	f.Add("{\"text\":\"a\"}\n{\"text\":1}\n", ".jsonl")
	f.Add("a,b\none two three,x\nfour five six,x\n", ".csv")
	f.Fuzz(func(t *testing.T, content, ext string) {
		if !slices.Contains([]string{".csv", ".tsv", ".jsonl"}, ext) {
			return
		}
		file := filepath.Join(t.TempDir(), "list"+ext)
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if l, err := TextList(file, RowsTest); err == nil {
			if err := l.Dataset.Validate(); err != nil {
				t.Errorf("%q: %v", content, err)
			}
		}
	})
}

// TestTextFolder: texts are read where they are most of the files.
func TestTextFolder(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "sport", "1.txt"), []byte("they won the game"))
	write(t, filepath.Join(dir, "news", "2.TXT"), []byte("the vote was close"))
	write(t, filepath.Join(dir, "news", "3.txt"), []byte("\xff\xfe"))
	write(t, filepath.Join(dir, "news", "4.txt"), []byte(" \n"))
	d, skipped, err := Folder(dir)
	if err != nil || !slices.Equal(d.IDs, []string{"news/2.TXT", "sport/1.txt"}) || d.Label(0) != "news" || len(skipped) != 2 {
		t.Errorf("%v, skipped %v, %v", d.IDs, skipped, err)
	}
	if name, err := modalityOf(d); err != nil || name != encoder.ModalityText {
		t.Errorf("modality %q, %v", name, err)
	}
}

// TestSplitPairs: no pair is torn, both sides have pairs, none shares a text, and data that hang together or have labels are split as ever.
func TestSplitPairs(t *testing.T) {
	d := pairedTexts(120, 1)
	rest, part, err := d.Split(0.3, 5)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(rest.Pairs) + len(part.Pairs); got != len(d.Pairs) || len(part.Pairs) < 10 || rest.Len()+part.Len() != d.Len() {
		t.Errorf("%d and %d pairs of %d", len(rest.Pairs), len(part.Pairs), len(d.Pairs))
	}
	chain := d
	chain.Pairs = nil
	for i := range d.Len() - 1 {
		chain.Pairs = append(chain.Pairs, Pair{d.IDs[i], d.IDs[i+1], float64(i % 2)})
	}
	if _, part, err := chain.Split(0.3, 5); err != nil || part.Len() == 0 {
		t.Errorf("one chain: %d kept aside, %v", part.Len(), err)
	}
}

// pairedTexts returns pairs of texts about n things: the two of a pair are about one thing in other words (1), or about two things in the same words (0).
func pairedTexts(n int, seed uint64) (d Dataset) {
	rng := rand.New(rand.NewPCG(seed, 2))
	forms := []string{"where do i find the %s", "i am looking for the %s", "the %s please", "show me a %s now"}
	add := func(text string) string {
		id := fmt.Sprintf("%d", len(d.IDs))
		d.IDs, d.Raw, d.Labels = append(d.IDs, id), append(d.Raw, []byte(text)), append(d.Labels, Unlabelled)
		return id
	}
	thing := func() string { return fmt.Sprintf("thing%02d", rng.IntN(40)) }
	for i := range n {
		a, form := thing(), rng.IntN(len(forms))
		if i%2 == 0 {
			d.Pairs = append(d.Pairs, Pair{add(fmt.Sprintf(forms[form], a)), add(fmt.Sprintf(forms[(form+1+rng.IntN(3))%4], a)), 1})
			continue
		}
		b := thing()
		for b == a {
			b = thing()
		}
		d.Pairs = append(d.Pairs, Pair{add(fmt.Sprintf(forms[form], a)), add(fmt.Sprintf(forms[form], b)), 0})
	}
	return d
}

// naivePairScore is one less the correlation, worked out in two passes.
func naivePairScore(emb kernel.Matrix, scores []float32) float64 {
	var cosines, wanted []float64
	for i, s := range scores {
		cosines, wanted = append(cosines, dot(emb.Row(2*i), emb.Row(2*i+1))), append(wanted, float64(s))
	}
	mc, ms := mean(cosines), mean(wanted)
	both, c, s := 0.0, pairFloor, pairFloor
	for i := range cosines {
		both += (cosines[i] - mc) * (wanted[i] - ms)
		c += (cosines[i] - mc) * (cosines[i] - mc)
		s += (wanted[i] - ms) * (wanted[i] - ms)
	}
	return 1 - both/(math.Sqrt(c)*math.Sqrt(s))
}

// TestPairScore compares the loss with a naive loop, and its gradient with finite differences; equal scores or equal embeddings are no accident.
func TestPairScore(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	l := NewPairScores()
	for _, n := range []int{1, 2, 7} {
		emb, grad := kernel.NewMatrix(2*n, 5), kernel.NewMatrix(2*n, 5)
		for i := range emb.Rows {
			row := make([]float64, 5)
			for j := range row {
				row[j] = rng.NormFloat64()
			}
			kernel.Unit(emb.Row(i), row)
		}
		b := NewBatch(2 * n)
		for i := range n {
			b.Scores = append(b.Scores, float32(i%3)/2)
		}
		if got, want := float64(l.Loss(b, emb, grad)), naivePairScore(emb, b.Scores); math.Abs(got-want) > 1e-5 {
			t.Errorf("%d pairs: %g, want %g", n, got, want)
		}
		for i := range emb.Data {
			const h = 1e-3
			was := emb.Data[i]
			emb.Data[i] = was + h
			up := naivePairScore(emb, b.Scores)
			emb.Data[i] = was - h
			down := naivePairScore(emb, b.Scores)
			emb.Data[i] = was
			if want := (up - down) / (2 * h); math.Abs(want-float64(grad.Data[i])) > 1e-3*(1+math.Abs(want)) {
				t.Fatalf("%d pairs: gradient %d is %g, finite difference %g", n, i, grad.Data[i], want)
			}
		}
	}
	same := kernel.NewMatrix(6, 2)
	for i := range same.Rows {
		same.Row(i)[0] = 1
	}
	b := NewBatch(6)
	b.Scores = []float32{0, 1, 0.5}
	grad := kernel.NewMatrix(6, 2)
	if loss := l.Loss(b, same, grad); loss != 1 || !finite(grad.Data) {
		t.Errorf("embeddings that are all alike: %g, %v", loss, grad.Data)
	}
	if err := l.Restore([][]float32{{1}}); !errors.Is(err, ErrCheckpoint) || l.State() != nil {
		t.Errorf("a state: %v", err)
	}
}

// TestMeasurePairs compares with values worked out by hand, and with ties.
func TestMeasurePairs(t *testing.T) {
	emb := kernel.NewMatrix(8, 2)
	var pairs []Pair
	var ids []string
	for i, angle := range []float64{0, 0.1, 0.5, 1.2} { // cosines 1, 0.995, 0.878, 0.362
		emb.Row(2 * i)[0] = 1
		emb.Row(2*i + 1)[0], emb.Row(2*i + 1)[1] = float32(math.Cos(angle)), float32(math.Sin(angle))
		ids = append(ids, fmt.Sprint(2*i), fmt.Sprint(2*i+1))
		pairs = append(pairs, Pair{ids[2*i], ids[2*i+1], []float64{1, 0.5, 0.5, 0}[i]})
	}
	f, err := MeasurePairs(t.Context(), emb, ids, append(pairs, Pair{"0", "elsewhere", 1}), DownstreamOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// Ranks of the cosines 4 3 2 1, of the scores 4 2.5 2.5 1: Spearman 4.5/√(5·4.5).
	if f.Pairs != 4 || math.Abs(f.Spearman-4.5/math.Sqrt(22.5)) > 1e-9 || f.AUROC != 1 || math.Abs(f.EER) > 1e-9 || f.Pearson < 0.8 || f.Pearson > 0.95 {
		t.Errorf("%+v", f)
	}
	if got := ranks([]float64{3, 1, 3, 2}); !slices.Equal(got, []float64{3.5, 1, 3.5, 2}) {
		t.Errorf("ranks %v", got)
	}
	if _, err := MeasurePairs(t.Context(), emb, ids, pairs[:1], DownstreamOptions{}); !errors.Is(err, ErrEvaluate) {
		t.Errorf("pairs of one kind: %v", err)
	}
	for _, list := range []string{"question1,question2\na,b\nc,d\n", "question1,question2,is_duplicate\na,b,true\nc,d,1\n"} {
		if l, err := Manifest(listFile(t, "s.csv", list), RowsTraining); err != nil || !slices.Equal(l.Dataset.Pairs, []Pair{{"2a", "2b", 1}, {"3a", "3b", 1}}) {
			t.Errorf("%q: %v, %v", list, l.Dataset.Pairs, err)
		}
	}
}

// TestTextsLearn trains on pairs and on classes: what is kept aside is told apart better than by TF-IDF, the trial is told of, interrupted runs end in
// the same model, and a threshold comes from the pairs kept aside.
func TestTextsLearn(t *testing.T) {
	d := pairedTexts(500, 1)
	rest, held, err := d.Split(0.3, 1)
	if err != nil {
		t.Fatal(err)
	}
	var tried []Tried
	o := Options{Dimension: 32, Epochs: 4, Threads: 1, Tried: func(v Tried) { tried = append(tried, v) }}
	m := mustRun(t, rest, held, o)
	rec := recordOf(t, m)
	if len(tried) != len(grams) || tried[0].Measure != measureAUROC || rec.Measure != measureAUROC || rec.Before == nil || rec.Untrained {
		t.Fatalf("trials %v, record %+v", tried, rec)
	}
	last := rec.Curve[len(rec.Curve)-1].Validation
	if last < *rec.Before+0.05 || last < 0.95 {
		t.Errorf("pair AUROC %.3f, before training %.3f", last, *rec.Before)
	}
	if err := ScorePairs(t.Context(), m, rest, held, o); err != nil {
		t.Fatal(err)
	}
	if rec := recordOf(t, m); rec.Pairs == nil || len(rec.Pairs.Same)+len(rec.Pairs.Different) != len(held.Pairs) || rec.Pairs.AUROC < 0.9 {
		t.Errorf("pairs %+v", rec.Pairs)
	}
	o.Tried = nil
	checkResumes(t, rest, held, o, modelBytes(t, mustRun(t, rest, held, o)), 3)
}

// TestGradedPairsScored: those kept aside give a threshold, a grade of half or more being alike.
func TestGradedPairsScored(t *testing.T) {
	d := pairedTexts(300, 2)
	for i := range d.Pairs {
		d.Pairs[i].Score = []float64{0.1, 0.3, 0.5, 0.9}[i%2+2*int(d.Pairs[i].Score)]
	}
	rest, held, err := d.Split(0.3, 1)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Dimension: 32, Epochs: 2, Threads: 1}
	m := mustRun(t, rest, held, o)
	if err := ScorePairs(t.Context(), m, rest, held, o); err != nil {
		t.Fatal(err)
	}
	similar := 0
	for _, p := range held.Pairs {
		if p.Similar() {
			similar++
		}
	}
	rec := recordOf(t, m)
	if rec.Measure != measurePearson || rec.Pairs == nil || len(rec.Pairs.Same) != similar || len(rec.Pairs.Different) != len(held.Pairs)-similar || rec.Pairs.AUROC < 0.7 {
		t.Errorf("measure %s, %d of %d pairs alike: %+v", rec.Measure, similar, len(held.Pairs), rec.Pairs)
	}
}

// TestAlikeTextsLearn: questions and other words for the same, and nothing that is not alike.
func TestAlikeTextsLearn(t *testing.T) {
	var d Dataset
	rng := rand.New(rand.NewPCG(5, 5))
	for i := range 600 {
		a, b := "", ""
		for range 3 {
			w := rng.IntN(60)
			a, b = a+fmt.Sprintf("word%d ", w), fmt.Sprintf("wort%d ", w)+b
		}
		p := Pair{A: fmt.Sprintf("%da", i), B: fmt.Sprintf("%db", i), Score: 1}
		d.IDs, d.Raw, d.Labels, d.Pairs = append(d.IDs, p.A, p.B), append(d.Raw, []byte(a), []byte(b)), append(d.Labels, Unlabelled, Unlabelled), append(d.Pairs, p)
	}
	rest, held, err := d.Split(0.3, 1)
	if err != nil || len(rest.Pairs)+len(held.Pairs) != 600 || len(held.Pairs) < 100 {
		t.Fatalf("%d and %d pairs, %v", len(rest.Pairs), len(held.Pairs), err)
	}
	o := Options{Dimension: 32, Epochs: 6, Threads: 1}
	m := mustRun(t, rest, held, o)
	rec := recordOf(t, m)
	if rec.Options.Loss != LossSupCon.String() || rec.Measure != measureAUROC || rec.Before == nil || rec.Untrained {
		t.Fatalf("record %+v", rec)
	}
	if last := rec.Curve[len(rec.Curve)-1].Validation; last < 0.9 || *rec.Before > 0.7 {
		t.Errorf("pair AUROC %.3f, before training %.3f", last, *rec.Before)
	}
	if err := ScorePairs(t.Context(), m, rest, held, o); err != nil {
		t.Fatal(err)
	}
	if rec := recordOf(t, m); rec.Pairs == nil || len(rec.Pairs.Same) != len(held.Pairs) || len(rec.Pairs.Different) != len(held.Pairs) || rec.Pairs.AUROC < 0.9 {
		t.Errorf("pairs %+v", rec.Pairs)
	}
	o.Loss = LossPairs.String()
	if _, err := Run(t.Context(), rest, held, o); !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), "all alike") {
		t.Errorf("loss pairs: %v", err)
	}
}

// TestTextsUntrained: labels that say nothing leave TF-IDF as it was, and the model says so. Texts alone train too.
func TestTextsUntrained(t *testing.T) {
	var d Dataset
	rng := rand.New(rand.NewPCG(4, 4))
	for i := range 160 {
		topic := i % 4
		d.IDs, d.Labels = append(d.IDs, fmt.Sprint(i)), append(d.Labels, topic)
		d.Raw = append(d.Raw, fmt.Appendf(nil, "topic%d topic%d word%d word%d", topic, topic, rng.IntN(50), rng.IntN(50)))
	}
	d.Classes = []string{"a", "b", "c", "d"}
	rest, held, err := d.Split(0.25, 1)
	if err != nil {
		t.Fatal(err)
	}
	rest.Labels = slices.Clone(rest.Labels)
	for i := range rest.Labels {
		rest.Labels[i] = rng.IntN(4) // what was learned of them is wrong for those held
	}
	o := Options{Dimension: 32, Epochs: 2, Threads: 1, Rate: 0.1}
	m := mustRun(t, rest, held, o)
	rec := recordOf(t, m)
	if rec.Before == nil {
		t.Fatal("nothing is known of the model before training")
	}
	if after := rec.Curve[len(rec.Curve)-1].Validation; rec.Untrained != (after < *rec.Before) {
		t.Errorf("untrained %v, with %.3f before and %.3f after", rec.Untrained, *rec.Before, after)
	}
	if table := m.Preprocessing.Text.Table(32); slices.Equal(table, m.Weights[0]) != rec.Untrained {
		t.Errorf("untrained %v, but the table says otherwise", rec.Untrained)
	}
	d.Labels = slices.Repeat([]int{Unlabelled}, d.Len())
	if rec := recordOf(t, mustRun(t, d, Dataset{}, Options{Dimension: 16, Epochs: 1, Threads: 1})); rec.Options.Loss != LossNTXent.String() || rec.Untrained || rec.Options.Temperature != viewWarmth {
		t.Errorf("texts without labels: loss %s at temperature %g, untrained %v", rec.Options.Loss, rec.Options.Temperature, rec.Untrained)
	}
	one := d
	one.Labels = make([]int, d.Len())
	m = mustRun(t, one, Dataset{}, Options{Dimension: 16, Threads: 1})
	if rec := recordOf(t, m); !rec.Untrained || rec.Before != nil || !slices.Equal(m.Preprocessing.Text.Table(16), m.Weights[0]) {
		t.Errorf("texts of one class: untrained %v, %v before", rec.Untrained, rec.Before)
	}
	if rec := recordOf(t, mustRun(t, one, Dataset{}, Options{Dimension: 16, Epochs: 1, Threads: 1, Loss: LossNTXent.String()})); rec.Untrained {
		t.Error("texts of one class are not trained with a loss that was asked for")
	}
	one.Pairs = []Pair{{"0", "4", 1}, {"0", "1", 0}, {"1", "5", 1}, {"1", "2", 0}}
	if rec := recordOf(t, mustRun(t, one, Dataset{}, Options{Dimension: 16, Epochs: 1, Threads: 1})); rec.Untrained || rec.Options.Loss != LossPairs.String() {
		t.Errorf("pairs of texts of one class are not learned from: loss %s", rec.Options.Loss)
	}
	for name, bad := range map[string]Options{"size": {Size: 32}, "variants": {Variants: VariantsTurned}, "robust": {Robust: DefaultRobust()}, "augmentation": {Augmentation: &Augmentation{Flip: 0.5}}, "loss": {Loss: "pairs"}} {
		if _, err := Run(t.Context(), d, Dataset{}, bad); !errors.Is(err, ErrOptions) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTextBaseline: TF-IDF vectors of the words alone: runs of characters and pairs do not count.
func TestTextBaseline(t *testing.T) {
	d := pairedTexts(60, 3)
	var cosines [2]float64
	for i, g := range []encoder.Grams{{}, {Gap: 3, Shortest: 3, Longest: 5}} {
		p, err := preprocessTexts(d, g)
		if err != nil {
			t.Fatal(err)
		}
		decoder, err := p.Decoder()
		if err != nil {
			t.Fatal(err)
		}
		_, features, err := Decode(t.Context(), decoder, d, nil)
		if err != nil {
			t.Fatal(err)
		}
		rows, _ := tfidfVectors(p, features, nil)
		if length := dot(rows.Row(0), rows.Row(0)); math.Abs(length-1) > 1e-5 {
			t.Errorf("length %g", length)
		}
		cosines[i] = dot(rows.Row(0), rows.Row(1))
	}
	if math.Abs(cosines[0]-cosines[1]) > 0.1 {
		t.Errorf("cosine %.3f of words, %.3f where more is looked at", cosines[0], cosines[1])
	}
}

// TestTextModelFile: the file of a model of texts is read back and embeds alike.
func TestTextModelFile(t *testing.T) {
	d := pairedTexts(60, 3)
	m := mustRun(t, d, Dataset{}, Options{Dimension: 16, Epochs: 1, Threads: 1})
	b, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var again encoder.Model
	if err := again.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	c, err := again.MarshalBinary()
	if err != nil || !bytes.Equal(b, c) {
		t.Errorf("it reads back as another, %v", err)
	}
	again.Preprocessing.Text.Rows--
	if err := again.Validate(); !errors.Is(err, encoder.ErrSpec) {
		t.Errorf("a vocabulary of another size: %v", err)
	}
	if !json.Valid(m.Record) {
		t.Error("the record is no JSON")
	}
}

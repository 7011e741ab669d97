package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
	"github.com/akin-search/akin/train"
)

// trained is the result of akin train.
type trained struct {
	Model        string        `json:"model"`
	ModelID      string        `json:"model_id"`
	Items        int           `json:"items"`
	Held         int           `json:"validation_items"`
	Classes      int           `json:"classes"`
	Curve        []train.Epoch `json:"curve"`
	TrainSeconds float64       `json:"train_seconds"`
}

func newTrain(a *app) *cobra.Command {
	var w workspace
	var o train.Options
	var in source
	var pairs, from, config string
	var robust, force, patches, oneClass bool
	c := &cobra.Command{
		Use:   "train --data DIR",
		Short: "Train an encoder on your own images, sounds, texts or rows",
		Long: `Train a contrastive Siamese encoder and write it to a model file.

The data is a folder with one sub-folder a class, or a flat folder without labels (the loss is then ntxent: two
augmentations of one item are alike). Or a manifest, a CSV file of path,label or path,label,split, or a JSON object with these a line
(.jsonl): paths are relative to it, an empty label is none, rows of split test are left for akin eval, and rows of split validation are kept aside in
place of a share of all.

Or only a few items have a label, even one of each class: leave the others loose in the folder itself, or without a label in the manifest, or
name the labels in a file, --labels LIST.csv. Training then has two stages: it learns from all items, spreads the labels to those that lie
close, and learns from these.

Where all items are of one class, or with --one-class, they are what is normal: training then takes copies that are turned, cut up, squeezed or
bent for what is not (of pictures; of sounds, copies that are played backwards, in another pitch, muffled or in parts silent; of rows, copies with
values from other rows). Where all are of one class, verdicts then go by the distance to the nearest items. Texts of one class are not trained on: the
model is TF-IDF.

PNG, JPEG, GIF (the first frame), BMP, TIFF and WebP are known by their first bytes, whatever their names, and turned upright as their Exif
data say. Pictures of any size are fitted into a small square (--size, --fit): what is smaller than about a pixel there cannot be seen.
A folder of sounds (WAV, FLAC, MP3, OGG) is found to be one: of any rate and length, they are trained on in parts of up to a second, and the parts of a
sound are summed up when it is embedded. Of many classes of one sound each, as of speakers, the share held out is of classes: it scores pairs
for akin verify-pair.

Texts are .txt files in folders, or the cells of a list: text,label or text_a,text_b,score, where a score is a grade or 1 and 0. Without scores,
as of questions and their duplicates, all pairs are alike, and what no pair connects is not. Columns of other names do too, if one has sentences
and no more than one other column, the label, is there. What is looked at besides words, pairs of words or runs of characters, a short trial finds
out. A model starts as TF-IDF and is never worse on what is held out: where training hurts, it stays what it was.

A table is a file of rows: CSV (with a line of names or without), a JSON object or array a line (.jsonl), Parquet, NPY, NPZ (X, and y if there are labels),
fvecs or bvecs; sensors, for example, or embeddings made by another model. Numbers, categories and missing values are told apart by what is there; a
column label, class, target or y, or the one that --label-column names, has the classes, a column split is as in a manifest, and a column id names the rows.

Every file that is left out is named with the reason. A share of the items is held out to follow the training, and later to calibrate
(akin ingest keeps the same items aside).

` + lossHelp + `

Where the embeddings collapse into a point or a line, or the loss diverges, training says so, goes back to where it was well, and tries
with half the rate, a warmer softmax and a smaller margin; it gives up after eight times in a row.

--from starts with the weights of a model, for new classes or a new domain with little data; --freeze keeps its first layers.
With --patches every picture counts as that of a good part. A second network learns to tell small parts of these pictures, at up to 512
pixels a side, from the same with defects made up: spots, scratches, shades, pasted pieces; beside it, pictures are compared as a whole with
those that taught. The pictures held out calibrate its verdicts, so that --holdout decides how small an alpha can be. It sees light, not colour, and
every picture at the same mean light.

--config takes a JSON file of options, as a model's record has them; flags go before it.

The data may be larger than memory: a gigabyte of files stays there, the others are read when they are wanted, and what is made of them for
the network goes to disk beyond --max-memory.

Ctrl-C stops between two steps and leaves a checkpoint; --resume goes on from it to the same result.`,
		Example: `  akin train --data photos/                       # photos/CLASS/*.jpg
  akin train --data scans/ --loss ntxent          # no labels needed
  akin train --data good-parts/ --one-class       # all that is there is normal
  akin train --data parts/ --pairs pairs.csv      # 0001.png,0007.png,1 and the like; no classes needed
  akin train --data list.csv --size 96 --fit crop # path,label,split
  akin train --data voices/                       # voices/SPEAKER/*.wav
  akin train --data intents.csv                   # text,label
  akin train --data questions.tsv                 # question1, question2, is_duplicate
  akin train --data sensors.csv                   # a row an item; --label-column state
  akin train --data images-idx3-ubyte.gz --labels labels-idx1-ubyte.gz --epochs 10
  akin train --data photos/ --labels few.csv      # lines of file,class; the other files have no label
  akin train --data good-parts/ --patches --holdout 0.3
  akin train --data photos/ --resume              # after Ctrl-C
  akin train --data new/ --dir new --from akin-data/model.akin --freeze 2`,
		Args: noArgs,
	}
	f := c.Flags()
	w.flags(c)
	in.flags(c)
	f.Float64Var(&o.Holdout, "holdout", 0.1, "share of the items held out, 0 to 0.5; a list with rows of split validation holds these out instead")
	f.StringVar(&o.Loss, "loss", "", strings.Join(train.LossNames(), ", ")+" ; or propagate: few labels, spread to the items without (default supcon with labels, propagate where most items have none, one-class with one class, ntxent without any)")
	f.BoolVar(&oneClass, "one-class", false, "all items are normal, whatever their labels: the same as --loss one-class; the default where all are of one class")
	f.StringVar(&o.Negatives, "negatives", "", "batch, random, hard, semi-hard, distance, memory or index; the default is the loss's own")
	f.StringVar(&pairs, "pairs", "", "CSV file of pairs to learn from in place of classes: id,id,1 (similar) or 0 (dissimilar); takes loss contrastive")
	f.Float64Var(&o.Temperature, "temperature", 0, "see above; default the loss's own")
	f.Float64Var(&o.Margin, "margin", 0, "see above; default the loss's own")
	f.IntVar(&o.Batch, "batch", 0, "items a step; default chosen by the number of items")
	f.IntVar(&o.Epochs, "epochs", 0, "times through the data; default 5, of ntxent 3, more with little data")
	f.Float64Var(&o.Rate, "rate", 0, "peak learning rate; default chosen by the batch")
	f.IntVar(&o.Size, "size", 0, "side in pixels of the square that pictures are fitted into; default their own size where it is one and at most 64, else 64")
	fitFlag(c, &o.Fit)
	modalityFlag(c, &o.Modality)
	f.IntVar(&o.Dimension, "dimension", 0, "length of the embedding; default 64, or that of the model to start from")
	f.Uint64Var(&o.Seed, "seed", 0, "of every random choice: the same seed and data give the same model")
	f.TextVar(&o.Precision, "precision", kernel.Float32, precisionHelp+"; weights and sums are float32")
	f.StringVar(&o.Variants, "variants", "", "changed pictures that are classes of their own: "+train.VariantNames+", each with those before it; turned by quarters, mirrored, joined from halves of two classes' pictures; the default is joined where many classes are of few drawings each")
	voicesFlag(c, &o.Voices)
	augmentFlag(c, &o.Augmentation)
	optimizerFlags(c, &o)
	f.StringVar(&from, "from", "", "model file to start from, with its preprocessing; only the length of the embedding may differ")
	f.IntVar(&o.Freeze, "freeze", 0, "so many of its first layers stay as they are")
	f.StringVar(&config, "config", "", "JSON file of training options")
	f.BoolVar(&robust, "robust", false, "corrupt half of the views (noise, blur, occlusion, contrast, shift, rotation, bending), for pictures worse than those of the training")
	f.BoolVar(&patches, "patches", false, "also learn to find small defects on surfaces, from pictures of good parts alone: akin score then judges by them, and draws heat maps")
	f.Var((*byteCount)(&o.Memory), "max-memory", "of the data as the network sees it, as in 2GiB or 800MiB: what is beyond it lies in a file without a name beside the model; 0 means 4GiB")
	f.BoolVar(&o.Resume, "resume", false, "go on from the checkpoint")
	f.BoolVar(&force, "force", false, "replace the model; collections of the old one can then no longer be searched")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := readConfig(c, &o, config); err != nil {
			return err
		}
		if oneClass {
			if c.Flags().Changed("loss") && o.Loss != train.LossOneClass.String() {
				return fmt.Errorf("--loss %s and --one-class: leave one of them out", o.Loss)
			}
			o.Loss = train.LossOneClass.String()
		}
		if err := checkHoldout(o.Holdout); err != nil {
			return err
		}
		if err := refuseZero(c, "batch", "epochs", "rate", "size", "temperature", "margin", "dimension", "momentum", "decay", "warmup", "ema", "accumulate", "clip", "patience"); err != nil {
			return err
		}
		if err := startFrom(&o, from); err != nil {
			return err
		}
		if _, err := os.Stat(w.modelPath()); err == nil && !force {
			return fmt.Errorf("%s exists, and its collections could no longer be searched: replace it by --force, or name another by --dir or --model", w.modelPath())
		}
		all, err := in.load(a, train.RowsTraining)
		if err != nil {
			return err
		}
		if pairs != "" {
			if all.Pairs, err = readPairs(pairs, all); err != nil {
				return err
			}
		}
		a.status("found %s", dataFound(all))
		o.Listed = all.Aside != nil
		rest, held, err := splitToTrain(all, o.Holdout, o.Seed)
		if err != nil {
			return err
		}
		if patches {
			if err := a.mayTeachPatches(rest, held, o); err != nil {
				return err
			}
		}
		if robust {
			o.Robust = train.DefaultRobust()
		}
		if err := os.MkdirAll(filepath.Dir(w.modelPath()), 0o755); err != nil {
			return err
		}
		o.Checkpoint = w.modelPath() + ".ckpt"
		o.Threads, o.Progress, o.Skip = w.threads, a.trainProgress(), a.skip
		o.Notice = func(b train.BackOff) {
			switch {
			case b.Ends:
				a.status("%s: no lower rate helps, and training ends with what epoch %d has learned; another loss or a larger batch may go further", b.Reason, b.To)
			case b.Unhelped:
				a.status("%s: no lower rate helps: training goes on from the end of epoch %d as it was. The labels may say little about the items; are they right?", b.Reason, b.To)
			case b.Negatives != "":
				a.status("%s: back to the end of epoch %d, rate %.3g, margin %.3g and %s negatives", b.Reason, b.To, b.Rate, b.Margin, b.Negatives)
			default:
				a.status("%s: back to the end of epoch %d, rate %.3g, temperature %.3g and margin %.3g where the loss has them", b.Reason, b.To, b.Rate, b.Temperature, b.Margin)
			}
		}
		o.Tried = func(t train.Tried) {
			a.status("a short trial of %s: validation %s %.4f", t.What, t.Measure, t.Value)
		}
		o.Begin = func(chosen train.Options) {
			a.status("%d items of %s; %d kept aside; %s; network of %d layers; augmentation %v; %s loss, batch %d, %d epochs",
				rest.Len(), classCounts(rest), held.Len(), features(chosen), len(chosen.Network.Layers), *chosen.Augmentation, chosen.Loss, chosen.Batch, chosen.Epochs)
			if chosen.Members > 1 {
				a.status("%d such networks learn, one after the other, and are joined", chosen.Members)
			}
			if chosen.Loss == train.LossOneClass.String() {
				a.status("all items are taken for normal; what is not is made of them: %s", strings.Join(chosen.Shifts, ", "))
			}
		}
		o.Staged = func(s train.Stage) {
			a.status("labels spread from %d items to %d more, of %d", s.Given, s.Found, rest.Len())
		}
		began := time.Now()
		m, err := train.Run(c.Context(), rest, held, o)
		if err != nil {
			return a.resumable(err, o.Checkpoint)
		}
		if err := train.ScorePairs(c.Context(), m, rest, held, o); err != nil {
			return a.resumable(err, o.Checkpoint)
		}
		if patches {
			if err := a.trainPatches(c.Context(), m, rest, held, o); err != nil {
				return a.resumable(err, o.Checkpoint)
			}
		}
		id, err := m.WriteFile(w.modelPath())
		if err != nil {
			return err
		}
		if err := os.Remove(o.Checkpoint); err != nil {
			return err
		}
		var rec train.Record
		if err := json.Unmarshal(m.Record, &rec); err != nil {
			return err
		}
		out := trained{Model: w.modelPath(), ModelID: id, Items: rec.Items, Held: rec.Validation, Classes: len(rec.Classes), Curve: rec.Curve, TrainSeconds: time.Since(began).Seconds()}
		next := fmt.Sprintf("ingest --dir %s --data %s", w.dir, in.data)
		if w.model != "" {
			next += " --model " + w.model
		}
		next += in.more()
		if patches {
			next = fmt.Sprintf("score --dir %s --heatmaps heat/ FOLDER, or akin %s", w.dir, next)
		}
		start := "TF-IDF"
		if o.Base != nil {
			start = from
		} else if m.Preprocessing.Modality == encoder.ModalityTable {
			start = "the distance by columns"
		}
		switch {
		case rec.Untrained && rec.Before == nil:
			a.status("texts of one class teach nothing about others: the model is %s as it was before", start)
		case rec.Untrained:
			a.status("training made it worse on the items held out: the model is %s as it was before, with a validation %s of %.4f", start, rec.MeasureName(), *rec.Before)
		}
		return a.print(out, func(wr io.Writer) error {
			_, err := fmt.Fprintf(wr, "%s: trained on %d items of %d classes in %.1f s\nmodel %s\nnext: akin %s\n", out.Model, out.Items, out.Classes, out.TrainSeconds, id, next)
			return err
		})
	}
	return c
}

// features says what the network is shown of the items.
func features(chosen train.Options) string {
	in := chosen.Network.Input
	if chosen.Modality == encoder.ModalityTable {
		d, err := chosen.Network.Dimension()
		if err != nil {
			return err.Error() // Run has validated it
		}
		kept := chosen.Network.Layers[0].Units
		return fmt.Sprintf("rows of %d features, of which the embedding keeps %d directions beside %d components that are learned", in.Channels, kept-1, d-kept)
	}
	if chosen.Modality == encoder.ModalityText {
		return fmt.Sprintf("texts as bags of %d known features, up to %d of a text at a time", chosen.Network.Layers[0].Rows, in.Width)
	}
	if chosen.Modality == encoder.ModalityAudio {
		text := fmt.Sprintf("sounds as %d mel bands, looked at %.2f s at a time", in.Height, float64(in.Width)*encoder.SoundHop/encoder.SoundRate)
		if chosen.Voices != nil && *chosen.Voices {
			text += ", and with all frequencies moved down and up as further classes"
		}
		return text
	}
	fit := encoder.FitLetterbox
	if chosen.Fit != nil {
		fit = *chosen.Fit
	}
	text := fmt.Sprintf("pictures fitted into %d×%d by %v, %s", in.Width, in.Height, fit, map[int]string{1: "grey", 3: "colour"}[in.Channels])
	if chosen.Variants != "" && chosen.Variants != train.VariantsNone {
		text += ", and " + chosen.Variants + " as further classes"
	}
	return text
}

// fitFlag adds --fit, which sets *fit, nil for auto.
func fitFlag(c *cobra.Command, fit **encoder.Fit) {
	c.Flags().Var(&choiceFlag{set: func(name string) error {
		if *fit = nil; name == "auto" {
			return nil
		}
		*fit = new(encoder.Fit)
		if (*fit).UnmarshalText([]byte(name)) != nil {
			return fmt.Errorf("fit %q: use auto, %s", name, encoder.FitNames())
		}
		return nil
	}}, "fit", "pictures into a square: "+encoder.FitNames()+"; letterbox shows all of them, between black bars, crop the middle, trim what stands out from a plain ground; auto, the default, is trim for lines on a plain ground and letterbox for others")
}

// modalityFlag adds --modality, which sets *m, "" for auto.
func modalityFlag(c *cobra.Command, m *string) {
	c.Flags().Var(&choiceFlag{set: func(name string) error {
		if *m = name; name == "auto" {
			*m = ""
		} else if !slices.Contains(train.Modalities, name) {
			return fmt.Errorf("modality %q: use auto, %s", name, strings.Join(train.Modalities, " or "))
		}
		return nil
	}}, "modality", "auto (what most of the items are, the default), "+strings.Join(train.Modalities, " or ")+"; items of another are skipped")
}

// voicesFlag adds --voices, which sets *v, nil for auto.
func voicesFlag(c *cobra.Command, v **bool) {
	c.Flags().Var(&choiceFlag{set: func(name string) error {
		switch yes := name == "on"; {
		case yes || name == "off":
			*v = &yes
		case name == "auto":
			*v = nil
		default:
			return fmt.Errorf("voices %q: use auto, on or off", name)
		}
		return nil
	}}, "voices", "take sounds with all frequencies moved down and up for classes of their own: on, off, or auto, the default: on where many classes are of long sounds, as of speakers. Three networks then learn apart and are joined")
}

// augmentFlag adds --augment, which sets *a, nil for auto.
func augmentFlag(c *cobra.Command, a **train.Augmentation) {
	c.Flags().Var(&choiceFlag{set: func(name string) (err error) {
		*a, err = train.ParseAugmentation(name)
		return err
	}}, "augment", "how items are changed at random: "+train.AugmentationNames+"; auto, the default, tries digits (moved, turned, bent) and photos (mirrored, moved a little) for a short while, and takes views (digits, and light from far too little to far too much) without labels, mild (moved and bent a little) for one class, sounds (cut, noise, another microphone, bands blotted out) for sounds, and texts (a part of what is looked at left out) for texts, and voices (the same without blotting out, and two views of a sound made of different pieces of it) for long ones")
}

// classCounts lists the classes with their items, the first few by name.
func classCounts(d train.Dataset) string {
	count := make([]int, len(d.Classes))
	for _, l := range d.Labels {
		if l != train.Unlabelled {
			count[l]++
		}
	}
	var list []string
	for c, n := range count {
		if n > 0 {
			list = append(list, fmt.Sprintf("%s %d", d.Classes[c], n))
		}
	}
	switch n := len(list); {
	case n == 0:
		return "no class"
	case n > 8:
		return fmt.Sprintf("%d classes (%s, …)", n, strings.Join(list[:8], ", "))
	case n == 1:
		return fmt.Sprintf("1 class (%s)", list[0])
	default:
		return fmt.Sprintf("%d classes (%s)", n, strings.Join(list, ", "))
	}
}

// resumable tells how to go on when a checkpoint is there.
func (a *app) resumable(err error, checkpoint string) error {
	hopeless := errors.Is(err, train.ErrCheckpoint) || errors.Is(err, train.ErrCollapsed) || errors.Is(err, train.ErrDiverged)
	if _, e := os.Stat(checkpoint); e == nil && !hopeless {
		a.status("stopped; the checkpoint is %s: run the same command with --resume to go on", checkpoint)
	}
	return err
}

// trainProgress shows progress: one line written over on a terminal, else a line an epoch.
func (a *app) trainProgress() func(train.Progress) {
	over := a.terminal()
	return func(p train.Progress) {
		line := fmt.Sprintf("epoch %d/%d  step %d/%d  loss %.4f  %.0f items/s  %s left", p.Epoch, p.Epochs, p.Step, p.Steps, p.Loss, p.ItemsPerSecond, p.Remaining.Round(time.Second))
		switch {
		case p.Step == p.Epoch*(p.Steps/p.Epochs):
			if p.Validation > -1 {
				line += fmt.Sprintf("  validation %s %.4f", p.Measure, p.Validation)
			}
			h := p.Health
			line += fmt.Sprintf("  variance %.2f, rank %.1f, alignment %.2f, uniformity %.2f", h.Variance, h.EffectiveRank, h.Alignment, h.Uniformity)
			if over {
				line = "\r" + pad(line)
			}
			a.status("%s", line)
		case over:
			fmt.Fprintf(a.stderr, "\r%s", pad(line))
		}
	}
}

// pad fills a line so that it covers the one it is written over.
func pad(s string) string { return s + strings.Repeat(" ", max(0, 100-len(s))) }

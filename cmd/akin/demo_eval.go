package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"image"
	"image/png"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
	"github.com/akin-search/akin/index"
	"github.com/akin-search/akin/train"
)

// demoPairs is how many pairs of test images are compared.
const demoPairs = 100_000

// evaluate measures on the test images: known digits and the unseen one, which may be empty.
func (d *demo) evaluate(ctx context.Context, e *encoder.Encoder, col *index.Collection, known, unseen train.Dataset) error {
	d.status("evaluating on %d test images", known.Len()+unseen.Len())
	var base [][]float32
	var labels []int
	classes := map[string]int{}
	for i, c := range known.Classes {
		classes[c] = i
	}
	if err := col.Each(ctx, func(p index.Point) error {
		base, labels = append(base, p.Vector), append(labels, classes[p.Label])
		return nil
	}); err != nil {
		return err
	}
	queries, err := e.Encode(ctx, known.Raw...)
	if err != nil {
		return err
	}
	strangers, err := e.Encode(ctx, unseen.Raw...)
	if err != nil {
		return err
	}
	r, qm := &d.report, kernel.MatrixOf(queries, e.Dimension())
	if r.KNNAccuracy, err = train.KNNAccuracy(ctx, kernel.MatrixOf(base, e.Dimension()), labels, qm, known.Labels, 5); err != nil {
		return err
	}
	pairs, err := train.VerifyPairs(qm, known.Labels, demoPairs, d.seed)
	if err != nil {
		return err
	}
	r.PairAUROC = pairs.AUROC
	graph, err := searchAll(ctx, col, queries, index.Params{})
	if err != nil {
		return err
	}
	exact, err := searchAll(ctx, col, queries, index.Params{Exact: true})
	if err != nil {
		return err
	}
	r.RecallAt10 = train.RecallAtK(graph, exact, 10)
	return d.judge(ctx, col.Detector(), queries, strangers)
}

// judge scores the test images with the detector.
func (d *demo) judge(ctx context.Context, det *index.Detector, known, unseen [][]float32) error {
	d.report.Alpha = index.DefaultAlpha
	verdicts := func(vectors [][]float32) (scores []float64, alarms float64, err error) {
		for _, v := range vectors {
			verdict, err := det.Verdict(ctx, v, d.report.Alpha)
			if err != nil {
				return nil, 0, err
			}
			scores = append(scores, verdict.Score)
			if verdict.Anomaly {
				alarms++
			}
		}
		return scores, alarms / float64(max(1, len(vectors))), nil
	}
	normal, alarms, err := verdicts(known)
	if err != nil {
		return err
	}
	d.report.FalseAlarmRate = alarms
	if len(unseen) == 0 {
		return nil
	}
	strange, detected, err := verdicts(unseen)
	if err != nil {
		return err
	}
	auroc, err := train.AUROC(normal, strange)
	d.report.AnomalyAUROC, d.report.Detection = &auroc, &detected
	return err
}

// searchAll returns the ids of the 10 nearest points of each query.
func searchAll(ctx context.Context, col *index.Collection, queries [][]float32, p index.Params) ([][]string, error) {
	ids, failed := make([][]string, len(queries)), make([]error, len(queries))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(queries) || ctx.Err() != nil {
					return
				}
				hits, err := col.Search(ctx, queries[i], 10, p)
				failed[i] = err
				for _, h := range hits {
					ids[i] = append(ids[i], h.ID)
				}
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	for i, err := range failed {
		if err != nil {
			return nil, fmt.Errorf("query %d: %w", i, err)
		}
	}
	return ids, nil
}

// samples writes the first test image of a known digit, and of the unseen one, as PNG files to try the server with.
func (d *demo) samples(known, unseen train.Dataset) error {
	for name, set := range map[string]train.Dataset{"known.png": known, "unseen.png": unseen} {
		if set.Len() == 0 {
			continue
		}
		raw := set.Raw[0] // IDX: 4 bytes of magic, height, width, pixels
		h, w := int(binary.BigEndian.Uint32(raw[4:])), int(binary.BigEndian.Uint32(raw[8:]))
		var b bytes.Buffer
		if err := png.Encode(&b, &image.Gray{Pix: raw[12:], Stride: w, Rect: image.Rect(0, 0, w, h)}); err != nil {
			return err
		}
		if err := encoder.WriteFileAtomic(filepath.Join(d.dir, name), b.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// curls returns three commands to try on the server.
func (d *demo) curls(url string) string {
	stranger := "unseen.png"
	if d.unseen == noUnseen {
		stranger = "known.png"
	}
	file := func(name string) string {
		path, err := filepath.Abs(filepath.Join(d.dir, name))
		if err != nil {
			path = filepath.Join(d.dir, name) // still right from here
		}
		return path
	}
	return fmt.Sprintf(`curl -s %[1]s/search -H 'Content-Type: application/json' -d '{"query": "%[2]s", "limit": 3}'
curl -s %[1]s/search -F 'input=@%[3]s' -F limit=3
curl -s %[1]s/anomaly -F 'input=@%[4]s' -F alpha=0.05
`, url, d.report.Sample, file("known.png"), file(stranger))
}

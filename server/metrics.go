package server

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/akin-search/akin/index"
)

// plainText is a result that is sent as it is, without an envelope.
type plainText string

// metricsType is the text format of Prometheus (prometheus.io/docs/instrumenting/exposition_formats).
const metricsType = "text/plain; version=0.0.4; charset=utf-8"

// family is a metric with a sample for each collection, or several.
type family struct {
	name, kind, help string
	samples          []string
}

func (f *family) add(value float64, labels ...string) {
	var b strings.Builder
	for i := 0; i < len(labels); i += 2 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%s=%s", labels[i], strconv.Quote(labels[i+1])) // names of collections and numbers: nothing to escape
	}
	f.samples = append(f.samples, fmt.Sprintf("%s{%s} %s", f.name, b.String(), strconv.FormatFloat(value, 'g', -1, 64)))
}

// metrics tells Prometheus how the collections are: sizes, recall, alarms and drift.
func (s *Server) metrics(context.Context, *fiber.Ctx) (any, error) {
	points := &family{name: "akin_points", kind: "gauge", help: "Points of a collection."}
	calibration := &family{name: "akin_calibration_items", kind: "gauge", help: "Points kept aside to calibrate the anomaly detector."}
	stale := &family{name: "akin_detector_stale", kind: "gauge", help: "1 while the detector does not know the last writes."}
	verdicts := &family{name: "akin_verdicts_total", kind: "counter", help: "Verdicts on new items since the start or the last calibration."}
	alarms := &family{name: "akin_alarms_total", kind: "counter", help: "Verdicts with a p-value up to alpha."}
	rate := &family{name: "akin_alarm_rate", kind: "gauge", help: "Share of alarms; alpha bounds it for data like the known."}
	low := &family{name: "akin_alarm_rate_low", kind: "gauge", help: "Lower bound of the alarm rate, 95 %."}
	high := &family{name: "akin_alarm_rate_high", kind: "gauge", help: "Upper bound of the alarm rate, 95 %."}
	drift := &family{name: "akin_drift_alarm", kind: "gauge", help: "1 once what is judged is no longer like the known data, until calibration."}
	statistic := &family{name: "akin_drift_statistic", kind: "gauge", help: "Evidence of drift; there is an alarm when it reaches the mean time between false alarms."}
	time := &family{name: "akin_drift_mean_time", kind: "gauge", help: "Mean number of verdicts between false drift alarms, at least."}
	checked := &family{name: "akin_recall_checked_total", kind: "counter", help: "Searches that were answered exactly, too."}
	recall := &family{name: "akin_recall", kind: "gauge", help: "Live recall@k of the last checked searches."}
	recallLow := &family{name: "akin_recall_low", kind: "gauge", help: "Lower bound of the live recall, 95 %."}
	recallHigh := &family{name: "akin_recall_high", kind: "gauge", help: "Upper bound of the live recall, 95 %."}
	for _, name := range s.opt.Store.Names() {
		col, err := s.opt.Store.Collection(name)
		if errors.Is(err, index.ErrNotFound) { // dropped since
			continue
		}
		if err != nil {
			return nil, err
		}
		points.add(float64(col.Len()), "collection", name)
		calibration.add(float64(col.Aside(index.RoleCalibration)), "collection", name)
		if col.Detector() != nil {
			w := col.Watched()
			stale.add(number01(col.Stale()), "collection", name)
			verdicts.add(float64(w.Judged), "collection", name)
			drift.add(number01(w.Drift.Alarm), "collection", name)
			statistic.add(w.Drift.Statistic, "collection", name)
			time.add(w.Drift.MeanTime, "collection", name)
			for _, a := range w.Alarms {
				labels := []string{"collection", name, "alpha", strconv.FormatFloat(a.Alpha, 'g', -1, 64)}
				alarms.add(float64(a.Alarms), labels...)
				rate.add(a.Rate, labels...)
				low.add(a.Low, labels...)
				high.add(a.High, labels...)
			}
		}
		r := col.Recall()
		checked.add(float64(r.Checked), "collection", name)
		for _, live := range r.Live {
			labels := []string{"collection", name, "k", strconv.Itoa(live.K)}
			recall.add(live.Recall, labels...)
			recallLow.add(live.Low, labels...)
			recallHigh.add(live.High, labels...)
		}
	}
	var b strings.Builder
	for _, f := range []*family{points, calibration, stale, verdicts, alarms, rate, low, high, drift, statistic, time, checked, recall, recallLow, recallHigh} {
		if len(f.samples) > 0 {
			fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n%s\n", f.name, f.help, f.name, f.kind, strings.Join(f.samples, "\n"))
		}
	}
	return plainText(b.String()), nil
}

func number01(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

package benchmarks

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/akin-search/akin/encoder/kernel"
)

// Measures are named figures of one run, or medians of several.
type Measures map[string]float64

// String lists the measures by name.
func (m Measures) String() string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%s %.4g", key, m[key]))
	}
	return strings.Join(parts, ", ")
}

// add adds the numbers of a struct by their JSON names.
func (m Measures) add(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var fields map[string]any
	if err := json.Unmarshal(b, &fields); err != nil {
		return err
	}
	for key, field := range fields {
		if x, ok := field.(float64); ok {
			m[key] = x
		}
	}
	return nil
}

// LearnReport is the result of Learn. Its JSON has the medians at the top level, beside min, max and what was measured.
type LearnReport struct {
	Dataset    string
	Protocol   string
	Seeds      int
	Threads    int
	Device     string
	Validation bool // measured on training images kept aside, not on the test images
	Limit      int  // training images, 0 for all
	Median     Measures
	Min, Max   Measures
}

// newLearnReport takes the medians of runs, which all have the same keys.
func newLearnReport(o LearnOptions, runs []Measures) (LearnReport, error) {
	r := LearnReport{Dataset: o.Dataset, Protocol: o.Protocol, Seeds: len(runs), Validation: o.Validation, Limit: o.Limit,
		Median: Measures{}, Min: Measures{}, Max: Measures{}}
	dev, err := kernel.NewCPU(o.Train.Threads)
	if err != nil {
		return r, err
	}
	r.Device, r.Threads = dev.Name(), o.Train.Threads
	if err := dev.Close(); err != nil {
		return r, err
	}
	for i, run := range runs {
		if len(run) != len(runs[0]) {
			return r, fmt.Errorf("protocol %s: run %d has %d measures, the first %d", o.Protocol, i, len(run), len(runs[0]))
		}
	}
	for key := range runs[0] {
		var values []float64
		for i, run := range runs {
			v, ok := run[key]
			if !ok || math.IsNaN(v) || math.IsInf(v, 0) {
				return r, fmt.Errorf("protocol %s: run %d has no finite %s", o.Protocol, i, key)
			}
			values = append(values, v)
		}
		r.Median[key], r.Min[key], r.Max[key] = rounded(median(values), 4), rounded(slices.Min(values), 4), rounded(slices.Max(values), 4)
	}
	return r, nil
}

// MarshalJSON implements json.Marshaler.
func (r LearnReport) MarshalJSON() ([]byte, error) {
	flat := map[string]any{"dataset": r.Dataset, "protocol": r.Protocol, "seeds": r.Seeds, "threads": r.Threads, "device": r.Device,
		"validation": r.Validation, "limit": r.Limit, "min": r.Min, "max": r.Max}
	for key, v := range r.Median {
		if _, taken := flat[key]; taken {
			return nil, fmt.Errorf("protocol %s: a measure is called %s, which is a field of the report", r.Protocol, key)
		}
		flat[key] = v
	}
	return json.Marshal(flat)
}

// WriteTable writes the report for people.
func (r LearnReport) WriteTable(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s: medians of %d seeds on the %s, %s, %d threads\n\n", r.Dataset, r.Protocol, r.Seeds, measuredOn(r.Validation), r.Device, r.Threads)
	t := tabwriter.NewWriter(&b, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "measure\tmedian\tmin\tmax\t")
	for _, key := range slices.Sorted(maps.Keys(r.Median)) {
		fmt.Fprintf(t, "%s\t%.4f\t%.4f\t%.4f\t\n", key, r.Median[key], r.Min[key], r.Max[key])
	}
	t.Flush() // into memory: nothing to fail
	_, err := io.WriteString(w, b.String())
	return err
}

// measuredOn names the images that a report is about.
func measuredOn(validation bool) string {
	if validation {
		return "validation images"
	}
	return "test images"
}

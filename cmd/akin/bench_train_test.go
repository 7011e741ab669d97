package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
)

// TestBenchNumbers: the commands that measure arithmetic print what their help promises.
func TestBenchNumbers(t *testing.T) {
	for _, c := range []struct {
		args string
		keys []string
		text []string
	}{
		{"train --network mlp --batch 16 --steps 5 --warmup 1",
			[]string{"network", "batch", "threads", "device", "precision", "steps", "step_ms", "cpu_ms", "samples_per_second", "gflops", "peak_gflops", "fraction_of_peak", "allocs_per_step", "bytes_per_step", "parameters"},
			[]string{"mlp: 242112 parameters, batch 16, 1 threads", "of the peak"}},
		{"encode --network cnn --items 20 --batch 32 --rounds 1 --threads 1",
			[]string{"network", "device", "items", "p50_us", "p99_us", "png_p50_us", "png_p99_us", "threads", "batch", "images_per_second", "gflops", "peak_gflops", "fraction_of_peak"},
			[]string{"cnn on 28×28 images", "batches of 32 on 1 threads"}},
		{"gemm --size 48 --rounds 1",
			[]string{"size", "device", "gflops", "peak_gflops", "fraction_of_peak"},
			[]string{"product of two 48×48 matrices"}},
	} {
		args := strings.Fields(c.args)
		stdout, stderr, code, _ := runBench(t, context.Background(), append(args, "--json")...)
		if code != 0 {
			t.Fatalf("%s: %d %s", c.args, code, stderr)
		}
		var got map[string]any
		if err := json.Unmarshal([]byte(stdout), &got); err != nil {
			t.Fatalf("%s: %v in %s", c.args, err, stdout)
		}
		for _, k := range c.keys {
			if _, ok := got[k]; !ok {
				t.Errorf("%s: no %s in %s", c.args, k, stdout)
			}
		}
		if len(got) != len(c.keys) {
			t.Errorf("%s: %d keys, want %d: %s", c.args, len(got), len(c.keys), stdout)
		}
		stdout, stderr, code, _ = runBench(t, context.Background(), args...)
		if code != 0 {
			t.Fatalf("%s: %d %s", c.args, code, stderr)
		}
		for _, want := range c.text {
			if !strings.Contains(stdout, want) {
				t.Errorf("%s: no %q in %s", c.args, want, stdout)
			}
		}
	}
}

func TestBenchNumbersRefuse(t *testing.T) {
	for args, want := range map[string]string{
		"train --network vgg":   `network "vgg": use one of mlp, cnn, default, resnet`,
		"train --steps 0":       "--steps 0: use 1 or more",
		"train --precision fp8": `precision "fp8": use float32 or bf16`,
		"train --batch 1":       "batch of 1: it must be 2",
		"train --threads -1":    "--threads -1: it must not be negative",
		"encode --items 0":      "--items 0: use 1 or more",
		"encode --network x":    `network "x": use one of`,
		"gemm --size 9999":      "size 9999: it must be 1 to 4096",
		"gemm --size 0":         "--size 0: use 1 or more",
	} {
		stdout, stderr, code, _ := runBench(t, context.Background(), strings.Fields(args)...)
		if code != 1 || stdout != "" || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit code %d, %q", args, code, stderr)
		}
	}
}

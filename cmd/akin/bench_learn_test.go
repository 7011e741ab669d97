package main

import (
	"context"
	"strings"
	"testing"
)

func TestBenchLearnRefuses(t *testing.T) {
	for args, want := range map[string]string{
		"--protocol telepathy":                    `protocol "telepathy": invalid option: use one of supervised`,
		"--dataset gmm":                           `data set "gmm": invalid option: protocol supervised measures on mnist, fashion-mnist`,
		"--seeds 0":                               "--seeds 0: use 1 or more",
		"--epochs 0":                              "--epochs 0: use 1 or more",
		"--augment heavy":                         `augmentation "heavy": use auto, digits, photos, views, mild, sounds, voices, texts, rows or none`,
		"--dataset omniglot --protocol one-shot":  "pass --data DIR with images_background_small1.zip",
		"--dataset fashion-mnist --data /nowhere": "no train-images",
	} {
		_, stderr, code, _ := runBench(t, context.Background(), append([]string{"learn"}, strings.Fields(args)...)...)
		if code != 1 || !strings.Contains(stderr, want) {
			t.Errorf("%s: %d %s, want %q", args, code, stderr, want)
		}
	}
}

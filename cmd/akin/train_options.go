package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/train"
)

// optimizerFlags adds how the weights move.
func optimizerFlags(c *cobra.Command, o *train.Options) {
	f := c.Flags()
	f.StringVar(&o.Optimizer, "optimizer", "", "adamw, sgd, nesterov or lars (for large batches); default adamw")
	f.Float64Var(&o.Momentum, "momentum", 0, "of sgd, nesterov and lars; default 0.9")
	f.Float64Var(&o.Decay, "decay", 0, "weight decay; default 0.0001")
	f.Float64Var(&o.Warmup, "warmup", 0, "share of the steps in which the rate rises, before it falls along a cosine; default 0.05")
	f.Float64Var(&o.EMA, "ema", 0, "validate and save the moving average of the weights, of this decay, as in 0.99; default the last weights")
	f.IntVar(&o.Accumulate, "accumulate", 0, "batches a step: for a mean gradient over more items than fit at once; a contrastive loss still sees only the negatives within each batch")
	f.Float64Var(&o.Clip, "clip", 0, "scale gradients down that are longer than this, all weights together; default never")
	f.IntVar(&o.Patience, "patience", 0, "stop after so many epochs without a better validation accuracy, and keep the best one's model; default all epochs. The rate falls over --epochs all the same")
}

// startFrom reads the model of --from into the options; path is "" without.
func startFrom(o *train.Options, path string) (err error) {
	if path == "" {
		if o.Freeze != 0 {
			return fmt.Errorf("--freeze %d: there are no layers to keep: name the model to start from by --from", o.Freeze)
		}
		return nil
	}
	if o.Base, o.From, err = encoder.ReadModel(path); err != nil {
		return fmt.Errorf("--from: %w", err)
	}
	return nil
}

// readConfig takes over the options of a JSON file, but for those that flags set.
func readConfig(c *cobra.Command, o *train.Options, path string) error {
	if path == "" {
		return nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	given := map[string]string{}
	c.Flags().Visit(func(f *pflag.Flag) { given[f.Name] = f.Value.String() })
	o.Augmentation = nil // or the file's would be mixed with it
	d := json.NewDecoder(bytes.NewReader(content))
	d.DisallowUnknownFields()
	if err := d.Decode(o); err != nil {
		return fmt.Errorf("--config %s: %w: it must be an object of training options, as akin tune writes it", path, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("--config %s: there is more after the object of training options", path)
	}
	for name, value := range given {
		if err := c.Flags().Set(name, value); err != nil {
			return err
		}
	}
	return nil
}

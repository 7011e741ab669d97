package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/akin-search/akin/benchmarks"
	"github.com/akin-search/akin/train"
)

func newBenchSurface(a *app) *cobra.Command {
	var w workspace
	var o benchmarks.SurfaceOptions
	var data string
	c := &cobra.Command{
		Use:   "surface --data DIR --normal CLASS",
		Short: "Measure how well a model with patches finds defects",
		Long: `Measure a model of akin train --patches on pictures that it has not seen, a sub-folder a kind of defect and one for those without: the
AUROC of pictures, of each kind and of all, the rate of false alarms at alpha 0.01, 0.05 and 0.1 as far as the calibration supports it, and,
where there are masks, the AUROC of pixels. The mask of 7.jpg is 7.png beside it, white where the defect is.

--crop leaves the middle of every picture, of one size, so that sizes cannot tell what is a defect; pictures smaller than that, and those
of whose defect nothing is left, are left out.`,
		Example: `  akin bench surface --data tiles/ --normal free
  akin bench surface --data tiles/ --normal free --crop 128 --json`,
		Args: noArgs,
	}
	w.flags(c)
	c.Flags().StringVar(&data, "data", "", "folder of pictures, one sub-folder a class, masks beside")
	c.Flags().StringVar(&o.Normal, "normal", "good", "the class without defects")
	c.Flags().IntVar(&o.Crop, "crop", 0, "side in pixels of the middle that is left of each picture; 0 is all of it")
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		e, err := w.encoder()
		if err != nil {
			return err
		}
		if o.Data, err = (source{data: data}).load(a, train.RowsTest); err != nil {
			return err
		}
		shown := time.Now()
		o.Progress = func(done, all int) {
			if time.Since(shown) > 5*time.Second {
				shown = time.Now()
				a.status("scored %d of %d", done, all)
			}
		}
		r, err := benchmarks.MeasureSurface(c.Context(), e, o)
		if err != nil {
			return err
		}
		return a.print(r, r.WriteTable)
	}
	return c
}

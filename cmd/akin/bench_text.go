package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/akin-search/akin/benchmarks"
)

func newBenchText(a *app) *cobra.Command {
	var o benchmarks.TextOptions
	c := &cobra.Command{
		Use:   "text --data DIR",
		Short: "Measure what training on texts reaches",
		Long: `Train on sets of texts as akin train does, with nothing set, and measure as akin eval and akin score do, beside TF-IDF: graded pairs (STS
benchmark), paraphrases that have the words of other sentences (PAWS, of which a fifth is the
test, without a sentence that training has), intents with texts of none (CLINC150, whose
validation part is the test), and intents of one domain (BANKING77).

--data names a folder with text_stsb/sts-{train,dev,test}.csv.gz, text_paws/paws_wiki_final_dev.tsv.gz, text_clinc/clinc150_train_val.json.gz
and text_banking77/{train,test}.csv.gz, as their authors publish them. --validation measures on the development part, or a sixth of the training
part, and leaves the test part alone: choose by it, and measure once without it.`,
		Example: `  akin bench text --data texts/ --json
  akin bench text --data texts/ --set stsb --validation`,
		Args: cobra.NoArgs,
	}
	f := c.Flags()
	f.StringVar(&o.Dir, "data", "", "folder of the data sets")
	f.StringSliceVar(&o.Sets, "set", nil, strings.Join(benchmarks.TextSets, ", ")+" (default all)")
	f.BoolVar(&o.Validation, "validation", false, "measure on what is kept aside of the training part, not on the test part")
	f.Uint64Var(&o.Train.Seed, "seed", 0, "of every random choice")
	f.IntVar(&o.Train.Threads, "threads", 0, "threads; 0 means one a core")
	if err := c.MarkFlagRequired("data"); err != nil {
		panic(err) // the flag is there
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		o.Progress = a.status
		r, err := benchmarks.Text(c.Context(), o)
		if err != nil {
			return err
		}
		return a.print(r, r.WriteTable)
	}
	return c
}

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/akin-search/akin/index"
)

func newVerify(a *app) *cobra.Command {
	var dir string
	var o index.VerifyOptions
	c := &cobra.Command{
		Use:   "verify",
		Short: "Check everything that is stored, and mend what can be mended",
		Long: `Check the collections of a folder that no process has open: the files of the database, every point, every raw input, the
snapshots, and that each graph holds its points and finds them. Snapshots that are damaged are made again, leftovers of a
crash are deleted. What cannot be mended is named, and the exit code is then 1: restore a backup, or let --drop-damaged put a
copy of the rest in the place of the damaged store, which stays beside it.`,
		Example: `  akin verify
  akin verify --dir akin-data --json
  akin verify --drop-damaged`,
		Args: noArgs,
	}
	c.Flags().StringVar(&dir, "dir", "akin-data", "folder of the collections (db)")
	c.Flags().IntVar(&o.Threads, "threads", 0, "threads; 0 means one a core")
	c.Flags().BoolVar(&o.DropDamaged, "drop-damaged", false, "leave out what is damaged beyond mending")
	c.RunE = func(c *cobra.Command, _ []string) error {
		db := filepath.Join(dir, "db")
		if _, err := os.Stat(db); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("there are no collections in %s: name their folder by --dir (%w)", dir, fs.ErrNotExist)
		}
		o.Logger = a.logger()
		report, err := index.Verify(c.Context(), db, o)
		if errors.Is(err, index.ErrLocked) {
			return fmt.Errorf("%w: is akin serve running on it? Stop it first (%w)", index.ErrLocked, err)
		}
		if err != nil {
			return err
		}
		if err := a.print(report, func(w io.Writer) error { return writeReport(w, report) }); err != nil {
			return err
		}
		if n := report.Damaged(); n > 0 {
			return fmt.Errorf("%d of %d findings were not mended: %w", n, len(report.Findings), index.ErrCorrupt)
		}
		return nil
	}
	return c
}

func writeReport(w io.Writer, r *index.VerifyReport) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "collection\tpoints\traw inputs\tlinks\tunreachable\tfound by themselves")
	for _, c := range r.Collections {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d of %d\n", c.Name, c.Points, c.Raws, c.Links, c.Unreachable, c.Found, c.Sampled)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, f := range r.Findings {
		where, state := "", "DAMAGED"
		if f.Collection != "" {
			where = "collection " + f.Collection + ": "
		}
		if f.Point != "" {
			where += fmt.Sprintf("point %q: ", f.Point)
		}
		if f.Mended {
			state = "mended"
		}
		fmt.Fprintf(w, "%s  %s%s\n  %s\n", state, where, f.What, f.Mend)
	}
	if r.Kept != "" {
		fmt.Fprintf(w, "the damaged store is kept as %s\n", r.Kept)
	}
	if len(r.Findings) == 0 {
		fmt.Fprintln(w, "all is sound")
	}
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/akin-search/akin/index"
)

// formatCoder is the one format of akin import and akin export.
const formatCoder = "coder"

func checkFormat(flag, format string) error {
	if format != formatCoder {
		return fmt.Errorf("--%s %q: the one format is %s, saved graphs of github.com/coder/hnsw", flag, format, formatCoder)
	}
	return nil
}

// exchanged is the result of akin import and akin export.
type exchanged struct {
	Collection string       `json:"collection"`
	File       string       `json:"file"`
	Points     int          `json:"points"`
	Dimension  int          `json:"dimension"`
	Metric     index.Metric `json:"metric"`
}

func newImport(a *app) *cobra.Command {
	var w workspace
	var format, engine string
	c := &cobra.Command{
		Use:   "import --from coder FILE --collection NAME",
		Short: "Make a collection of a saved graph of github.com/coder/hnsw",
		Long: `Make a new collection of a graph that github.com/coder/hnsw v0.6.1 saved (Export or SavedGraph), with string keys and the
cosine or Euclidean distance. Ids and vectors are taken; the links are not, the collection makes its own. The file is checked
to its end before anything is made of it. The collection is of no model: ask it by vectors or ids.`,
		Example: `  akin import --from coder graph.hnsw --collection old
  akin serve --collection old
  curl -s -H 'Content-Type: application/json' -d '{"query":[0.1,0.2,0.3]}' 127.0.0.1:7700/search`,
		Args: cobra.ExactArgs(1),
	}
	w.flags(c)
	w.collectionFlag(c)
	c.Flags().StringVar(&format, "from", "", `format of FILE: "coder"`)
	c.Flags().StringVar(&engine, "engine", string(index.EngineGraph), "engine of the collection: graph, flat or coder")
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		if err := checkFormat("from", format); err != nil {
			return err
		}
		e, err := index.ParseEngine(engine)
		if err != nil {
			return fmt.Errorf("--engine: %w", err)
		}
		f, err := os.Open(args[0])
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		info, err := index.ReadCoder(f, nil)
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		if info.Points == 0 {
			return fmt.Errorf("%s holds no points: %w: save a graph with some", args[0], index.ErrInvalid)
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		s, err := w.store(a)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		col, err := s.Create(w.collection, index.Config{Dimension: info.Dimension, Metric: info.Metric, Engine: e})
		if errors.Is(err, index.ErrExists) {
			return fmt.Errorf("%w: name a new one by --collection", err)
		}
		if err != nil {
			return err
		}
		if err := importInto(c.Context(), col, f); err != nil {
			return errors.Join(fmt.Errorf("%s: %w; collection %q is dropped again", args[0], err, w.collection), s.Drop(w.collection))
		}
		out := exchanged{w.collection, args[0], col.Len(), info.Dimension, info.Metric}
		return a.print(out, func(wr io.Writer) error {
			_, err := fmt.Fprintf(wr, "collection %s: %d points of %d dimensions, %v, from %s\n", out.Collection, out.Points, out.Dimension, out.Metric, out.File)
			return err
		})
	}
	return c
}

// importInto fills a new collection from a file that was read to its end before.
func importInto(ctx context.Context, col *index.Collection, f io.Reader) error {
	var points []index.Point
	_, err := index.ReadCoder(f, func(id string, v []float32) error {
		points = append(points, index.Point{ID: id, Vector: append([]float32(nil), v...)})
		if len(points) < index.MaxAtomicPoints {
			return nil
		}
		err := col.Upsert(ctx, points)
		points = points[:0]
		return err
	})
	if err == nil {
		err = col.Upsert(ctx, points)
	}
	if err == nil {
		err = col.Snapshot(ctx)
	}
	return err
}

func newExport(a *app) *cobra.Command {
	var w workspace
	var format string
	c := &cobra.Command{
		Use:   "export --to coder FILE --collection NAME",
		Short: "Write a collection as a saved graph of github.com/coder/hnsw",
		Long: `Write the ids and vectors of a collection as a graph that github.com/coder/hnsw v0.6.1 reads (Import or LoadSavedGraph), with
string keys. Labels, payloads and raw inputs have no place in that file. It takes the time to build a graph of the collection.
FILE must not exist; it appears when it is complete.`,
		Example: `  akin export --to coder graph.hnsw --collection old`,
		Args:    cobra.ExactArgs(1),
	}
	w.flags(c)
	w.collectionFlag(c)
	c.Flags().StringVar(&format, "to", "", `format of FILE: "coder"`)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := checkFormat("to", format); err != nil {
			return err
		}
		if _, err := os.Lstat(args[0]); err == nil {
			return fmt.Errorf("%s: %w: remove it, or name another file", args[0], os.ErrExist)
		}
		var out exchanged
		err := w.withStore(a, func(s *index.Store) error {
			col, err := w.find(s)
			if err != nil {
				return err
			}
			out = exchanged{w.collection, args[0], col.Len(), col.Config().Dimension, col.Config().Metric}
			return writeWhole(args[0], func(wr io.Writer) error { return col.ExportCoder(c.Context(), wr) })
		})
		if err != nil {
			return err
		}
		return a.print(out, func(wr io.Writer) error {
			_, err := fmt.Fprintf(wr, "%s: %d points of %d dimensions, %v, of collection %s\n", out.File, out.Points, out.Dimension, out.Metric, out.Collection)
			return err
		})
	}
	return c
}

// writeWhole writes a file beside path and moves it there when it is complete and on the disk.
func writeWhole(path string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".akin-export-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err := errors.Join(write(f), f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

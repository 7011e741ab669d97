package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"

	"github.com/spf13/cobra"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/index"
	"github.com/akin-search/akin/server"
)

const defaultAddr = "127.0.0.1:7700"

func newServe(a *app) *cobra.Command {
	var w workspace
	var addr string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Answer over HTTP: POST /search and POST /anomaly",
		Long: `Serve the collections of a folder over HTTP until Ctrl-C. It listens on the loopback interface only, unless --addr says
otherwise; there is no access control yet, so say otherwise only on a network that you trust. An imported collection, which
is of no model, is served without one where there is none: to vectors and ids.`,
		Example: `  akin serve
  akin serve --dir akin-data --addr 127.0.0.1:8080
  curl -s -F input=@picture.png 127.0.0.1:7700/search`,
		Args: noArgs,
	}
	w.flags(c)
	w.collectionFlag(c)
	w.memoryFlag(c)
	c.Flags().StringVar(&addr, "addr", defaultAddr, "address to listen on")
	c.Flags().Float64Var(&w.shadowRate, "shadow-rate", 0.001, "share of the searches that are answered exactly, too, in the background: GET /collections/NAME then tells the live recall; 0 is off")
	c.Flags().Float64Var(&w.driftTime, "drift-time", index.DefaultDriftTime, "verdicts between two false drift alarms, on average at least: what is judged is watched for being unlike what calibrated, GET /metrics and /healthz tell")
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		if err := refuseZero(c, "drift-time"); err != nil {
			return err
		}
		e, missing := w.encoder()
		if missing != nil && !(errors.Is(missing, fs.ErrNotExist) && w.model == "" && w.hasStore()) {
			return missing
		}
		s, err := w.store(a)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		model := "" // imported points are of none
		if e != nil {
			model = e.ModelID()
		}
		col, err := w.open(s, model)
		if missing != nil && (errors.Is(err, index.ErrModel) || len(s.Names()) == 0) {
			return missing
		}
		if err != nil {
			return err
		}
		return a.serve(c.Context(), s, w.collection, e, addr, func(url string) {
			a.status("serving %d points of %q on %s (Ctrl-C ends)", col.Len(), w.collection, url)
		})
	}
	return c
}

// serve answers until ctx is cancelled, which is no error; ready is called once it listens. Without e it embeds nothing.
func (a *app) serve(ctx context.Context, s *index.Store, collection string, e *encoder.Encoder, addr string, ready func(url string)) error {
	o := server.Options{Store: s, Default: collection, Logger: a.logger()}
	if e != nil {
		o.Encoder = e
		p, err := pairScores(e)
		if err != nil {
			return err
		}
		if p != nil {
			o.Pairs = p.Different
		}
		switch e.Model().Preprocessing.Modality {
		case encoder.ModalityAudio:
			o.Sounds = e
		case encoder.ModalityImage:
			o.Places = e
		case encoder.ModalityText:
			o.Texts = e
		}
		if e.Model().Preprocessing.Modality == encoder.ModalityTable {
			o.Columns = e
		}
		if p := e.Model().Patches; p != nil && len(p.Calibration) > 0 {
			o.Surface, o.Normal = e, p.Calibration
		}
	}
	srv, err := server.New(o)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return listenError(addr, err)
	}
	ready("http://" + ln.Addr().String())
	return srv.Serve(ctx, ln)
}

// listenError names the mend of an address that cannot be listened on.
func listenError(addr string, err error) error {
	return fmt.Errorf("--addr %s: %w: is another akin running there? Name a free HOST:PORT, as in 127.0.0.1:7701", addr, err)
}

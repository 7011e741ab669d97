package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/akin-search/akin/index"
)

// cutGrace is what a request gets to end in once its context is cancelled and its connection cut.
const cutGrace = time.Second

// Server answers HTTP requests from a store.
type Server struct {
	opt     Options
	app     *fiber.App
	pairs   index.Conformal // of Options.Pairs
	base    context.Context // of every request
	cancel  context.CancelFunc
	serving atomic.Bool
}

// handler does the work of a request; what it returns goes into the envelope.
type handler func(ctx context.Context, c *fiber.Ctx) (result any, err error)

// routes are all paths, in the order in which a 404 names them.
var routes = []struct {
	method, path string
	handler      func(*Server) handler
}{
	{http.MethodPost, "/search", func(s *Server) handler { return s.search }},
	{http.MethodPost, "/anomaly", func(s *Server) handler { return s.anomaly }},
	{http.MethodPost, "/anomaly/batch", func(s *Server) handler { return s.anomalyBatch }},
	{http.MethodPost, "/anomaly/feedback", func(s *Server) handler { return s.feedback }},
	{http.MethodPost, "/classify", func(s *Server) handler { return s.classify }},
	{http.MethodPost, "/calibrate", func(s *Server) handler { return s.calibrate }},
	{http.MethodPost, "/embed", func(s *Server) handler { return s.embed }},
	{http.MethodPost, "/verify-pair", func(s *Server) handler { return s.verifyPair }},
	{http.MethodGet, "/collections", func(s *Server) handler { return s.collections }},
	{http.MethodGet, "/collections/:c", func(s *Server) handler { return s.collectionInfo }},
	{http.MethodPut, "/collections/:c/points", func(s *Server) handler { return s.upsert }},
	{http.MethodPost, "/collections/:c/points/query", func(s *Server) handler { return s.search }},
	{http.MethodPost, "/collections/:c/points/query/batch", func(s *Server) handler { return s.searchBatch }},
	{http.MethodPost, "/collections/:c/points/delete", func(s *Server) handler { return s.delete }},
	{http.MethodPost, "/collections/:c/anomaly", func(s *Server) handler { return s.anomaly }},
	{http.MethodPost, "/collections/:c/anomaly/batch", func(s *Server) handler { return s.anomalyBatch }},
	{http.MethodPost, "/collections/:c/anomaly/feedback", func(s *Server) handler { return s.feedback }},
	{http.MethodPost, "/collections/:c/classify", func(s *Server) handler { return s.classify }},
	{http.MethodPost, "/collections/:c/calibrate", func(s *Server) handler { return s.calibrate }},
	{http.MethodGet, "/metrics", func(s *Server) handler { return s.metrics }},
	{http.MethodGet, "/healthz", func(s *Server) handler { return s.health }},
	{http.MethodGet, "/livez", func(s *Server) handler { return s.live }},
	{http.MethodGet, "/readyz", func(s *Server) handler { return s.ready }},
}

var pathList = func() string {
	var list []string
	for _, r := range routes {
		list = append(list, r.method+" "+strings.ReplaceAll(r.path, ":c", "{c}"))
	}
	return strings.Join(list, ", ")
}()

// New makes the server of a store. The store stays the caller's and must outlive Serve.
func New(o Options) (*Server, error) {
	o.SetDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	s := &Server{opt: o, pairs: index.NewConformal(o.Pairs)}
	s.base, s.cancel = context.WithCancel(context.Background())
	s.app = fiber.New(fiber.Config{
		BodyLimit:                    o.BodyLimit,
		ReadBufferSize:               o.HeaderLimit,
		ReadTimeout:                  o.ReadTimeout,
		WriteTimeout:                 o.WriteTimeout,
		IdleTimeout:                  o.IdleTimeout,
		CaseSensitive:                true,
		DisablePreParseMultipartForm: true, // it writes large files to the disk
		DisableStartupMessage:        true,
		ErrorHandler:                 s.refuse,
	})
	for _, r := range routes {
		if r.method == http.MethodGet {
			s.app.Get(r.path, s.handle(r.handler(s))) // HEAD, too
			continue
		}
		s.app.Add(r.method, r.path, s.handle(r.handler(s)))
	}
	srv := s.app.Server()
	srv.Handler = s.guard(s.app.Handler())
	refuse := srv.ErrorHandler
	srv.ErrorHandler = func(ctx *fasthttp.RequestCtx, err error) {
		var network net.Error
		if c, ok := ctx.Conn().(*conn); ok && !errors.As(err, &network) {
			c.linger.Store(true) // the rest of the request is still to come
		}
		refuse(ctx, err)
	}
	return s, nil
}

// handle makes a fiber handler.
func (s *Server) handle(h handler) fiber.Handler {
	return func(c *fiber.Ctx) error {
		ctx, cancel := context.WithTimeout(s.base, s.opt.RequestTimeout)
		defer cancel()
		result, err := h(ctx, c)
		if err != nil {
			return err
		}
		if text, ok := result.(plainText); ok {
			c.Response().Header.SetContentType(metricsType)
			return c.SendString(string(text))
		}
		return reply(c, result)
	}
}

// guard stands around everything that a request can reach: a panic costs that request only.
func (s *Server) guard(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		defer func() {
			if p := recover(); p != nil {
				s.opt.Logger.Error("request panicked", slog.String("method", string(ctx.Method())), slog.String("path", string(ctx.Path())),
					slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
				s.refuseRaw(ctx, fiber.NewError(http.StatusInternalServerError, internalError))
			}
		}()
		if !slices.Contains(fiber.DefaultMethods, string(ctx.Method())) { // fiber would answer in plain text
			ctx.Response.Header.Set(fiber.HeaderAllow, "GET, HEAD, POST, PUT")
			s.refuseRaw(ctx, fiber.ErrMethodNotAllowed)
			return
		}
		next(ctx)
	}
}

// refuseRaw writes a failure where there is no fiber context.
func (s *Server) refuseRaw(ctx *fasthttp.RequestCtx, err error) {
	c := s.app.AcquireCtx(ctx)
	defer s.app.ReleaseCtx(c)
	if err := s.refuse(c, err); err != nil {
		ctx.SetStatusCode(http.StatusInternalServerError)
	}
}

// Serve answers requests on ln until ctx is cancelled, then lets those in flight finish within Options.ShutdownTimeout and
// returns nil, or an error if some had to be cut. It closes ln and may be called once. Nothing is left running, or the error
// says what.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	conns := newListener(ln)
	if s.serving.Swap(true) {
		return errors.Join(errors.New("server: Serve was called before: make another Server"), conns.Close())
	}
	defer s.cancel()
	served := make(chan error, 1)
	go func() { served <- s.app.Listener(conns) }()
	var err error
	select {
	case err = <-served: // the listener failed, or somebody closed it
	case <-ctx.Done():
		err = conns.Close()
		err = errors.Join(err, <-served)
	}
	if err != nil {
		err = fmt.Errorf("server: %w", err)
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.opt.ShutdownTimeout)
	defer cancel()
	conns.cut(true)
	overdue := s.app.ShutdownWithContext(stop)
	s.cancel()
	if n := conns.cut(false); overdue != nil {
		err = errors.Join(err, fmt.Errorf("server: %d connections were cut %v after the shutdown began: %w", n, s.opt.ShutdownTimeout, overdue))
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), cutGrace)
	defer cancel()
	if n := conns.drained(grace); n > 0 {
		err = errors.Join(err, fmt.Errorf("server: %d requests went on %v after they were cancelled", n, cutGrace))
	}
	return err
}

// collection returns the collection that a request names, or the default one.
func (s *Server) collection(c *fiber.Ctx) (*index.Collection, error) {
	name := c.Params("c")
	if name == "" {
		name = s.opt.Default
	}
	if name == "" {
		return nil, fmt.Errorf("default collection: %w: this server has none, name one: POST /collections/{c}/points/query or /collections/{c}/anomaly", index.ErrNotFound)
	}
	return s.opt.Store.Collection(name)
}

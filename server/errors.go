package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/index"
)

// Sentinels of this package; each has its row in statuses.
var (
	// errRequest: a body that is not what the endpoint reads.
	errRequest = errors.New("bad request")
	// errMedia: a body in a format that the endpoint does not read.
	errMedia = errors.New("unsupported media type")
	// errNoEncoder: an input, but no model to embed it.
	errNoEncoder = errors.New("no encoder")
	// errNotReady: requests would fail.
	errNotReady = errors.New("not ready")
)

// statuses maps sentinels to statuses, the first that matches. An error of no row is the server's own fault: 500, and its
// text goes to the log. An advice stands before the error's own text.
var statuses = []struct {
	err    error
	status int
	advice string
}{
	{err: context.Canceled, status: http.StatusServiceUnavailable, advice: "the server is shutting down, send the request again: "},
	{err: context.DeadlineExceeded, status: http.StatusServiceUnavailable, advice: "the request took longer than the server allows, ask for less at once: "},
	{err: index.ErrClosed, status: http.StatusServiceUnavailable, advice: "the server is shutting down, send the request again: "},
	{err: errNotReady, status: http.StatusServiceUnavailable},
	{err: index.ErrNotFound, status: http.StatusNotFound},
	{err: index.ErrExists, status: http.StatusConflict},
	{err: index.ErrModel, status: http.StatusConflict},
	{err: index.ErrNotCalibrated, status: http.StatusConflict},
	{err: index.ErrInvalid, status: http.StatusBadRequest},
	{err: index.ErrDimension, status: http.StatusBadRequest},
	{err: index.ErrNotFinite, status: http.StatusBadRequest},
	{err: index.ErrZeroVector, status: http.StatusBadRequest},
	{err: index.ErrFull, status: http.StatusInsufficientStorage},
	{err: index.ErrAlpha, status: http.StatusBadRequest},
	{err: encoder.ErrInput, status: http.StatusBadRequest},
	{err: errRequest, status: http.StatusBadRequest},
	{err: errMedia, status: http.StatusUnsupportedMediaType},
	{err: errNoEncoder, status: http.StatusBadRequest},
}

// refusal returns the status of an error and what the client is told.
func (s *Server) refusal(c *fiber.Ctx, err error) (int, string) {
	for _, row := range statuses {
		if errors.Is(err, row.err) {
			return row.status, row.advice + err.Error()
		}
	}
	var f *fiber.Error
	if errors.As(err, &f) {
		return f.Code, s.explain(c, f)
	}
	s.opt.Logger.Error("request failed", slog.String("method", c.Method()), slog.String("path", c.Path()), slog.Any("error", err))
	return http.StatusInternalServerError, internalError
}

// internalError is all that a client learns of a failure of the server.
const internalError = "internal error: the server's log has the cause"

// explain says what fiber and fasthttp say too shortly.
func (s *Server) explain(c *fiber.Ctx, f *fiber.Error) string {
	switch f.Code {
	case http.StatusNotFound:
		return fmt.Sprintf("%s %s: no such path: use one of %s", c.Method(), quoted(c.Request().URI().Path()), pathList)
	case http.StatusMethodNotAllowed:
		return fmt.Sprintf("%s on %s: method not allowed: use %s", shown(c.Context().Method()), quoted(c.Request().URI().Path()), c.GetRespHeader(fiber.HeaderAllow))
	case http.StatusRequestEntityTooLarge:
		return fmt.Sprintf("request body above the limit of %d bytes: send less at once", s.opt.BodyLimit)
	case http.StatusRequestHeaderFieldsTooLarge:
		return fmt.Sprintf("request line and headers above the limit of %d bytes: send fewer or shorter ones", s.opt.HeaderLimit)
	case http.StatusRequestTimeout:
		return fmt.Sprintf("the request did not come within %v: send it faster or in smaller parts", s.opt.ReadTimeout)
	case http.StatusBadRequest:
		return "not a valid HTTP request: " + f.Message
	}
	return f.Message
}

// badf makes an error about a request.
func badf(format string, a ...any) error { return requestError(fmt.Sprintf(format, a...)) }

type requestError string

func (e requestError) Error() string        { return string(e) }
func (e requestError) Is(target error) bool { return target == errRequest }

// at says where in a request an error is: at("points", at("[3]", err)) is "points[3]: …".
func at(place string, err error) error {
	if err == nil {
		return nil
	}
	if in, ok := err.(*placeError); ok {
		if !strings.HasPrefix(in.place, "[") {
			place += "."
		}
		return &placeError{place + in.place, in.err}
	}
	return &placeError{place, err}
}

type placeError struct {
	place string
	err   error
}

func (e *placeError) Error() string { return e.place + ": " + e.err.Error() }
func (e *placeError) Unwrap() error { return e.err }

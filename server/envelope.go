package server

import (
	"fmt"
	"math"
	"time"

	"github.com/goccy/go-json"
	"github.com/gofiber/fiber/v2"
)

// success and failure are the two shapes of an answer. Time is in seconds.
type success struct {
	Result any     `json:"result"`
	Status string  `json:"status"`
	Time   float64 `json:"time"`
}

type failure struct {
	Status failureStatus `json:"status"`
	Time   float64       `json:"time"`
}

type failureStatus struct {
	Error string `json:"error"`
}

// reply writes a success.
func reply(c *fiber.Ctx, result any) error {
	body, err := json.MarshalWithOption(success{result, "ok", elapsed(c)}, json.DisableHTMLEscape())
	if err != nil {
		return fmt.Errorf("result of %T: %w", result, err)
	}
	return send(c, fiber.StatusOK, body)
}

// refuse writes a failure. It is the error handler of the fiber app, so every refusal passes here.
func (s *Server) refuse(c *fiber.Ctx, cause error) error {
	status, text := s.refusal(c, cause)
	body, err := json.MarshalWithOption(failure{failureStatus{text}, elapsed(c)}, json.DisableHTMLEscape())
	if err != nil {
		return err
	}
	return send(c, status, body)
}

func send(c *fiber.Ctx, status int, body []byte) error {
	c.Response().SetStatusCode(status)
	c.Response().Header.SetContentType(fiber.MIMEApplicationJSON)
	c.Response().SetBodyRaw(body)
	return nil
}

// elapsed is the time since the request was read, in seconds, to the microsecond.
func elapsed(c *fiber.Ctx) float64 {
	start := c.Context().Time()
	if start.IsZero() { // the request was refused while it was read
		return 0
	}
	return math.Round(float64(time.Since(start))/1e3) / 1e6
}

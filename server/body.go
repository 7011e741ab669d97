package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// readJSON reads the body into o.
func readJSON(c *fiber.Ctx, o object) error {
	isForm, err := mediaType(c)
	if err != nil {
		return err
	}
	if isForm {
		return fmt.Errorf("Content-Type %q: %w here: send application/json", shown([]byte(c.Get(fiber.HeaderContentType))), errMedia)
	}
	r := reader{buf: c.Request().Body()}
	return r.all(o)
}

// readOptionalJSON reads the body into o, if there is one.
func readOptionalJSON(c *fiber.Ctx, o object) error {
	if len(c.Request().Body()) == 0 {
		return nil
	}
	return readJSON(c, o)
}

// readJSONOrForm reads the body into o; a form's fields are those of the object.
func readJSONOrForm(c *fiber.Ctx, o object) error {
	isForm, err := mediaType(c)
	if err != nil {
		return err
	}
	if isForm {
		return readForm(c, o)
	}
	r := reader{buf: c.Request().Body()}
	return r.all(o)
}

// mediaType reports whether the body is a form and not JSON, and refuses everything else.
func mediaType(c *fiber.Ctx) (isForm bool, err error) {
	// A compressed body could unfold to any size.
	if e := c.Get(fiber.HeaderContentEncoding); e != "" && !strings.EqualFold(e, "identity") {
		return false, fmt.Errorf("Content-Encoding %q: %w: send the body uncompressed", shown([]byte(e)), errMedia)
	}
	typ, _, _ := strings.Cut(c.Get(fiber.HeaderContentType), ";")
	switch typ = strings.TrimSpace(typ); {
	case strings.EqualFold(typ, fiber.MIMEApplicationJSON):
		return false, nil
	case strings.EqualFold(typ, fiber.MIMEMultipartForm):
		return true, nil
	}
	if len(c.Request().Body()) == 0 {
		return false, badf("empty body: send a JSON object with Content-Type: application/json")
	}
	return false, fmt.Errorf("Content-Type %q: %w: send JSON with Content-Type: application/json, or to /search, /anomaly, /classify, /embed and /verify-pair multipart/form-data", shown([]byte(typ)), errMedia)
}

// readForm reads multipart/form-data (RFC 7578) into o. A part with a file name stands for the bytes that JSON has as base64.
func readForm(c *fiber.Ctx, o object) error {
	_, params, err := mime.ParseMediaType(c.Get(fiber.HeaderContentType))
	if err != nil || params["boundary"] == "" {
		return badf("Content-Type %q names no boundary: send multipart/form-data; boundary=…", shown([]byte(c.Get(fiber.HeaderContentType))))
	}
	parts := multipart.NewReader(bytes.NewReader(c.Request().Body()), params["boundary"])
	fields, seen := o.fields(), uint64(0)
	for {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			if seen == 0 {
				return badf("no part with the form's boundary %s: send some of the fields %s", quoted([]byte(params["boundary"])), strings.Join(fields, ", "))
			}
			return nil
		}
		if err != nil {
			return badf("invalid multipart/form-data: %v", err)
		}
		i, err := known(fields, []byte(part.FormName()), &seen)
		if err != nil {
			return err
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return at(fields[i], badf("invalid multipart/form-data: %v", err))
		}
		r := reader{buf: value, form: formText}
		if part.FileName() != "" {
			r.form = formFile
		}
		if err := o.read(fields[i], &r); err != nil {
			return at(fields[i], err)
		}
		if err := r.end(); err != nil {
			return at(fields[i], err)
		}
	}
}

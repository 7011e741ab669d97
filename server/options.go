package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/akin-search/akin/index"
)

// Encoder embeds raw inputs; *encoder.Encoder is one. It is used concurrently.
type Encoder interface {
	// Encode returns one vector an input, each of length Dimension. An error about an input wraps encoder.ErrInput.
	Encode(ctx context.Context, raw ...[]byte) ([][]float32, error)
	// ModelID names the model; vectors of different models are never compared.
	ModelID() string
	Dimension() int
}

// Defaults and limits of Options.
const (
	DefaultBodyLimit       = 32 << 20 // bytes
	DefaultHeaderLimit     = 16 << 10 // bytes
	DefaultReadTimeout     = time.Minute
	DefaultWriteTimeout    = time.Minute
	DefaultIdleTimeout     = 2 * time.Minute
	DefaultRequestTimeout  = time.Minute
	DefaultShutdownTimeout = 10 * time.Second

	minBodyLimit = 1 << 10
	maxBodyLimit = 1 << 30
	minHeader    = 1 << 10
	maxHeader    = 1 << 20
)

// Options says what New serves. Store is required; zero means the default elsewhere.
type Options struct {
	Store   *index.Store
	Default string    // collection that /search and /anomaly ask; "" for none
	Encoder Encoder   // nil: vectors and ids only, an input is refused
	Surface Surface   // judges inputs by their patches in place of a collection's detector; nil: none
	Normal  []float64 // scores of held-out pictures that Surface's are compared with
	Places  Coverer   // draws by explain which places of a picture deviate, where no Surface does; nil: none
	Sounds  Occluder  // tells by explain which stretch of a sound deviates; nil: none
	Columns Columns   // tells by explain which columns of a row deviate; nil: none
	Texts   Omitter   // tells by explain which words of a text deviate; nil: none
	Pairs   []float64 // scores of pairs of two classes that /verify-pair compares with; nil: it tells the score alone
	Alpha   float64   // highest false-alarm rate when a request names none; default index.DefaultAlpha

	BodyLimit       int           // bytes of a request body, above it 413; default 32 MiB
	HeaderLimit     int           // bytes of a request line and its headers, above it 431; default 16 KiB
	ReadTimeout     time.Duration // a whole request must have come by then; default one minute
	WriteTimeout    time.Duration // and the answer gone by then; default one minute
	IdleTimeout     time.Duration // between the requests of a connection; default two minutes
	RequestTimeout  time.Duration // the work of a request; default one minute
	ShutdownTimeout time.Duration // what requests in flight get once Serve is told to stop; default 10 s

	Logger *slog.Logger // failures of the server itself; default slog.Default()
}

// SetDefaults fills the zero fields.
func (o *Options) SetDefaults() {
	setDefault(&o.Alpha, index.DefaultAlpha)
	setDefault(&o.BodyLimit, DefaultBodyLimit)
	setDefault(&o.HeaderLimit, DefaultHeaderLimit)
	setDefault(&o.ReadTimeout, DefaultReadTimeout)
	setDefault(&o.WriteTimeout, DefaultWriteTimeout)
	setDefault(&o.IdleTimeout, DefaultIdleTimeout)
	setDefault(&o.RequestTimeout, DefaultRequestTimeout)
	setDefault(&o.ShutdownTimeout, DefaultShutdownTimeout)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate reports the first field outside its limits.
func (o *Options) Validate() error {
	if o.Store == nil {
		return errors.New("server: no store: open one with index.Open")
	}
	if err := o.checkSurface(); err != nil {
		return err
	}
	if !(o.Alpha > 0 && o.Alpha < 1) {
		return fmt.Errorf("server: alpha %v: %w: it must be above 0 and below 1", o.Alpha, index.ErrAlpha)
	}
	if o.BodyLimit < minBodyLimit || o.BodyLimit > maxBodyLimit {
		return fmt.Errorf("server: body limit of %d bytes: it must be %d to %d", o.BodyLimit, minBodyLimit, maxBodyLimit)
	}
	if o.HeaderLimit < minHeader || o.HeaderLimit > maxHeader {
		return fmt.Errorf("server: header limit of %d bytes: it must be %d to %d", o.HeaderLimit, minHeader, maxHeader)
	}
	for _, t := range []struct {
		name string
		d    time.Duration
	}{
		{"read", o.ReadTimeout}, {"write", o.WriteTimeout}, {"idle", o.IdleTimeout},
		{"request", o.RequestTimeout}, {"shutdown", o.ShutdownTimeout},
	} {
		if t.d < 0 {
			return fmt.Errorf("server: %s timeout of %v: it must be above 0, or 0 for the default", t.name, t.d)
		}
	}
	return nil
}

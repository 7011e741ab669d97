package index

import "fmt"

// Metric says how two vectors are compared.
type Metric int

const (
	// Cosine compares directions: Distance = 1 − cos, in [0, 2]. Vectors are
	// scaled to unit length at the edge; the zero vector is refused.
	Cosine Metric = iota
	// L2 is the Euclidean distance (with the root).
	L2
	// Dot is the inner product: Distance = −⟨a,b⟩, so larger products are nearer.
	Dot
)

// String returns the name that ParseMetric reads.
func (m Metric) String() string {
	switch m {
	case Cosine:
		return "cosine"
	case L2:
		return "l2"
	case Dot:
		return "dot"
	}
	return fmt.Sprintf("Metric(%d)", int(m))
}

// ParseMetric reads a metric's name; an unknown one is ErrInvalid.
func ParseMetric(s string) (Metric, error) {
	for _, m := range []Metric{Cosine, L2, Dot} {
		if s == m.String() {
			return m, nil
		}
	}
	return 0, fmt.Errorf("metric %q: %w: use cosine, l2 or dot", s, ErrInvalid)
}

func (m Metric) valid() bool { return m >= Cosine && m <= Dot }

// MarshalText writes the name, so that JSON holds "cosine" and not 0.
func (m Metric) MarshalText() ([]byte, error) {
	if !m.valid() {
		return nil, fmt.Errorf("%v: %w: use cosine, l2 or dot", m, ErrInvalid)
	}
	return []byte(m.String()), nil
}

// UnmarshalText reads what MarshalText wrote.
func (m *Metric) UnmarshalText(text []byte) (err error) {
	*m, err = ParseMetric(string(text))
	return err
}

// Engine names an implementation of Index.
type Engine string

const (
	// EngineGraph is our HNSW graph, the default.
	EngineGraph Engine = "graph"
	// EngineFlat compares with every vector: exact, and fast enough for some ten thousand points.
	EngineFlat Engine = "flat"
	// EngineCoder is github.com/coder/hnsw behind guards: for comparison, its recall is low.
	EngineCoder Engine = "coder"
)

// String returns the engine's name.
func (e Engine) String() string { return string(e) }

// ParseEngine reads an engine's name; an unknown one is ErrInvalid.
func ParseEngine(s string) (Engine, error) {
	switch e := Engine(s); e {
	case EngineGraph, EngineFlat, EngineCoder:
		return e, nil
	}
	return "", fmt.Errorf("engine %q: %w: use graph, flat or coder", s, ErrInvalid)
}

package server

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/index"
)

const (
	testSeed  = 7
	testDim   = 8
	testModel = "model-a"
)

// fakeEncoder embeds "class N …" near the centre of class N. With slow it knows a few commands, too.
type fakeEncoder struct {
	mu    sync.Mutex
	slow  chan struct{} // told when a slow input begins
	items int
}

func (e *fakeEncoder) ModelID() string { return testModel }
func (e *fakeEncoder) Dimension() int  { return testDim }
func (e *fakeEncoder) Encode(ctx context.Context, raw ...[]byte) ([][]float32, error) {
	e.mu.Lock()
	e.items += len(raw)
	e.mu.Unlock()
	out := make([][]float32, len(raw))
	for i, b := range raw {
		var class int
		command := ""
		if e.slow != nil {
			command = string(b)
		}
		switch command {
		case "panic":
			panic("the encoder fell over")
		case "fail":
			return nil, errors.New("secret detail of the disk")
		case "deaf":
			e.slow <- struct{}{}
			time.Sleep(time.Second)
		case "slow":
			e.slow <- struct{}{}
			select {
			case <-time.After(300 * time.Millisecond):
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		default:
			if _, err := fmt.Sscanf(string(b), "class %d", &class); err != nil || class < 0 || class >= testDim {
				return nil, fmt.Errorf("item %d: %w: not a class", i, encoder.ErrInput)
			}
		}
		out[i] = near(rand.New(rand.NewPCG(testSeed, uint64(len(b)))), class, 0.01)
	}
	return out, nil
}

// near returns a unit vector around axis class of the space.
func near(r *rand.Rand, class int, spread float64) []float32 {
	v := make([]float32, testDim)
	for i := range v {
		v[i] = float32(spread * r.NormFloat64())
	}
	v[class]++
	return v
}

// testStore holds "digits" (calibrated, of testModel), "plain" (L2, no model) and "other" (of another model).
func testStore(t testing.TB) *index.Store {
	t.Helper()
	store, err := index.Open(t.TempDir(), index.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx := context.Background()
	r := rand.New(rand.NewPCG(testSeed, 0))
	digits, err := store.Create("digits", index.Config{Dimension: testDim, ModelID: testModel})
	if err != nil {
		t.Fatal(err)
	}
	var points []index.Point
	var held []index.Point
	for i := range 200 {
		class := i % 4
		p := index.Point{ID: fmt.Sprint(i), Vector: near(r, class, 0.05), Label: fmt.Sprintf("c%d", class)}
		if i%2 == 0 {
			p.Payload = map[string]any{"n": float64(i), "name": fmt.Sprintf("<%d>", i)}
		}
		points = append(points, p)
		held = append(held, index.Point{ID: fmt.Sprint("held ", i), Vector: near(r, class, 0.05), Label: p.Label})
	}
	if err := digits.Upsert(ctx, points); err != nil {
		t.Fatal(err)
	}
	if err := digits.SetAside(ctx, index.RoleCalibration, held); err != nil {
		t.Fatal(err)
	}
	if err := digits.Calibrate(ctx); err != nil {
		t.Fatal(err)
	}
	plain, err := store.Create("plain", index.Config{Dimension: 3, Metric: index.L2})
	if err != nil {
		t.Fatal(err)
	}
	if err := plain.Upsert(ctx, []index.Point{{ID: "a", Vector: []float32{0, 0, 0}}, {ID: "b", Vector: []float32{1, 0, 0}}, {ID: "c", Vector: []float32{0, 2, 0}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Create("other", index.Config{Dimension: testDim, ModelID: "model-b"}); err != nil {
		t.Fatal(err)
	}
	return store
}

// testServer is a server on a loopback port.
type testServer struct {
	t       testing.TB
	url     string
	addr    string
	enc     *fakeEncoder
	store   *index.Store
	log     *lockedBuffer
	stop    context.CancelFunc // and wait for the end of Serve
	stopped chan error         // what Serve returned
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func start(t testing.TB, change func(*Options)) *testServer {
	t.Helper()
	ts := &testServer{t: t, enc: &fakeEncoder{slow: make(chan struct{}, 16)}, log: &lockedBuffer{}, stopped: make(chan error, 1)}
	o := Options{Store: testStore(t), Default: "digits", Encoder: ts.enc, Logger: slog.New(slog.NewTextHandler(ts.log, nil))}
	if change != nil {
		change(&o)
	}
	ts.store = o.Store
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ts.addr, ts.url = ln.Addr().String(), "http://"+ln.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		ts.stopped <- s.Serve(ctx, ln)
	}()
	ts.stop = func() { cancel(); <-done }
	t.Cleanup(ts.stop)
	return ts
}

// answer is a response of the server.
type answer struct {
	status int
	header http.Header
	body   string
	text   string          // of a failure
	result json.RawMessage // of a success
}

// do sends a request and checks that the answer is an envelope.
func (ts *testServer) do(method, path, contentType, body string) answer {
	ts.t.Helper()
	req, err := http.NewRequest(method, ts.url+path, strings.NewReader(body))
	if err != nil {
		ts.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	return ts.send(req)
}

func (ts *testServer) send(req *http.Request) answer {
	ts.t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		ts.t.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	defer resp.Body.Close()
	return ts.read(req.Method, resp)
}

func (ts *testServer) read(method string, resp *http.Response) answer {
	ts.t.Helper()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		ts.t.Fatal(err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header, body: string(body)}
	if method == http.MethodHead {
		return a
	}
	if ct := resp.Header.Get("Content-Type"); ct != "application/json" {
		ts.t.Errorf("Content-Type %q of %d %s", ct, resp.StatusCode, body)
	}
	var env struct {
		Result json.RawMessage
		Status json.RawMessage
		Time   *float64
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&env); err != nil || env.Time == nil || *env.Time < 0 || *env.Time > 60 {
		ts.t.Errorf("no envelope: %v: %s", err, body)
		return a
	}
	a.result = env.Result
	if resp.StatusCode == http.StatusOK {
		if string(env.Status) != `"ok"` || env.Result == nil {
			ts.t.Errorf("no envelope of a success: %s", body)
		}
		return a
	}
	var status struct{ Error string }
	if err := json.Unmarshal(env.Status, &status); err != nil || status.Error == "" || env.Result != nil {
		ts.t.Errorf("no envelope of a failure: %d %s", resp.StatusCode, body)
	}
	a.text = status.Error
	return a
}

// post sends JSON.
func (ts *testServer) post(path, body string) answer {
	ts.t.Helper()
	return ts.do(http.MethodPost, path, "application/json", body)
}

// ok sends a request that must succeed and reads its result.
func (ts *testServer) ok(method, path, body string, result any) {
	ts.t.Helper()
	a := ts.do(method, path, "application/json", body)
	if a.status != http.StatusOK {
		ts.t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
	}
	if result == nil {
		return
	}
	if err := json.Unmarshal(a.result, result); err != nil {
		ts.t.Fatalf("%s %s: %v in %s", method, path, err, a.body)
	}
}

// form makes a multipart body; a key with "@" in front is a file.
func form(t testing.TB, fields ...string) (contentType, body string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(fields); i += 2 {
		var part io.Writer
		var err error
		if name, file := strings.CutPrefix(fields[i], "@"); file {
			part, err = w.CreateFormFile(name, "digit.png")
		} else {
			part, err = w.CreateFormField(name)
		}
		if err == nil {
			_, err = io.WriteString(part, fields[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), b.String()
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// axis is the JSON of a vector around the centre of a class.
const (
	axis0 = `[1,0,0,0,0,0,0,0]`
	axis5 = `[0,0,0,0,0,1,0,0]` // of no class
)

var update = flag.Bool("update", false, "write testdata/*.json anew")

var (
	timeField = regexp.MustCompile(`"time":[0-9.e-]+`)
	fraction  = regexp.MustCompile(`-?[0-9]+\.[0-9]{4,}(e-?[0-9]+)?`)
)

// steady removes from an answer what another machine may give otherwise: the time, and the last digits of sums.
func steady(body string) []byte {
	body = timeField.ReplaceAllString(body, `"time":0`)
	return fraction.ReplaceAllFunc([]byte(body), func(lit []byte) []byte {
		v, err := strconv.ParseFloat(string(lit), 64)
		if err != nil {
			panic(err)
		}
		return strconv.AppendFloat(nil, v, 'f', 3, 64)
	})
}

// TestGolden pins the shapes and the numbers of answers.
func TestGolden(t *testing.T) {
	ts := start(t, nil)
	for _, c := range []struct{ name, method, path, body string }{
		{"search_vector", "POST", "/search", `{"query":` + axis0 + `,"limit":3}`},
		{"search_vectors_only", "POST", "/search", `{"vector":` + axis0 + `,"limit":2,"with_payload":false,"with_vector":true}`},
		{"search_plain", "POST", "/collections/plain/points/query", `{"query":[0,0.25,0]}`},
		{"anomaly", "POST", "/anomaly", `{"vector":` + axis5 + `}`},
		{"anomaly_explain", "POST", "/anomaly", `{"id":"7","explain":true,"alpha":0.05}`},
		{"embed", "POST", "/embed", `{"input":"` + b64("class 2") + `"}`},
		{"collections", "GET", "/collections", ""},
		{"collection", "GET", "/collections/digits", ""},
		{"collection_plain", "GET", "/collections/plain", ""},
		{"healthz", "GET", "/healthz", ""},
		{"livez", "GET", "/livez", ""},
		{"readyz", "GET", "/readyz", ""},
		{"upsert", "PUT", "/collections/plain/points?wait=true", `{"points":[{"id":7,"vector":[3,3,3],"label":"far","payload":{"a":[1,null,"é"]}}]}`},
		{"delete", "POST", "/collections/plain/points/delete", `{"points":[7,"nobody"]}`},
		{"not_found", "POST", "/nowhere", ``},
		{"unknown_field", "POST", "/search", `{"k":3}`},
	} {
		a := ts.do(c.method, c.path, "application/json", c.body)
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, steady(a.body), "", "  "); err != nil {
			t.Fatal(err)
		}
		have := fmt.Sprintf("%s %s\n%s\n\n%d\n%s\n", c.method, c.path, c.body, a.status, pretty.String())
		path := filepath.Join("testdata", c.name+".txt")
		if *update {
			if err := os.WriteFile(path, []byte(have), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("%v: run go test ./server -update", err)
		}
		if have != string(want) {
			t.Errorf("%s is now\n%s\nrun go test ./server -update if that is meant", path, have)
		}
	}
}

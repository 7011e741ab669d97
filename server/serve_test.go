package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/akin-search/akin/index"
)

// endless is a body of n spaces that is made while it is read.
type endless struct{ n int64 }

func (e *endless) Read(b []byte) (int, error) {
	if e.n <= 0 {
		return 0, io.EOF
	}
	n := min(int64(len(b)), e.n)
	for i := int64(0); i < n; {
		i += int64(copy(b[i:n], spaces))
	}
	e.n -= n
	return int(n), nil
}

var spaces = strings.Repeat(" ", 4<<10)

const hundredMB = 100 << 20

// TestLargeBody: a client that sends 100 MB gets to see why they are refused, and does not merely lose its connection.
func TestLargeBody(t *testing.T) {
	ts := start(t, nil)
	for _, length := range []int64{hundredMB, -1} { // told beforehand, or in chunks
		for range 5 { // a lost answer would be a race
			req, err := http.NewRequest("POST", ts.url+"/search", io.NopCloser(&endless{hundredMB}))
			if err != nil {
				t.Fatal(err)
			}
			req.ContentLength = length
			req.Header.Set("Content-Type", "application/json")
			if a := ts.send(req); a.status != http.StatusRequestEntityTooLarge || !strings.Contains(a.text, "33554432 bytes") {
				t.Fatalf("length %d: %d %s", length, a.status, a.body)
			}
		}
	}
	// A client that reads nothing before it has written everything.
	c, err := net.Dial("tcp", ts.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "PUT /collections/digits/points HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", hundredMB); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(c, &endless{hundredMB}); err != nil {
		t.Fatalf("the server hung up: %v", err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if a := ts.read("PUT", resp); a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("%d %s", a.status, a.body)
	}
	ts.search("/search", `{"query":`+axis0+`}`)
}

func TestLargeBodyCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed")
	}
	ts := start(t, nil)
	for _, expect := range []string{"Expect: 100-continue", "Expect:"} {
		cmd := exec.Command(curl, "-sS", "-H", "Content-Type: application/json", "-H", expect, "--data-binary", "@-", "-w", "\n%{http_code}", ts.url+"/search")
		cmd.Stdin = &endless{hundredMB}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.HasSuffix(string(out), "\n413") || !strings.Contains(string(out), "33554432 bytes") {
			t.Errorf("%s %v: %s", expect, err, out)
		}
	}
}

// raw sends text as it is and reads one answer.
func (ts *testServer) raw(text string) answer {
	ts.t.Helper()
	c, err := net.Dial("tcp", ts.addr)
	if err != nil {
		ts.t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		ts.t.Fatal(err)
	}
	if _, err := io.WriteString(c, text); err != nil {
		ts.t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		ts.t.Fatalf("%.40q: %v", text, err)
	}
	defer resp.Body.Close()
	return ts.read("", resp)
}

func TestBrokenHTTP(t *testing.T) {
	ts := start(t, nil)
	for text, status := range map[string]int{
		"hello\r\n\r\n": 400,
		"POST /search HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n":                                            400,
		"POST /search HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: -5\r\n\r\n":            400,
		"POST /search HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n":                                400,
		"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("x", 1<<20) + "\r\n\r\n":                      431,
		"GET /" + strings.Repeat("x", 1<<17) + " HTTP/1.1\r\nHost: x\r\n\r\n":                                         431,
		"POST /search HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 999999999999\r\n\r\n{": 413,
		"GET /livez HTTP/1.0\r\n\r\n": 200,
	} {
		if a := ts.raw(text); a.status != status {
			t.Errorf("%.60q: %d %s, want %d", text, a.status, a.body, status)
		}
		ts.ok("GET", "/healthz", "", nil)
	}
	if log := ts.log.String(); log != "" {
		t.Errorf("logged: %s", log)
	}
}

// TestSlowClient: whoever sends a request bit by bit is told, and loses the connection.
func TestSlowClient(t *testing.T) {
	ts := start(t, func(o *Options) { o.ReadTimeout = 200 * time.Millisecond })
	begin := time.Now()
	a := ts.raw("POST /search HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
	if a.status != http.StatusRequestTimeout || !strings.Contains(a.text, "200ms") || time.Since(begin) > 5*time.Second {
		t.Errorf("after %v: %d %s", time.Since(begin), a.status, a.body)
	}
}

// TestRequestTimeout: a request that works too long is told, with its context.
func TestRequestTimeout(t *testing.T) {
	ts := start(t, func(o *Options) { o.RequestTimeout = 50 * time.Millisecond })
	if a := ts.post("/embed", `{"input":"`+b64("slow")+`"}`); a.status != http.StatusServiceUnavailable || !strings.Contains(a.text, "longer") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// inFlight sends an input in the background and returns once the encoder has it.
func (ts *testServer) inFlight(input string) <-chan answer {
	ts.t.Helper()
	out := make(chan answer, 1)
	go func() {
		defer close(out)
		resp, err := http.Post(ts.url+"/embed", "application/json", strings.NewReader(`{"input":"`+b64(input)+`"}`))
		if err != nil {
			return
		}
		defer resp.Body.Close()
		out <- ts.read("POST", resp)
	}()
	<-ts.enc.slow
	return out
}

// TestShutdown: requests in flight finish, silent and idle connections do not delay it, nothing is left running.
func TestShutdown(t *testing.T) {
	goroutines := runtime.NumGoroutine()
	ts := start(t, nil)
	silent, err := net.Dial("tcp", ts.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ts.ok("GET", "/healthz", "", nil) // leaves an idle connection
	flight := ts.inFlight("slow")
	begin := time.Now()
	ts.stop()
	took := time.Since(begin)
	if err := <-ts.stopped; err != nil {
		t.Error(err)
	}
	if a, ok := <-flight; !ok || a.status != http.StatusOK {
		t.Errorf("the request in flight got %v %s", ok, a.body)
	}
	if took < 200*time.Millisecond || took > 2*time.Second {
		t.Errorf("the shutdown took %v, the request in flight 300 ms", took)
	}
	if _, err := net.Dial("tcp", ts.addr); err == nil {
		t.Error("the port still answers")
	}
	http.DefaultClient.CloseIdleConnections()
	for range 100 {
		if n := countServing(); n == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("goroutines went from %d to %d, %d of them serve", goroutines, runtime.NumGoroutine(), countServing())
}

// countServing counts the goroutines of fasthttp's connections.
func countServing() int {
	buf := make([]byte, 1<<20)
	return strings.Count(string(buf[:runtime.Stack(buf, true)]), "fasthttp.(*workerPool).workerFunc(")
}

// TestShutdownCuts: a request that does not finish in time has its context cancelled, and Serve says so.
func TestShutdownCuts(t *testing.T) {
	for _, c := range []struct{ input, want string }{{"slow", "cut"}, {"deaf", "cut"}} {
		ts := start(t, func(o *Options) { o.ShutdownTimeout = 50 * time.Millisecond })
		flight := ts.inFlight(c.input)
		begin := time.Now()
		ts.stop()
		if err := <-ts.stopped; err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", c.input, err)
		}
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("%s: the shutdown took %v", c.input, took)
		}
		if a, ok := <-flight; ok {
			t.Errorf("%s: a cut request got %s", c.input, a.body)
		}
	}
}

// TestShutdownLinger: connections that linger after a refusal do not outlive Serve.
func TestShutdownLinger(t *testing.T) {
	ts := start(t, nil)
	c, err := net.Dial("tcp", ts.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "POST /search HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", hundredMB); err != nil {
		t.Fatal(err)
	}
	if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	ts.stop()
	if err := <-ts.stopped; err != nil || time.Since(begin) > lingerIdle/2 {
		t.Errorf("after %v: %v", time.Since(begin), err)
	}
}

// TestServeOnce: cancelled before it begins, called twice, and a listener that fails.
func TestServeOnce(t *testing.T) {
	s, err := New(Options{Store: testStore(t)})
	if err != nil {
		t.Fatal(err)
	}
	listen := func() net.Listener {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return ln
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Serve(ctx, listen()); err != nil {
		t.Error(err)
	}
	if err := s.Serve(ctx, listen()); err == nil {
		t.Error("Serve runs twice")
	}
	if s, err = New(Options{Store: testStore(t)}); err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(context.Background(), failing{listen()}); err == nil || !strings.Contains(err.Error(), "no more sockets") {
		t.Errorf("a listener that fails: %v", err)
	}
}

type failing struct{ net.Listener }

func (failing) Accept() (net.Conn, error) { return nil, errors.New("no more sockets") }

func TestOptions(t *testing.T) {
	store := testStore(t)
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{}, "index.Open"},
		{Options{Store: store, Alpha: 1}, "alpha 1"},
		{Options{Store: store, Alpha: -0.1}, "alpha -0.1"},
		{Options{Store: store, BodyLimit: 5}, "body limit of 5 bytes: it must be 1024 to"},
		{Options{Store: store, HeaderLimit: 1 << 30}, "header limit"},
		{Options{Store: store, ReadTimeout: -1}, "read timeout of -1ns"},
		{Options{Store: store, ShutdownTimeout: -time.Second}, "shutdown timeout of -1s"},
	} {
		if _, err := New(c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q in it", err, c.want)
		}
	}
	if _, err := New(Options{Store: store, Alpha: 2}); !errors.Is(err, index.ErrAlpha) {
		t.Errorf("%v does not wrap ErrAlpha", err)
	}
}

// TestConcurrent searches while points are written and deleted; run it with -race.
func TestConcurrent(t *testing.T) {
	ts := start(t, nil)
	deadline := time.Now().Add(2 * time.Second)
	var wg sync.WaitGroup
	work := func(f func(i int) bool) {
		wg.Go(func() {
			for i := 0; time.Now().Before(deadline) && f(i); i++ {
			}
		})
	}
	send := func(method, path, body string) answer { return ts.do(method, path, "application/json", body) }
	for w := range 2 {
		work(func(i int) bool {
			id := fmt.Sprintf("w%d-%d", w, i%20)
			a := send("PUT", "/collections/digits/points", `{"points":[{"id":"`+id+`","input":"`+b64(fmt.Sprintf("class %d", i%4))+`","payload":{"n":`+fmt.Sprint(i)+`}}]}`)
			b := send("POST", "/collections/digits/points/delete", fmt.Sprintf(`{"points":["w%d-%d"]}`, w, (i+10)%20))
			if a.status != 200 || b.status != 200 {
				t.Errorf("write: %s %s", a.body, b.body)
			}
			return !t.Failed()
		})
	}
	for r := range 4 {
		work(func(i int) bool {
			a := send("POST", "/search", `{"query":{"input":"`+b64(fmt.Sprintf("class %d", i%4))+`"},"limit":20,"params":{"exact":`+fmt.Sprint(r%2 == 0)+`}}`)
			if a.status != 200 || !strings.Contains(a.body, fmt.Sprintf(`"nearest_class":"c%d"`, i%4)) {
				t.Errorf("search: %s", a.body)
			}
			if a := send("POST", "/search", fmt.Sprintf(`{"query":"w0-%d"}`, i%20)); a.status != 200 && a.status != 404 {
				t.Errorf("by id: %s", a.body)
			}
			if a := send("POST", "/anomaly", `{"vector":`+axis5+`,"explain":true}`); a.status != 200 || !strings.Contains(a.body, `"is_anomaly":true`) {
				t.Errorf("anomaly: %s", a.body)
			}
			return !t.Failed()
		})
	}
	wg.Wait()
}

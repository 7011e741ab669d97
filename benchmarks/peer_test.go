package benchmarks

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/akin-search/akin/index"
)

// peerMode makes a copy of the test binary a peer: "exact", or one that misbehaves.
const peerMode = "AKIN_TEST_PEER"

func TestMain(m *testing.M) {
	if mode := os.Getenv(peerMode); mode != "" {
		servePeer(mode, os.Stdin, os.Stdout)
		return
	}
	os.Exit(m.Run())
}

// servePeer is a peer that searches exactly by L2: the other side of the protocol, for tests without a C++ compiler.
func servePeer(mode string, stdin io.Reader, stdout io.Writer) {
	in := bufio.NewReader(stdin)
	rows := func(n, dim int) [][]float32 {
		all := make([][]float32, n)
		for i := range all {
			all[i] = make([]float32, dim)
			if err := binary.Read(in, binary.LittleEndian, all[i]); err != nil {
				fmt.Fprintf(stdout, "error %v\n", err)
				os.Exit(1)
			}
		}
		return all
	}
	var base, queries [][]float32
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		var metric string
		var a, b, c, d int
		switch strings.Fields(line)[0] {
		case "load":
			if mode == "silent" {
				return
			}
			fmt.Sscanf(line, "load %s %d %d %d", &metric, &a, &b, &c)
			base, queries = rows(a, b), rows(c, b)
			fmt.Fprintln(stdout, "ok")
		case "build":
			switch mode {
			case "fails":
				fmt.Fprintln(stdout, "error out of memory")
				os.Exit(1)
			case "babbles":
				fmt.Fprintln(stdout, "ok yes no maybe")
			case "short":
				fmt.Fprintln(stdout, "ok 1")
			default:
				fmt.Fscanf(strings.NewReader(line), "build %d %d %d %d", &a, &b, &c, &d)
				fmt.Fprintf(stdout, "ok %d %d %d\n", 4e9/d, int(3e9), 100*len(base))
			}
		case "hits":
			fmt.Sscanf(line, "hits %d %d", &a, &b)
			fmt.Fprintln(stdout, "ok")
			for _, q := range queries {
				order := make([]uint32, len(base))
				far := make([]float64, len(base))
				for i, v := range base {
					order[i] = uint32(i)
					for j := range v {
						far[i] += math.Pow(float64(v[j]-q[j]), 2)
					}
				}
				slices.SortFunc(order, func(x, y uint32) int { return int(math.Copysign(1, far[x]-far[y])) })
				binary.Write(stdout, binary.LittleEndian, order[:a])
			}
		case "time":
			time.Sleep(time.Millisecond)
			fmt.Fprintf(stdout, "ok %d\n", len(queries)*1e6) // a thousand queries a second
			binary.Write(stdout, binary.LittleEndian, slices.Repeat([]uint32{2e6}, len(queries)))
		}
	}
}

func TestPeer(t *testing.T) {
	t.Setenv(peerMode, "exact")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, err := Recall(context.Background(), smallMixture(t), Options{EF: []int{10, 64}, Rounds: 1, Threads: 2, Peer: program, Engines: []index.Engine{index.EngineGraph}})
	if err != nil {
		t.Fatal(err)
	}
	name := peerName(program)
	if r.Peer != name || len(r.Engines) != 2 || r.Engines[1].Engine != index.Engine(name) {
		t.Fatalf("%+v", r)
	}
	e := r.Engines[1]
	if want := []Build{{1, 4, 3}, {2, 2, 3}}; !reflect.DeepEqual(e.Builds, want) || e.BuildSeconds != 2 || e.BytesPerVector != 100 {
		t.Errorf("builds %+v, %v s, %v bytes, want %v", e.Builds, e.BuildSeconds, e.BytesPerVector, want)
	}
	if want := []Point{{10, 1, 1000, 2000, 2000}, {64, 1, 1000, 2000, 2000}}; !reflect.DeepEqual(e.Curve, want) {
		t.Errorf("curve %+v, want %+v", e.Curve, want)
	}
	for _, at := range e.At {
		if at.QPS != 1000 || at.TimesPeer != 1 {
			t.Errorf("the peer against itself: %+v", at)
		}
	}
	g := r.Engines[0]
	if len(g.Builds) != 2 || g.Builds[0].Threads != 1 || g.Builds[1].Threads != 2 || g.Builds[0].CPUSeconds <= 0 {
		t.Errorf("our builds: %+v", g.Builds)
	}
	for _, at := range g.At {
		if at.QPS <= 0 || math.Abs(at.TimesPeer-at.QPS/1000) > 0.01 {
			t.Errorf("%+v, want a thousandth of the QPS", at)
		}
	}
	var b strings.Builder
	if err := r.WriteTable(&b); err != nil || !strings.Contains(b.String(), "QPS at 0.99   × "+name) {
		t.Errorf("%v in\n%s", err, b.String())
	}
}

func TestPeerFails(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[string]string{
		"silent":  "it ended without an answer",
		"fails":   `it says "error out of memory", want ok`,
		"babbles": `it says "ok yes no maybe", want numbers`,
		"short":   "1 numbers of a build, want 3",
	} {
		t.Setenv(peerMode, mode)
		_, err := Recall(context.Background(), smallMixture(t), Options{EF: []int{10}, Rounds: 1, Peer: program, Engines: []index.Engine{index.EngineFlat}})
		if !errors.Is(err, ErrPeer) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", mode, err, want)
		}
	}
	_, err = Recall(context.Background(), smallMixture(t), Options{Peer: "no/such/program"})
	if !errors.Is(err, ErrPeer) || !strings.Contains(err.Error(), "peers/README.md") {
		t.Error(err)
	}
}

// An interruption kills the peer and is told from its failing.
func TestPeerCancelled(t *testing.T) {
	t.Setenv(peerMode, "exact")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{"exact neighbours", "built", "round 1"} {
		ctx, cancel := context.WithCancel(context.Background())
		_, err := Recall(ctx, smallMixture(t), Options{EF: []int{10}, Rounds: 2, Peer: program, Engines: []index.Engine{index.EngineFlat}, Progress: func(line string) {
			if strings.Contains(line, at) {
				cancel()
			}
		}})
		cancel()
		if !errors.Is(err, context.Canceled) || errors.Is(err, ErrPeer) {
			t.Errorf("at %q: %v", at, err)
		}
	}
}

// The real peer, where it can be compiled, finds what it should, by each metric.
func TestHnswlib(t *testing.T) {
	const source = "peers/hnswlib.cc"
	if _, err := os.ReadFile(source); err != nil { // read here, so that a change of it makes go test run this again
		t.Fatal(err)
	}
	if _, err := os.Stat("/usr/include/hnswlib/hnswlib.h"); err != nil {
		t.Skipf("no hnswlib to compare with: apt-get install libhnswlib-dev (%v)", err)
	}
	compiler, err := exec.LookPath("g++")
	if err != nil {
		t.Skipf("no compiler for %s: apt-get install g++ (%v)", source, err)
	}
	program := filepath.Join(t.TempDir(), "hnswlib")
	if out, err := exec.Command(compiler, "-O1", "-std=c++17", "-pthread", "-o", program, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	d := smallMixture(t)
	for _, d.Metric = range []index.Metric{index.L2, index.Cosine} {
		r, err := Recall(context.Background(), d, Options{EF: []int{64}, Rounds: 1, Threads: 2, Peer: program, Engines: []index.Engine{index.EngineGraph}})
		if err != nil {
			t.Fatal(err)
		}
		e := r.Engines[1]
		if e.Curve[0].Recall < 0.95 || e.Curve[0].QPS <= 0 || e.BytesPerVector < 16*4+33*4 || e.BytesPerVector > 16*4+33*4+20 || len(e.Builds) != 2 {
			t.Errorf("%v: %+v", d.Metric, e)
		}
	}
}

func TestQPSAt(t *testing.T) {
	curve := []Point{{Recall: 0.9, QPS: 10000}, {Recall: 0.99, QPS: 100}, {Recall: 0.985, QPS: 90}, {Recall: 1, QPS: 1}}
	for _, c := range []struct{ recall, want float64 }{
		{0.8, 10000}, // the curve begins above
		{0.9, 10000},
		{1 - math.Sqrt(0.1*0.01), 1000}, // half way between the nines
		{0.99, 100},                     // a point that is worse in both changes nothing
		{1, 1},
	} {
		if got := qpsAt(curve, c.recall); math.Abs(got-c.want) > 1e-6*c.want {
			t.Errorf("at %v: %v, want %v", c.recall, got, c.want)
		}
	}
	if got := qpsAt(curve[:2], 0.995); got != 0 {
		t.Errorf("past the end: %v", got)
	}
}

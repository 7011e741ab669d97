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
	"strconv"
	"strings"
	"time"

	"github.com/akin-search/akin/index"
)

// ErrPeer is wrapped by every error about the program of a peer.
var ErrPeer = errors.New("peer failed")

// peer is another library's index, in a process of its own that is asked over its standard input and output. peers/hnswlib.cc says
// what goes back and forth.
type peer struct {
	name    string
	queries int
	core    int // to run on while timed
	process *exec.Cmd
	in      *bufio.Writer
	close   func() error
	out     *bufio.Reader
}

// peerName is what a report calls the peer whose program lies at path.
func peerName(path string) string {
	return strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
}

// startPeer starts the program and gives it the data. It is killed when ctx ends.
func startPeer(ctx context.Context, path string, d Data, core int) (*peer, error) {
	c := exec.CommandContext(ctx, path)
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, ErrPeer, err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, ErrPeer, err)
	}
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w: %w: compile it as benchmarks/peers/README.md says", path, ErrPeer, err)
	}
	p := &peer{
		name: peerName(path), queries: len(d.Queries), core: core, process: c,
		in: bufio.NewWriterSize(in, 1<<16), close: in.Close, out: bufio.NewReaderSize(out, 1<<16),
	}
	fmt.Fprintf(p.in, "load %v %d %d %d\n", d.Metric, len(d.Base), d.Dimension(), len(d.Queries)) // the answer tells of an error
	row := make([]byte, 4*d.Dimension())
	for _, rows := range [][][]float32{d.Base, d.Queries} {
		for _, v := range rows {
			scale := 1.0
			if d.Metric == index.Cosine {
				scale = 1 / max(norm(v), math.SmallestNonzeroFloat64)
			}
			for i, x := range v {
				binary.LittleEndian.PutUint32(row[4*i:], math.Float32bits(float32(float64(x)*scale)))
			}
			p.in.Write(row)
		}
	}
	if _, err := p.answer(); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

// ask sends a command and returns the numbers of the answer.
func (p *peer) ask(format string, values ...any) ([]float64, error) {
	fmt.Fprintf(p.in, format+"\n", values...)
	return p.answer()
}

func (p *peer) answer() ([]float64, error) {
	flushed := p.in.Flush() // a peer that ended may have said why
	line, err := p.out.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("%s: %w: it ended without an answer: %w", p.name, ErrPeer, errors.Join(flushed, err))
	}
	fields := strings.Fields(line)
	if len(fields) == 0 || fields[0] != "ok" {
		return nil, fmt.Errorf("%s: %w: it says %q, want ok", p.name, ErrPeer, strings.TrimSpace(line))
	}
	numbers := make([]float64, len(fields)-1)
	for i, f := range fields[1:] {
		if numbers[i], err = strconv.ParseFloat(f, 64); err != nil {
			return nil, fmt.Errorf("%s: %w: it says %q, want numbers after ok", p.name, ErrPeer, strings.TrimSpace(line))
		}
	}
	return numbers, nil
}

// read returns n numbers that follow an answer.
func (p *peer) read(n int) ([]uint32, error) {
	numbers := make([]uint32, n)
	if err := binary.Read(p.out, binary.LittleEndian, numbers); err != nil {
		return nil, fmt.Errorf("%s: %w: %d numbers should follow: %w", p.name, ErrPeer, n, err)
	}
	return numbers, nil
}

// build makes the index anew, and returns what it took and its bytes of vectors and links.
func (p *peer) build(m, efConstruction int, seed uint64, threads int) (b Build, bytes float64, err error) {
	n, err := p.ask("build %d %d %d %d", m, efConstruction, seed, threads)
	if err != nil {
		return Build{}, 0, err
	}
	if len(n) != 3 {
		return Build{}, 0, fmt.Errorf("%s: %w: %d numbers of a build, want 3", p.name, ErrPeer, len(n))
	}
	return newBuild(threads, time.Duration(n[0]), time.Duration(n[1])), n[2], nil
}

func (p *peer) hits(_ context.Context, k, ef int) ([][]index.Hit, error) {
	if _, err := p.ask("hits %d %d", k, ef); err != nil {
		return nil, err
	}
	ids, err := p.read(p.queries * k)
	if err != nil {
		return nil, err
	}
	all := make([][]index.Hit, p.queries)
	for i := range all {
		for _, id := range ids[i*k : (i+1)*k] {
			all[i] = append(all[i], index.Hit{ID: strconv.FormatUint(uint64(id), 10)})
		}
	}
	return all, nil
}

func (p *peer) pass(_ context.Context, k, ef int, took []float64) ([]float64, time.Duration, error) {
	n, err := p.ask("time %d %d %d", k, ef, p.core)
	if err != nil {
		return nil, 0, err
	}
	if len(n) != 1 {
		return nil, 0, fmt.Errorf("%s: %w: %d numbers of a pass, want 1", p.name, ErrPeer, len(n))
	}
	nanoseconds, err := p.read(p.queries)
	if err != nil {
		return nil, 0, err
	}
	for _, t := range nanoseconds {
		took = append(took, float64(t)/1e3)
	}
	return took, time.Duration(n[0]), nil
}

// stop ends the program, which does so by itself when nothing more comes.
func (p *peer) stop() error {
	if err := p.close(); err != nil {
		return errors.Join(err, p.process.Process.Kill(), p.process.Wait())
	}
	if _, err := io.Copy(io.Discard, p.out); err != nil { // Wait would cut it off
		return errors.Join(err, p.process.Process.Kill(), p.process.Wait())
	}
	if err := p.process.Wait(); err != nil {
		return fmt.Errorf("%s: %w: %w", p.name, ErrPeer, err)
	}
	return nil
}

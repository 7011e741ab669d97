package index

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
)

var (
	crashKills = flag.Int("crash.kills", 18, "how often TestCrash kills its child")
	crashSeed  = flag.Uint64("crash.seed", 0, "seed of TestCrash; 0 draws one")
)

// The environment of the child: TestMain runs it instead of the tests.
const (
	envCrashDir   = "INDEX_TEST_CRASH_DIR"
	envCrashSeed  = "INDEX_TEST_CRASH_SEED"
	envCrashFirst = "INDEX_TEST_CRASH_FIRST"
	envCrashCodes = "INDEX_TEST_CRASH_QUANTIZATION"
)

// crashDim returns the dimension of the points: small, but for codes of one bit.
func crashDim() int {
	if os.Getenv(envCrashCodes) == QuantizationBinary.String() {
		return MinBinaryDimension
	}
	return 8
}

func TestMain(m *testing.M) {
	flag.Parse()
	if dir := os.Getenv(envCrashDir); dir != "" {
		if err := crashChild(dir, os.Getenv(envCrashSeed), os.Getenv(envCrashFirst)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if dir := os.Getenv(envDamageDir); dir != "" {
		if err := damageChild(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// crashOp is what the child does in step n: parent and child know it from the seed.
type crashOp struct {
	upsert   []Point
	delete   []string
	aside    []Point
	snapshot bool
}

func crashOpAt(seed uint64, n int) (op crashOp) {
	const ids = 700
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	switch k := r.IntN(12); {
	case k == 10: // labels and payloads change, vectors do not
		for _, i := range r.Perm(ids)[:1+r.IntN(20)] {
			p := somePoint(i, 0, crashDim())
			p.Label, p.Payload = fmt.Sprint("step ", n), map[string]any{"step": float64(n)}
			op.upsert = append(op.upsert, p)
		}
	case k == 11: // a large batch
		for _, i := range r.Perm(ids)[:r.IntN(ids/5)] {
			op.delete = append(op.delete, somePoint(i, 0, crashDim()).ID)
		}
	case k < 5:
		points := map[string]Point{} // ids differ within an operation
		for range 1 + r.IntN(25) {
			p := somePoint(r.IntN(ids), n, crashDim())
			if r.IntN(6) == 0 {
				p.Vector = somePoint(r.IntN(3), 0, crashDim()).Vector
			}
			p.Label = fmt.Sprint("step ", n)
			if _, ok := points[p.ID]; !ok {
				points[p.ID] = p
				op.upsert = append(op.upsert, p)
			}
		}
	case k == 7:
		for _, i := range r.Perm(ids)[:1+r.IntN(12)] {
			p := somePoint(i, n, crashDim())
			p.Label = fmt.Sprint("step ", n)
			op.aside = append(op.aside, p)
		}
	case k < 7:
		for range 1 + r.IntN(12) {
			op.delete = append(op.delete, somePoint(r.IntN(ids), 0, crashDim()).ID)
		}
	default:
		op.snapshot = true
	}
	return op
}

// apply makes the step in models of the points and of the labels of those kept aside.
func (op crashOp) apply(model map[string]Point, aside map[string]string) {
	for _, p := range op.upsert {
		model[p.ID] = p
		delete(aside, p.ID)
	}
	for _, id := range op.delete {
		delete(model, id)
		delete(aside, id)
	}
	for _, p := range op.aside {
		delete(model, p.ID)
		aside[p.ID] = p.Label
	}
}

// asideOf returns the labels of the points that are kept aside.
func asideOf(t *testing.T, c *Collection) map[string]string {
	t.Helper()
	out := map[string]string{}
	must(t, c.store.view(func(txn *badger.Txn) error {
		return c.eachAside(txn, func(p asidePoint) error {
			out[p.id] = p.label
			return nil
		})
	}))
	return out
}

// crashChild writes until it is killed. It prints "begin N" and "done N" around every step.
func crashChild(dir, seedText, firstText string) error {
	seed, err := strconv.ParseUint(seedText, 10, 64)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(firstText)
	if err != nil {
		return err
	}
	s, err := Open(dir, StoreOptions{})
	if err != nil {
		return err
	}
	c, err := s.Collection("c")
	if errors.Is(err, ErrNotFound) {
		c, err = s.Create("c", Config{Dimension: crashDim(), Quantization: Quantization(os.Getenv(envCrashCodes))})
	}
	if err != nil {
		return err
	}
	go func() { // as the store does, but all the time; ends with the process
		for {
			time.Sleep(100 * time.Millisecond)
			if err := s.Compact(ctx); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
	}()
	for ; ; n++ {
		op := crashOpAt(seed, n)
		fmt.Printf("begin %d\n", n)
		switch {
		case op.snapshot:
			err = c.Snapshot(ctx)
		case op.upsert != nil:
			err = c.Upsert(ctx, op.upsert)
		case op.aside != nil:
			err = c.SetAside(ctx, RoleCalibration, op.aside)
		default:
			err = c.Delete(ctx, op.delete)
		}
		if err != nil {
			return err
		}
		fmt.Printf("done %d\n", n)
	}
}

// TestCrash kills a process that writes, again and again, on the store that the last one left. After each kill every write
// that was acknowledged has to be there, whole, and the one that was under way has to be there whole or not at all.
func TestCrash(t *testing.T) {
	seed := *crashSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d (-crash.seed)", seed)
	kills := (*crashKills + len(quantizations) - 1) / len(quantizations)
	if raceEnabled {
		kills = (kills + 2) / 3 // its children are many times slower
	}
	for _, q := range quantizations {
		t.Run(q.String(), func(t *testing.T) { crash(t, seed, q, kills) })
	}
}

func crash(t *testing.T, seed uint64, q Quantization, kills int) {
	t.Setenv(envCrashCodes, q.String())
	r := rand.New(rand.NewPCG(seed, 1<<63))
	dir := filepath.Join(t.TempDir(), "store")
	model, aside := map[string]Point{}, map[string]string{}
	next, snapshotsHit := 0, 0
	for kill := range kills {
		done, begun := killChild(t, r, dir, seed, next, kill%3 == 2)
		for ; next <= done; next++ {
			crashOpAt(seed, next).apply(model, aside)
		}
		// Look at a copy every other time: the next child then opens what the crash left, not what a clean close made of it.
		look := dir
		if kill%2 == 1 {
			look = filepath.Join(t.TempDir(), "copy")
			copySparse(t, look, dir)
		}
		s, err := Open(look, StoreOptions{})
		if err != nil {
			t.Fatalf("seed %d, kill %d: %v", seed, kill, err)
		}
		c, err := s.Collection("c")
		if errors.Is(err, ErrNotFound) && done < 0 {
			must(t, s.Close())
			continue // killed before it was made
		}
		must(t, err)
		if begun > done {
			op := crashOpAt(seed, begun)
			if op.snapshot {
				snapshotsHit++
			}
			if underWay(t, c, op, model, aside) {
				op.apply(model, aside)
			}
			next = begun + 1
		}
		checkCollection(t, c, model)
		if kept := asideOf(t, c); !reflect.DeepEqual(kept, aside) || c.Aside(RoleCalibration) != len(aside) {
			t.Errorf("kept aside: %d, want %d", len(kept), len(aside))
		}
		if t.Failed() {
			t.Fatalf("seed %d, kill %d, step %d", seed, kill, next)
		}
		must(t, s.Close())
	}
	t.Logf("%d kills, %d of them while a snapshot was written, %d steps, %d points at the end", kills, snapshotsHit, next, len(model))
}

// killChild lets a child write for a while and kills it, with inSnapshot soon after it began to write a snapshot. It returns the
// last step that was acknowledged and the last that was begun; −1 for none.
func killChild(t *testing.T, r *rand.Rand, dir string, seed uint64, first int, inSnapshot bool) (done, begun int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envCrashDir+"="+dir, envCrashSeed+"="+fmt.Sprint(seed), envCrashFirst+"="+fmt.Sprint(first))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	done, begun = first-1, first-1
	var timer *time.Timer
	arm := func(d time.Duration) {
		if timer == nil {
			timer = time.AfterFunc(d, func() { _ = cmd.Process.Kill() })
		}
	}
	if !inSnapshot {
		arm(time.Duration(20+r.IntN(350)) * time.Millisecond)
	}
	wait := r.IntN(40) // steps before a kill in a snapshot
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil { // a line cut short was not acknowledged
			break
		}
		word, number, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.Atoi(number)
		must(t, err)
		if word == "done" {
			done = n
			continue
		}
		begun = n
		if inSnapshot && n >= first+wait && crashOpAt(seed, n).snapshot {
			arm(time.Duration(r.IntN(4000)) * time.Microsecond)
		}
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Exited() {
		t.Fatalf("seed %d: the child was not killed: %v\n%s", seed, err, stderr.String())
	}
	return done, begun
}

// underWay reports whether the operation that was cut off has happened. Half of it is a failure.
func underWay(t *testing.T, c *Collection, op crashOp, model map[string]Point, aside map[string]string) bool {
	t.Helper()
	happened, not := 0, 0
	for _, p := range op.upsert { // no two steps make the same point: the label tells
		if got, err := c.Get(p.ID); err == nil && reflect.DeepEqual(got[0], stored(t, Cosine, p)) {
			happened++
		} else {
			not++
		}
	}
	kept := asideOf(t, c)
	for _, p := range op.aside {
		_, err := c.Get(p.ID)
		if kept[p.ID] == p.Label && errors.Is(err, ErrNotFound) {
			happened++
		} else {
			not++
		}
	}
	for _, id := range op.delete {
		if aside[id] != "" {
			if kept[id] == "" {
				happened++
			} else {
				not++
			}
			continue
		}
		if _, had := model[id]; !had {
			continue
		}
		if _, err := c.Get(id); errors.Is(err, ErrNotFound) {
			happened++
		} else {
			not++
		}
	}
	if happened > 0 && not > 0 {
		t.Errorf("half of an operation: %d of %d", happened, happened+not)
	}
	return happened > 0
}

// copySparse copies a directory of files; badger's logs are mostly holes.
func copySparse(t *testing.T, to, from string) {
	t.Helper()
	must(t, os.MkdirAll(to, 0o755))
	entries, err := os.ReadDir(from)
	must(t, err)
	block, zeros := make([]byte, 1<<16), make([]byte, 1<<16)
	for _, e := range entries {
		in, err := os.Open(filepath.Join(from, e.Name()))
		must(t, err)
		out, err := os.Create(filepath.Join(to, e.Name()))
		must(t, err)
		var at int64
		for {
			n, err := io.ReadFull(in, block)
			if n > 0 && !bytes.Equal(block[:n], zeros[:n]) {
				_, err := out.WriteAt(block[:n], at)
				must(t, err)
			}
			at += int64(n)
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				break
			}
			must(t, err)
		}
		must(t, out.Truncate(at))
		must(t, out.Close())
		must(t, in.Close())
	}
}

// TestEmptyLogsAreDeleted: a process killed between creating a log and sizing it.
func TestEmptyLogsAreDeleted(t *testing.T) {
	for _, name := range []string{"000077.vlog", "00077.mem"} {
		dir := t.TempDir()
		_, model := snapshotted(t, dir, Cosine)
		must(t, os.WriteFile(filepath.Join(dir, name), nil, 0o644))
		s, c, warned := openWarned(t, dir)
		if !strings.Contains(warned, "empty log file") {
			t.Errorf("%s: warnings %q", name, warned)
		}
		checkCollection(t, c, model)
		if _, err := removeEmptyLogs(dir); err == nil {
			t.Error("the directory of an open store was not locked")
		}
		must(t, s.Close())
	}
}

// TestOpenWhileAnotherProcessHasIt holds a store open in a child.
func TestOpenWhileAnotherProcessHasIt(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envCrashDir+"="+dir, envCrashSeed+"=1", envCrashFirst+"=0")
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	defer func() {
		must(t, cmd.Process.Kill())
		if err := cmd.Wait(); err == nil {
			t.Error("the child ended by itself")
		}
	}()
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // ends with the child
	if _, err := Open(dir, StoreOptions{}); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "another process has it open") {
		t.Errorf("open: %v", err)
	}
}

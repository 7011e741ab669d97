package train

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// ErrTuneLog is wrapped by every error about a log that tuning cannot go on from.
var ErrTuneLog = errors.New("cannot go on from this tuning log")

// What became of a step.
const (
	StatusDone    = "done"
	StatusSetBack = "set back" // it diverged or collapsed
)

// Step is one trial at one rung: a training from nothing.
type Step struct {
	Trial      int      `json:"trial"` // 0 is the defaults
	Rung       int      `json:"rung"`
	Epochs     int      `json:"epochs"`
	Settings   Settings `json:"settings"`
	Status     string   `json:"status"`
	Reason     string   `json:"reason,omitempty"` // of a setback
	Validation float64  `json:"validation_knn"`   // -1 after a setback
	Loss       float64  `json:"loss"`
	Seconds    float64  `json:"seconds"`
}

// Failed reports whether the trial was dropped here.
func (s Step) Failed() bool { return s.Status != StatusDone }

// tuneHeader is the first line of a log; every other line is a Step. A line that does not end is what was being written when the
// process died.
type tuneHeader struct {
	Format      int    `json:"akin_tune"` // tuneFormat
	Fingerprint string `json:"fingerprint"`
	Trials      int    `json:"trials"`
	Seed        uint64 `json:"seed"`
}

// tuneFormat counts the formats: 1, the first.
const tuneFormat = 1

// header identifies everything that the steps depend on. The budget may be another when it goes on.
func (t *tuning) header() (tuneHeader, error) {
	data, err := t.data.Hash()
	if err != nil {
		return tuneHeader{}, err
	}
	held, err := t.validation.Hash()
	if err != nil {
		return tuneHeader{}, err
	}
	b, err := json.Marshal(struct {
		Options    Options
		Rungs      []int
		Settings   []Settings
		Data, Held string
	}{t.resolved, t.rungs, t.trials, data, held})
	if err != nil {
		return tuneHeader{}, fmt.Errorf("train: fingerprint of the tuning: %w", err)
	}
	sum := sha256.Sum256(b)
	return tuneHeader{tuneFormat, hex.EncodeToString(sum[:]), t.Trials, t.Seed}, nil
}

// tuneLog appends steps to a file.
type tuneLog struct {
	file  *os.File
	steps []Step // that were there
}

// openLog makes a log, or reads the one to go on from.
func (t *tuning) openLog() (*tuneLog, error) {
	h, err := t.header()
	if err != nil {
		return nil, err
	}
	path := t.Log
	if !t.Resume {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("%w: %s is there already: resume, or remove it", ErrTuneLog, path)
		}
		if err != nil {
			return nil, fmt.Errorf("train: tuning log: %w", err)
		}
		l := &tuneLog{file: f}
		if err := l.append(h); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		return l, nil
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: there is none at %s: start without resuming", ErrTuneLog, path)
	}
	if err != nil {
		return nil, fmt.Errorf("train: tuning log: %w", err)
	}
	steps, whole, err := parseTuneLog(b, h, len(t.rungs))
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrTuneLog, path, err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("train: tuning log: %w", err)
	}
	l := &tuneLog{file: f, steps: steps}
	if err = f.Truncate(int64(whole)); err == nil {
		_, err = f.Seek(int64(whole), 0)
	}
	if err == nil && whole == 0 {
		err = l.append(h)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("train: tuning log: %w", err), f.Close())
	}
	return l, nil
}

// parseTuneLog returns the steps of a log, and the bytes of its whole lines.
func parseTuneLog(b []byte, want tuneHeader, rungs int) (steps []Step, whole int, err error) {
	taken := map[[2]int]bool{}
	for line := 1; ; line++ {
		end := bytes.IndexByte(b[whole:], '\n')
		if end < 0 {
			return steps, whole, nil
		}
		text := b[whole : whole+end]
		if line == 1 {
			var h tuneHeader
			if err := json.Unmarshal(text, &h); err != nil {
				return nil, 0, fmt.Errorf("line 1 is no header: %w", err)
			}
			if h.Format != tuneFormat {
				return nil, 0, fmt.Errorf("it has format %d, this akin reads %d", h.Format, tuneFormat)
			}
			if h != want {
				return nil, 0, errors.New("it was written with other data, options, trials or seed: use the same ones, or remove it")
			}
		} else {
			var s Step
			if err := json.Unmarshal(text, &s); err != nil {
				return nil, 0, fmt.Errorf("line %d is no step: %w", line, err)
			}
			if s.Trial < 0 || s.Trial >= want.Trials || s.Rung < 0 || s.Rung >= rungs || s.Status != StatusDone && s.Status != StatusSetBack || taken[[2]int{s.Trial, s.Rung}] || !(s.Seconds >= 0) {
				return nil, 0, fmt.Errorf("line %d: trial %d of %d at rung %d, %q after %g s, cannot be", line, s.Trial, want.Trials, s.Rung, s.Status, s.Seconds)
			}
			taken[[2]int{s.Trial, s.Rung}] = true
			steps = append(steps, s)
		}
		whole += end + 1
	}
}

// append writes a line and waits until the disk has it.
func (l *tuneLog) append(v any) error {
	b, err := json.Marshal(v)
	if err == nil {
		_, err = l.file.Write(append(b, '\n'))
	}
	if err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("train: tuning log: %w", err)
	}
	return nil
}

// Close closes the file.
func (l *tuneLog) Close() error { return l.file.Close() }

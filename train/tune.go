package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Limits and defaults of TuneOptions.
const (
	DefaultTrials = 20
	MaxTrials     = 1000
	DefaultBudget = 10 * time.Minute
)

// TuneOptions say how options of training are looked for. Zero means the default.
type TuneOptions struct {
	// Options is where every trial starts from. What it leaves at its default is tried out: Loss, Temperature, Rate, Batch, Dimension and
	// the strength of Augmentation. What it sets stays. Epochs are those of the last rung.
	Options Options
	Trials  int           // settings to try, the defaults among them; default DefaultTrials
	Budget  time.Duration // for all steps together, those before resuming included; default DefaultBudget
	Seed    uint64        // of the settings drawn; Options.Seed is that of every training
	Log     string        // file that every finished step is written to
	Resume  bool          // go on from Log
	Begin   func(Step)    // called before every step; may be nil
	Done    func(Step)    // called after every step; may be nil
}

// Tuned is the result of Tune.
type Tuned struct {
	Steps []Step `json:"steps"` // in the order in which they were taken
	Rungs []int  `json:"rungs"` // epochs of each

	Winner     int     `json:"winner"`                 // trial; 0 is the defaults
	Rung       int     `json:"rung"`                   // that the winner won, the highest that the defaults reached
	Validation float64 `json:"validation_knn"`         // of the winner there
	Defaults   float64 `json:"default_validation_knn"` // of the defaults there; -1 where they failed at every rung
	Config     Options `json:"config"`                 // of the winner, for training of all epochs
	Complete   bool    `json:"complete"`               // false where the budget ended it
	Seconds    float64 `json:"seconds"`                // of all steps
}

// Tune looks for the options that give the best kNN accuracy on validation, by successive halving (Jamieson and Talwalkar 2016,
// "Non-stochastic best arm identification and hyperparameter optimization"): many settings train for few epochs, the best third of them
// for three times as many, and so on. As in ASHA (Li et al. 2020, "A system for massively parallel hyperparameter tuning", algorithm 2,
// here with one worker; Hyperband, Li et al. 2018, is its ancestor) a setting moves up as soon as it is among the best third of those
// measured so far, so that whenever the budget ends, something has been trained for long. Each step trains anew with its own number of
// epochs, since the learning rate falls to zero at the last.
//
// The defaults are trial 0 and go through all rungs first; the winner is the best at the highest rung that they reached, so that no
// winner is worse on validation than the defaults. A trial that diverges or collapses is dropped; one of drawn settings at the first
// setback, the defaults when the trainer gives up.
//
// No step begins that would, by the time that an epoch took so far, end beyond the budget; the first step always does. On cancellation
// the step in work is lost, the log stays whole, and Resume goes on to the same result. Errors of the log wrap ErrTuneLog.
func Tune(ctx context.Context, data, validation Dataset, o TuneOptions) (out Tuned, err error) {
	set(&o.Trials, DefaultTrials)
	set(&o.Budget, DefaultBudget)
	t, err := newTuning(ctx, data, validation, o)
	if err != nil {
		return Tuned{}, err
	}
	log, err := t.openLog()
	if err != nil {
		return Tuned{}, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	t.steps = log.steps
	complete := false
	for {
		trial, rung, more := t.next()
		if complete = !more; complete || !t.affords(rung) {
			break
		}
		step, err := t.take(ctx, trial, rung)
		if err != nil {
			return Tuned{}, err
		}
		if err := log.append(step); err != nil {
			return Tuned{}, err
		}
		t.steps = append(t.steps, step)
		if o.Done != nil {
			o.Done(step)
		}
	}
	return t.result(complete)
}

// tuning is one search.
type tuning struct {
	TuneOptions
	data, validation Dataset
	resolved         Options // Options with all that akin train would decide
	rungs            []int   // epochs
	trials           []Settings
	steps            []Step
}

func newTuning(ctx context.Context, data, validation Dataset, o TuneOptions) (*tuning, error) {
	if o.Trials < 2 || o.Trials > MaxTrials {
		return nil, fmt.Errorf("%w: %d trials: it must be 2 to %d", ErrOptions, o.Trials, MaxTrials)
	}
	if o.Budget < time.Second {
		return nil, fmt.Errorf("%w: a budget of %v: it must be a second or more", ErrOptions, o.Budget)
	}
	if o.Log == "" {
		return nil, fmt.Errorf("%w: tuning needs a log file", ErrOptions)
	}
	for name, d := range map[string]Dataset{"training": data, "validation": validation} {
		if err := d.Validate(); err != nil {
			return nil, err
		}
		if classes, _ := itemsByClass(d.Labels); len(classes) < 2 {
			return nil, fmt.Errorf("%w: the %s items have %d classes: tuning compares settings by how well they tell classes apart, and needs labelled items of two",
				ErrDataset, name, len(classes))
		}
	}
	t := &tuning{TuneOptions: o, data: data, validation: validation}
	r, _, err := newDecidedRun(ctx, data, Dataset{}, t.plain())
	if err != nil {
		return nil, err
	}
	if err := r.cache.Close(); err != nil { // each trial decodes for itself
		return nil, err
	}
	t.resolved = r.Options
	t.rungs = rungs(t.resolved.Epochs, o.Trials)
	t.trials = t.draw()
	for i, s := range t.trials { // before the work, not in between
		o := t.options(i, 0)
		o.setDefaultsFor(data, t.resolved.Network.Input)
		if err := o.Validate(); err != nil {
			return nil, fmt.Errorf("trial %d, %v: %w", i, s, err)
		}
	}
	return t, nil
}

// tuneKeep is the share of a rung's trials that go on to the next: one in so many. Each next rung has so many times the epochs.
const tuneKeep = 3

// rungs returns the epochs of each rung, growing, the last of them all.
func rungs(epochs, trials int) []int {
	var r []int
	for share := 1; ; share *= tuneKeep {
		if e := max(1, (epochs+share/2)/share); len(r) == 0 || e < r[0] {
			r = slices.Insert(r, 0, e)
		}
		if trials /= tuneKeep; trials == 0 {
			return r
		}
	}
}

// next returns the trial and the rung of the next step, and false when nothing is left to do. It follows from the steps taken alone.
func (t *tuning) next() (trial, rung int, more bool) {
	for rung := range t.rungs { // the defaults come first
		s, taken := t.at(0, rung)
		if !taken {
			return 0, rung, true
		}
		if s.Failed() {
			break
		}
	}
	for rung := len(t.rungs) - 2; rung >= 0; rung-- {
		ranked, taken := t.ranked(rung)
		for _, s := range ranked[:min(len(ranked), taken/tuneKeep)] {
			if _, promoted := t.at(s.Trial, rung+1); !promoted {
				return s.Trial, rung + 1, true
			}
		}
	}
	for trial := range t.trials {
		if _, taken := t.at(trial, 0); !taken {
			return trial, 0, true
		}
	}
	return 0, 0, false
}

// at returns the step of a trial at a rung.
func (t *tuning) at(trial, rung int) (Step, bool) {
	for _, s := range t.steps {
		if s.Trial == trial && s.Rung == rung {
			return s, true
		}
	}
	return Step{}, false
}

// ranked returns the steps of a rung that did not fail, best first, and how many were taken.
func (t *tuning) ranked(rung int) (ranked []Step, taken int) {
	for _, s := range t.steps {
		if s.Rung != rung {
			continue
		}
		taken++
		if !s.Failed() {
			ranked = append(ranked, s)
		}
	}
	slices.SortFunc(ranked, func(a, b Step) int {
		if a.Validation != b.Validation {
			if a.Validation > b.Validation {
				return -1
			}
			return 1
		}
		return a.Trial - b.Trial
	})
	return ranked, taken
}

// affords reports whether a step of the rung fits into the budget.
func (t *tuning) affords(rung int) bool {
	seconds, epochs := 0.0, 0
	for _, s := range t.steps {
		seconds += s.Seconds
		epochs += s.Epochs
	}
	if epochs == 0 {
		return true
	}
	return seconds+seconds/float64(epochs)*float64(t.rungs[rung]) <= t.Budget.Seconds()
}

// errSetback ends a trial of drawn settings.
var errSetback = errors.New("set back")

// take trains one trial for the epochs of a rung.
func (t *tuning) take(ctx context.Context, trial, rung int) (Step, error) {
	s := Step{Trial: trial, Rung: rung, Epochs: t.rungs[rung], Settings: t.trials[trial], Status: StatusDone, Validation: -1}
	if t.Begin != nil {
		t.Begin(s)
	}
	o := t.options(trial, rung)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if trial > 0 {
		o.Notice = func(b BackOff) {
			s.Reason = b.Reason
			cancel(errSetback)
		}
	}
	began := time.Now()
	model, err := Run(ctx, t.data, t.validation, o)
	s.Seconds = time.Since(began).Seconds()
	switch {
	case errors.Is(err, errSetback):
		s.Status = StatusSetBack
	case errors.Is(err, ErrDiverged), errors.Is(err, ErrCollapsed):
		s.Status, s.Reason = StatusSetBack, err.Error()
	case err != nil:
		return s, fmt.Errorf("trial %d, %d epochs: %w", trial, s.Epochs, err)
	default:
		var r Record
		if err := json.Unmarshal(model.Record, &r); err != nil {
			return s, fmt.Errorf("trial %d: reading the record: %w", trial, err)
		}
		for _, e := range r.Curve {
			if r.Best == 0 || e.Epoch == r.Best {
				s.Loss, s.Validation = e.Loss, e.Validation
			}
		}
	}
	return s, nil
}

// result compares what was measured.
func (t *tuning) result(complete bool) (Tuned, error) {
	out := Tuned{Steps: t.steps, Rungs: t.rungs, Rung: -1, Defaults: -1, Complete: complete}
	for _, s := range t.steps {
		out.Seconds += s.Seconds
		if s.Trial == 0 && !s.Failed() && s.Rung > out.Rung {
			out.Rung, out.Defaults = s.Rung, s.Validation
		}
	}
	for rung := len(t.rungs) - 1; out.Rung < 0 && rung >= 0; rung-- { // the defaults failed: the highest that anything reached
		if ranked, _ := t.ranked(rung); len(ranked) > 0 {
			out.Rung = rung
		}
	}
	if out.Rung < 0 {
		return out, fmt.Errorf("%w: all of %d trials: the first, of the defaults: %s", ErrDiverged, len(t.steps), t.steps[0].Reason)
	}
	ranked, _ := t.ranked(out.Rung)
	out.Winner, out.Validation = ranked[0].Trial, ranked[0].Validation
	out.Config = t.options(out.Winner, len(t.rungs)-1)
	return out, nil
}

package train

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/akin-search/akin/encoder/kernel"
)

var (
	// ErrDiverged is wrapped by the error of a run whose loss is no longer finite, however often it went back.
	ErrDiverged = errors.New("training diverged")
	// ErrCollapsed is wrapped by the error of a run whose embeddings draw together, however often it went back.
	ErrCollapsed = errors.New("training collapsed")
)

// What counts as a collapse, and what is done about it.
const (
	maxBackOffs = 8  // in a row
	maxSits     = 2  // in a row and all for a loss that sits: that is what labels do that say nothing, and then no rate helps
	fairSteps   = 30 // of the optimiser: before, an untrained network may lose the variance that it came with and be well

	drawnVariance     = 0.025 // share of the largest variance so far that is a collapse from the first step on
	collapsedVariance = 0.05  // the same after fairSteps
	pointVariances    = 1e-4  // variance that is a point's, whatever came before
	collapsedRank     = 0.25  // share of the largest effective rank so far
	classRank         = 0.5   // share of the rank that classes need: C classes as far apart as can be span C−1 dimensions
	atChance          = 0.002 // a loss this close to its chance value, as a share of it, sits there
	lowVariance       = 0.2   // share of the largest variance so far, for a loss that sits
	nearChance        = 0.01  // a loss this close to its chance value has fallen back to it
	wasBetter         = 0.9   // where it was below this share of it before

	backOffRate        = 0.5
	backOffTemperature = 1.25 // a warmer softmax has gentler gradients
	warmestTemperature = 0.5  // beyond it a softmax hardly tells classes apart; a run that is warmer stays as it is
	backOffMargin      = 0.85 // a smaller margin can be reached
	minMargin          = 0.01
)

// BackOff is what a run does after a setback: it goes back to the end of the last epoch that was none, and takes other options.
type BackOff struct {
	Reason      string  `json:"reason"`
	Step        int     `json:"step"` // batches done when it was seen
	To          int     `json:"to"`   // the epoch at whose end it goes on; 0 is the start
	Rate        float64 `json:"rate"` // peak learning rate from then on
	Temperature float64 `json:"temperature"`
	Margin      float64 `json:"margin"`
	Negatives   string  `json:"negatives,omitempty"` // semi-hard where they were hard
	Chance      float64 `json:"chance,omitempty"`    // the loss with all embeddings alike, under these options
	Sits        bool    `json:"sits,omitempty"`      // the reason is a loss that sits at chance
	Ends        bool    `json:"ends,omitempty"`      // nothing helped, and what epoch To has learned is the result
	Unhelped    bool    `json:"unhelped,omitempty"`  // nothing helped, and nothing was learned before: from here on epochs count as they come, with the options given
}

// setback is why a run cannot go on from where it is.
type setback struct {
	cause  error // ErrDiverged or ErrCollapsed
	reason string
	health Health
	sits   bool // at its chance value
}

// tuned returns the options with what the last BackOff changed.
func (r *run) tuned() Options {
	o := r.Options
	for _, e := range r.curve {
		if b := e.BackOff; b != nil {
			o.Rate, o.Temperature, o.Margin, o.Negatives = b.Rate, b.Temperature, b.Margin, cmp.Or(b.Negatives, r.Negatives)
		}
	}
	return o
}

// backOff goes back to the last good state, with half the rate, a warmer temperature and a smaller margin; of these two, the loss uses
// what it has. Hard negatives give way to semi-hard ones: they draw embeddings together at any rate (Schroff, Kalenichenko & Philbin 2015,
// section 3.2). When that has been done too often in a row, the rate is not the reason: a run that had learned something ends there, and one
// that had not goes on as it was told to, since labels may say nothing about the pictures, and then alike embeddings are the best there is.
// It is an error only where there is nothing to go on from: a loss that is not finite, or embeddings that are one point.
func (r *run) backOff(s setback) error {
	o, inRow, limit := r.tuned(), 0, maxSits
	for i := len(r.curve) - 1; i >= 0 && r.curve[i].BackOff != nil; i-- {
		inRow++
		s.sits = s.sits && r.curve[i].BackOff.Sits
	}
	if !s.sits {
		limit = maxBackOffs
	}
	b := BackOff{Reason: s.reason, Sits: s.sits, Step: r.step, To: r.epochs(), Rate: backOffRate * o.Rate,
		Temperature: max(o.Temperature, min(warmestTemperature, backOffTemperature*o.Temperature)), Margin: max(minMargin, backOffMargin*o.Margin)}
	if _, negatives, err := r.choice(); err != nil {
		return err
	} else if negatives == NegativesHard {
		b.Negatives = NegativesSemiHard.String()
	}
	if inRow >= limit {
		b.Negatives = ""
		b.Rate, b.Temperature, b.Margin = r.Rate, r.Temperature, r.Margin
		b.Ends = r.learned()
		b.Unhelped = !b.Ends && errors.Is(s.cause, ErrCollapsed) && s.health.Variance >= pointVariance && !r.unhelped()
		if !b.Ends && !b.Unhelped {
			return fmt.Errorf("%w: %s; going back %d times and lowering the rate from %g to %g did not help: choose a lower rate, another loss (supcon and ntxent hold out longest) or a larger batch, and check that the items differ and the labels are right",
				s.cause, s.reason, inRow, r.Rate, o.Rate)
		}
	}
	e := Epoch{Epoch: b.To + 1, Validation: -1, Health: s.health, BackOff: &b}
	if done := r.step - b.To*r.perEpoch; done > 0 {
		e.Loss = r.lossSum / float64(done)
	}
	r.curve = append(r.curve, e)
	var err error
	if b.Chance, err = r.chanceLoss(); err != nil {
		return err
	}
	r.step, r.lossSum = b.To*r.perEpoch, 0
	if err := r.restore(r.good); err != nil {
		return err
	}
	if r.Notice != nil {
		r.Notice(b)
	}
	return r.save()
}

// learned reports whether an epoch that counts had a loss well below its chance value. Where that is not known, every such epoch has.
func (r *run) learned() bool {
	chance := r.chance
	for _, e := range r.curve {
		if e.BackOff != nil {
			chance = e.BackOff.Chance // a smaller margin is a smaller loss
		} else if chance <= 0 || e.Loss < wasBetter*chance {
			return true
		}
	}
	return false
}

// chanceNow is the loss with all embeddings alike, under the options in force.
func (r *run) chanceNow() float64 {
	for _, e := range slices.Backward(r.curve) {
		if e.BackOff != nil {
			return e.BackOff.Chance
		}
	}
	return r.chance
}

// unhelped reports whether epochs count as they come.
func (r *run) unhelped() bool {
	return slices.ContainsFunc(r.curve, func(e Epoch) bool { return e.BackOff != nil && e.BackOff.Unhelped })
}

// ended reports whether a setback was the end of the run.
func (r *run) ended() bool {
	n := len(r.curve)
	return n > 0 && r.curve[n-1].BackOff != nil && r.curve[n-1].BackOff.Ends
}

// restore takes up tables, under the options in force.
func (r *run) restore(t tables) error {
	var err error
	if r.sampler, _, err = r.Options.sampler(r.drawn); err != nil {
		return err
	}
	if r.objective, err = r.tuned().newObjective(r.drawn); err != nil {
		return err
	}
	if err := r.mine(); err != nil {
		return err
	}
	if err := errors.Join(r.graph.SetWeights(t[tablesWeights]), r.optimizer.Restore(t[tablesOptimizer]), r.objective.Restore(t[tablesObjective])); err != nil {
		return err
	}
	if r.average != nil {
		if err := r.average.restore(t[tablesAverage]); err != nil {
			return err
		}
	}
	if sums := t[tablesGradients]; sums != nil {
		return r.gradients.restore(sums)
	}
	return nil
}

// collapsed returns why an epoch's embeddings count as collapsed, "" if they do not, and whether it is a loss that sits at chance.
func (r *run) collapsed(e Epoch) (reason string, sits bool) {
	if r.probe.items < 2 {
		return "", false
	}
	if r.unhelped() {
		if e.Variance < pointVariance {
			return "the embeddings are one point", false
		}
		return "", false
	}
	variance, rank := r.initial.Variance, r.initial.EffectiveRank
	for _, past := range r.curve {
		if past.BackOff == nil {
			variance, rank = max(variance, past.Variance), max(rank, past.EffectiveRank)
		}
	}
	_, negatives, err := r.tuned().choice()
	if hard := err == nil && negatives == NegativesHard; hard && e.Variance < lowVariance*variance && e.Loss >= wasBetter*r.chanceNow() {
		return drawnTogether(e, variance), false // there is no way back from where hard negatives lead, however early; semi-hard ones cost little
	}
	if r.step/r.batchesAStep() < fairSteps {
		if e.Variance < max(pointVariances, drawnVariance*variance) {
			return drawnTogether(e, variance), false
		}
		return "", false
	}
	floor := collapsedRank * rank
	if classes, _ := itemsByClass(r.drawn.Labels); len(classes) > 1 {
		floor = min(floor, classRank*float64(len(classes)-1))
	}
	off, chance := math.Inf(1), r.chanceNow() // of the loss from its chance value, as a share of it
	if chance > 0 {
		off = math.Abs(e.Loss-chance) / chance
	}
	switch {
	case e.Variance < max(pointVariances, collapsedVariance*variance):
		return drawnTogether(e, variance), false
	case e.EffectiveRank < floor:
		return fmt.Sprintf("the embeddings lose dimensions: effective rank %.2f, it was %.2f", e.EffectiveRank, rank), false
	case r.learned() && off <= nearChance:
		return fmt.Sprintf("the loss %.4f fell back to what it is with all embeddings alike, %.4f", e.Loss, chance), false
	case off <= atChance && e.Variance < lowVariance*variance:
		return fmt.Sprintf("the loss %.4f sits where it is with all embeddings alike, %.4f, and the variance fell from %.2g to %.2g", e.Loss, chance, variance, e.Variance), true
	}
	return "", false
}

func drawnTogether(e Epoch, variance float64) string {
	return fmt.Sprintf("the embeddings draw together: variance %.2g, it was %.2g", e.Variance, variance)
}

// chanceLoss returns the loss of the run's first batch with all embeddings alike, under the options in force: what a collapsed network has, the margin of a triplet
// loss or the logarithm of the candidates of a softmax. It is 0 for an objective that keeps state, whose loss depends on the past.
func (r *run) chanceLoss() (float64, error) {
	o, err := r.tuned().newObjective(r.drawn)
	if err != nil || o.State() != nil {
		return 0, err
	}
	emb := kernel.NewMatrix(len(r.first.Items), r.dimension)
	for i := range emb.Rows {
		emb.Row(i)[0] = 1
	}
	loss := float64(o.Loss(r.first, emb, kernel.NewMatrix(emb.Rows, emb.Cols)))
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return 0, nil // the loss is not defined there: the embeddings alone must tell
	}
	return loss, nil
}

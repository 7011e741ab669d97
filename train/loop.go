package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// pace is how fast this process trains.
type pace struct {
	began    time.Time
	batches  int
	reported time.Time
}

// train takes the steps that are left, and goes back after each setback.
func (r *run) train(ctx context.Context) error {
	r.pace = pace{began: time.Now(), reported: time.Now()}
	if r.initial == nil {
		h, problem, err := r.health(ctx, r.modelWeights())
		if err == nil && problem != "" {
			err = fmt.Errorf("%w: before the first step, %s: start from other weights", ErrDiverged, problem)
		}
		if err != nil {
			return errors.Join(err, r.save())
		}
		r.initial, r.good = &h, r.tables()
	}
	for {
		problem, err := r.advance(ctx)
		if err != nil {
			return err
		}
		if problem == nil {
			break
		}
		if err := r.backOff(*problem); err != nil {
			return err
		}
	}
	if r.pace.batches == 0 { // resumed at the end: there was nothing to report
		r.report(r.lastEpoch())
	}
	return nil
}

// advance takes steps until the run is done or a setback ends it.
func (r *run) advance(ctx context.Context) (*setback, error) {
	l := r.load(ctx)
	defer l.stop()
	schedule := Schedule{Base: r.tuned().Rate, Warmup: int(r.Warmup * float64(r.steps)), Steps: r.steps}
	if err := schedule.Validate(); err != nil {
		return nil, err
	}
	for {
		if r.epochEnded() {
			if problem, err := r.endEpoch(ctx); problem != nil || err != nil {
				return problem, err
			}
		}
		if r.step == r.steps || r.ended() || r.Patience > 0 && r.epochs()-r.bestEpoch() >= r.Patience {
			return nil, nil
		}
		b, ok := l.next(ctx)
		if !ok {
			return nil, errors.Join(context.Cause(ctx), r.save())
		}
		loss, err := r.forward(b)
		l.recycle(b)
		if err != nil {
			return nil, err
		}
		if math.IsNaN(float64(loss)) || math.IsInf(float64(loss), 0) {
			return &setback{cause: ErrDiverged, reason: fmt.Sprintf("the loss is %g at step %d of %d", loss, r.step+1, r.steps)}, nil
		}
		whole, err := r.gradients.gather(r.step % r.batchesAStep())
		if err != nil {
			return nil, err
		}
		if whole {
			if err := r.update(schedule); err != nil {
				return nil, err
			}
		}
		r.step++
		r.pace.batches++
		r.lossSum += float64(loss)
		if now := time.Now(); now.Sub(r.pace.reported) > 500*time.Millisecond && !r.epochEnded() {
			r.pace.reported = now
			r.report(Epoch{Epoch: r.epochs() + 1, Loss: r.lossSum / float64(r.step%r.perEpoch), Validation: -1})
		}
	}
}

// forward runs a batch through the graph, forward and backward, and returns its loss.
func (r *run) forward(b *loaded) (float32, error) {
	if keyed, ok := r.objective.(KeyObjective); ok {
		if err := r.momentum.SetWeights(r.average.weights()); err != nil {
			return 0, err
		}
		if err := r.momentum.Run(b.keys, r.keys); err != nil {
			return 0, err
		}
		keyed.Keys(b.batch, r.keys)
	}
	r.batch = b.batch
	return r.graph.Step(b.input)
}

// update takes a step of the optimiser, by the gradients gathered up to batch r.step.
func (r *run) update(schedule Schedule) error {
	k := r.batchesAStep()
	rate, t := schedule.At(r.step), r.step/k+1
	if err := r.optimizer.Step(rate, t); err != nil {
		return err
	}
	if l, ok := r.objective.(Learner); ok {
		l.Learn(rate, k)
	}
	if r.average != nil {
		r.average.update(t)
	}
	return nil
}

// epochEnded reports whether the steps of an epoch are done but it is not yet in the curve.
func (r *run) epochEnded() bool { return r.step%r.perEpoch == 0 && r.epochs() < r.step/r.perEpoch }

// endEpoch looks at what the epoch made and adds it to the curve, unless it is a setback.
func (r *run) endEpoch(ctx context.Context) (*setback, error) {
	e := Epoch{Epoch: r.epochs() + 1, Loss: r.lossSum / float64(r.perEpoch), Validation: -1}
	weights := r.modelWeights()
	h, problem, err := r.health(ctx, weights)
	if err != nil {
		return nil, errors.Join(err, r.save())
	}
	if problem != "" {
		return &setback{cause: ErrDiverged, reason: problem}, nil
	}
	e.Health = h
	if reason, sits := r.collapsed(e); reason != "" {
		return &setback{cause: ErrCollapsed, reason: reason, health: h, sits: sits}, nil
	}
	if e.Validation, err = r.validate(ctx, weights); err != nil {
		return nil, errors.Join(err, r.save())
	}
	r.curve = append(r.curve, e)
	r.lossSum = 0
	if r.Patience > 0 && r.bestEpoch() == e.Epoch {
		r.best = weights
	}
	r.good = r.tables()
	r.report(e)
	return nil, r.save()
}

// report tells of an epoch, done or in progress.
func (r *run) report(e Epoch) {
	if r.Progress == nil {
		return
	}
	members, done := max(1, r.Members), r.before.members()
	p := Progress{Elapsed: r.elapsed + time.Since(r.began), Epoch: done*r.Epochs + e.Epoch, Epochs: members * r.Epochs, Step: done*r.steps + r.step, Steps: members * r.steps, Loss: e.Loss, Validation: e.Validation, Measure: r.measured(), Health: e.Health}
	if s := time.Since(r.pace.began).Seconds(); r.pace.batches > 0 && s > 0 {
		p.ItemsPerSecond = float64(r.pace.batches*r.sampler.Size()) / s
		p.Remaining = time.Duration(s / float64(r.pace.batches) * float64(p.Steps-p.Step) * float64(time.Second))
	}
	r.Progress(p)
}

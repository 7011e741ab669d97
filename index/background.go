package index

import "context"

// background runs work that nobody waits for: so many at once, what comes then is refused. close cancels it.
type background struct {
	ctx    context.Context
	cancel context.CancelFunc
	slots  chan struct{}
}

func newBackground(n int) *background {
	b := &background{slots: make(chan struct{}, n)}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b
}

// start runs f in a goroutine of its own, and reports whether it does. The gate does not close before f returns.
func (b *background) start(g *gate, f func(ctx context.Context)) bool {
	select {
	case b.slots <- struct{}{}:
	default:
		return false
	}
	if g.enter() != nil {
		<-b.slots
		return false
	}
	go func() {
		defer g.leave()
		defer func() { <-b.slots }()
		f(b.ctx)
	}()
	return true
}

package server

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Limits of a lingering close: in all, and between two reads.
const (
	lingerTime = 30 * time.Second
	lingerIdle = 5 * time.Second
)

// listener keeps account of its connections, so that a shutdown can end them all.
type listener struct {
	net.Listener
	once sync.Once

	mu    sync.Mutex
	conns map[*conn]struct{}
	empty chan struct{} // closed when drained has been asked for and no connection is left; nil before
}

func newListener(ln net.Listener) *listener {
	return &listener{Listener: ln, conns: map[*conn]struct{}{}}
}

func (l *listener) Accept() (net.Conn, error) {
	raw, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: raw, of: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[c] = struct{}{}
	return c, nil
}

// Close may be called more than once; only the first call can fail.
func (l *listener) Close() (err error) {
	l.once.Do(func() { err = l.Listener.Close() })
	return err
}

func (l *listener) forget(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
	if len(l.conns) == 0 && l.empty != nil {
		close(l.empty)
		l.empty = nil
	}
}

// cut closes the sockets of all connections, or only of those that never sent a byte, and returns how many. Whoever serves
// such a connection notices by the failure of its next read or write.
func (l *listener) cut(onlySilent bool) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for c := range l.conns {
		if onlySilent && c.used.Load() {
			continue
		}
		n++
		_ = c.Conn.Close() // closing twice is all that can fail here
	}
	return n
}

// drained waits until every connection was closed by whoever serves it, and returns how many were not when ctx ended.
// It is called once, after Close.
func (l *listener) drained(ctx context.Context) int {
	l.mu.Lock()
	if len(l.conns) == 0 {
		l.mu.Unlock()
		return 0
	}
	empty := make(chan struct{})
	l.empty = empty
	l.mu.Unlock()
	select {
	case <-empty:
		return 0
	case <-ctx.Done():
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.conns)
	}
}

// conn can close without losing an answer that was sent before all of the request was read.
type conn struct {
	net.Conn
	of     *listener
	used   atomic.Bool // a byte was read
	linger atomic.Bool
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && !c.used.Load() {
		c.used.Store(true)
	}
	return n, err
}

// SetWriteDeadline never fails: fasthttp panics when it does, as it would on a connection that was cut. The write after it fails.
func (c *conn) SetWriteDeadline(t time.Time) error {
	_ = c.Conn.SetWriteDeadline(t)
	return nil
}

// Close lingers if asked to: a socket that is closed with unread bytes resets the connection, and the reset overtakes the
// answer. So the end of the answer is told, and what still comes is thrown away (RFC 9112, section 9.6).
func (c *conn) Close() error {
	defer c.of.forget(c)
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && c.linger.Load() && half.CloseWrite() == nil {
		end := time.Now().Add(lingerTime)
		rest := make([]byte, 32<<10)
		for err := error(nil); err == nil; {
			now := time.Now()
			if !now.Before(end) || c.SetReadDeadline(now.Add(lingerIdle)) != nil {
				break
			}
			_, err = c.Conn.Read(rest)
		}
	}
	return c.Conn.Close()
}

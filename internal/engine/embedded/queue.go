package embedded

import (
	"context"
	"errors"
	"sync"
	"time"
)

var errFull = errors.New("all endpoints have the requests that they may have")

// bell wakes all that wait for a place at an endpoint with a bound.
type bell struct {
	mu sync.Mutex
	ch chan struct{} // nil while nobody listens
}

// listen returns what is closed by the next ring.
func (b *bell) listen() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}

// take chooses an endpoint and counts the request on it. While all that could
// be chosen are full it waits until deadline, and returns errFull then.
func (x *exchange) take(ctx context.Context, tried []*target, deadline <-chan time.Time) error {
	x.release()
	for {
		freed := x.pool.freed.listen()
		m, ok, full := x.pool.pick(x.client, x.sticky.mark, tried, time.Now())
		switch {
		case ok && m.enter():
			x.chosen = m
			return nil
		case ok:
			continue // another request was faster
		case !full:
			return errNoEndpoint
		}
		select {
		case <-freed:
		case <-deadline:
			return errFull
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// release ends the request's count on the endpoint that it was last given.
func (x *exchange) release() {
	m := x.chosen
	if m.target == nil {
		return
	}
	m.target.busy.Add(-1)
	x.chosen = member{}
	if m.most > 0 {
		x.pool.freed.ring()
	}
}

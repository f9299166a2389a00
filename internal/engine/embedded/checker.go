package embedded

import (
	"context"
	"net"
	"time"

	"golang.org/x/sync/errgroup"
)

// TCP checks as of design §8: every 2 s, fall 2, rise 1.
const (
	checkInterval = 2 * time.Second
	checkFall     = 2
	checksAtOnce  = 64
)

// checkEndpoints checks the present targets in rounds until ctx ends. A new
// target counts as up until its checks fail.
func (e *Engine) checkEndpoints(ctx context.Context) {
	tick := time.NewTicker(checkInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if s := e.state.Load(); s != nil {
			e.checkRound(ctx, s)
		}
	}
}

func (e *Engine) checkRound(ctx context.Context, s *state) {
	dialer := net.Dialer{Timeout: milliseconds(s.base.ConnectTimeout, time.Second)}
	var group errgroup.Group
	group.SetLimit(checksAtOnce)
	for _, t := range s.targets {
		group.Go(func() error {
			conn, err := dialer.DialContext(ctx, "tcp", t.address)
			if err == nil {
				_ = conn.Close()
			}
			if ctx.Err() == nil && t.checked(err == nil) {
				e.options.Log.Info("endpoint changed", "target", t.key, "up", err == nil)
			}
			return nil
		})
	}
	_ = group.Wait()
}

// checked takes a check's result and says whether the verdict changed.
func (t *target) checked(good bool) (changed bool) {
	if good {
		t.misses = 0
		return t.down.Swap(false)
	}
	if t.misses++; t.misses < checkFall {
		return false
	}
	return !t.down.Swap(true)
}

package docker

import (
	"context"
	"sync"
	"time"
)

// limiter lets through rate calls per second and as many at once after a pause.
type limiter struct {
	mu    sync.Mutex
	every time.Duration
	burst time.Duration
	// next is when the budget is full again, were no more calls made.
	next time.Time
}

func newLimiter(rate int) *limiter {
	every := time.Second / time.Duration(rate)
	return &limiter{every: every, burst: time.Second}
}

// wait returns when the call may be made, or with ctx's error.
func (l *limiter) wait(ctx context.Context) error {
	delay := l.reserve(time.Now())
	if delay <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *limiter) reserve(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.next.Before(now) {
		l.next = now
	}
	l.next = l.next.Add(l.every)
	return l.next.Sub(now) - l.burst
}

package embedded

import (
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"interlock/routing"
)

// Checks as of design §8: every 2 s where a service says nothing, fall 2, rise 1.
const (
	checkInterval = 2 * time.Second
	checkFall     = 2
	checksAtOnce  = 64
	// checkTick is how often is looked for checks that are due.
	checkTick = 250 * time.Millisecond
)

// check is how one target is checked.
type check struct {
	target            *target
	path              string // "" connects only
	h2                bool
	interval, timeout time.Duration
	statuses          []routing.StatusRange
}

// checksOf are the checks of all targets that some route leads to.
func checksOf(t routing.Table, eps routing.Endpoints, targets map[string]*target) (checks []check) {
	for _, b := range t.Backends {
		connect := milliseconds(b.ConnectTimeout, milliseconds(t.Base.ConnectTimeout, time.Second))
		c := check{path: b.HealthPath, h2: b.Protocol == routing.H2, interval: milliseconds(b.HealthInterval, checkInterval), timeout: connect}
		if b.HealthPath != "" {
			c.timeout = milliseconds(b.HealthTimeout, connect)
			c.statuses, _ = routing.Statuses(orDefault(b.HealthStatus)) // Validate has seen it
		}
		for _, e := range eps[b.ID] {
			address := net.JoinHostPort(e.Address, strconv.Itoa(e.Port))
			if c.target = targets[b.ID+" "+address]; c.target != nil {
				checks = append(checks, c)
			}
		}
	}
	return checks
}

func orDefault(statuses string) string {
	if statuses == "" {
		return routing.DefaultHealthStatus
	}
	return statuses
}

// checkEndpoints checks the present targets until ctx ends, each in its own
// time: one that does not answer delays no other. A new target counts as up
// until its checks fail.
func (e *Engine) checkEndpoints(ctx context.Context) {
	tick := time.NewTicker(checkTick)
	defer tick.Stop()
	var running sync.WaitGroup
	defer running.Wait()
	places := make(chan struct{}, checksAtOnce)
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if s := e.state.Load(); s != nil {
				e.startChecks(ctx, s.checks, now, places, &running)
			}
		}
	}
}

// startChecks starts what is due, as far as there are places.
func (e *Engine) startChecks(ctx context.Context, checks []check, now time.Time, places chan struct{}, running *sync.WaitGroup) {
	for _, c := range checks {
		if now.Before(c.target.due) || !c.target.checking.CompareAndSwap(false, true) {
			continue
		}
		select {
		case places <- struct{}{}:
		default:
			c.target.checking.Store(false)
			return
		}
		c.target.due = now.Add(c.interval)
		running.Go(func() {
			defer func() { <-places }()
			defer c.target.checking.Store(false)
			good := c.good(ctx)
			if ctx.Err() == nil && c.target.checked(good) {
				e.options.Log.Info("endpoint changed", "target", c.target.key, "up", good)
			}
		})
	}
}

// good asks the target.
func (c check) good(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.target.address)
	if err != nil {
		return false
	}
	defer conn.Close()
	if c.path == "" {
		return true
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	status, err := askHealth(conn, c.path, c.h2)
	if err != nil {
		return false
	}
	for _, r := range c.statuses {
		if status >= r.From && status <= r.To {
			return true
		}
	}
	return false
}

// askHealth returns the status of one request on conn.
func askHealth(conn net.Conn, path string, h2 bool) (int, error) {
	transport := &http.Transport{
		DialContext:            func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: 64 << 10,
		Protocols:              protocols(h2),
	}
	r, err := http.NewRequest(http.MethodGet, "http://localhost"+path, nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("User-Agent", "interlock")
	response, err := transport.RoundTrip(r)
	if err != nil {
		return 0, err
	}
	_, _ = io.CopyN(io.Discard, response.Body, 64<<10)
	return response.StatusCode, response.Body.Close()
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

package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// sighting is what requests saw of one task.
type sighting struct {
	// first answer through each proxy.
	first map[netip.AddrPort]time.Time
	// last is when the last answer was complete.
	last time.Time
}

// count is of requests in one phase.
type count struct {
	Sent   int `json:"sent"`
	Failed int `json:"failed"`
}

// traffic is steady load on one host through every proxy: to each of them a
// client with a kept connection and one with new ones, at pollEvery.
type traffic struct {
	host    string
	proxies []netip.AddrPort

	mu       sync.Mutex
	phase    string
	served   map[*asker]bool // clients whose last request was answered
	tasks    map[string]sighting
	counts   map[string]count // by phase
	failures []string
}

// maxFailures bounds what is remembered of failures beside their number.
const maxFailures = 20

// The phases of a round. What fails while there is no route is no failure.
const (
	arrives  = "create"
	grows    = "scale up"
	shrinks  = "scale down"
	replaces = "update"
	removes  = "rm"
)

func newTraffic(host string, proxies []netip.AddrPort) *traffic {
	return &traffic{host: host, proxies: proxies, phase: arrives, served: map[*asker]bool{}, tasks: map[string]sighting{}, counts: map[string]count{}}
}

// start begins the load; stop waits for the requests under way.
func (t *traffic) start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var clients sync.WaitGroup
	for _, p := range t.proxies {
		for _, keep := range []bool{false, true} {
			clients.Go(func() { t.client(ctx, &asker{proxy: p, host: t.host, keep: keep}) })
		}
	}
	return func() { cancel(); clients.Wait() }
}

func (t *traffic) client(ctx context.Context, a *asker) {
	defer a.close()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		phase := t.now()
		got, err := a.ask()
		t.note(phase, a, got, err, time.Now())
	}
}

// begin names what happens from now on.
func (t *traffic) begin(phase string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.phase = phase
}

func (t *traffic) now() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.phase
}

func (t *traffic) note(phase string, a *asker, got answer, err error, done time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.phase == removes { // asked before, answered after: nobody may be there
		phase = removes
	}
	c := t.counts[phase]
	c.Sent++
	t.served[a] = err == nil && got.status == http.StatusOK
	if !t.served[a] {
		c.Failed++
		if expected := phase == arrives || phase == removes; !expected && len(t.failures) < maxFailures {
			t.failures = append(t.failures, fmt.Sprintf("%s %s through %s, kept %v: %d %v", done.Format("15:04:05.000"), phase, a.proxy, a.keep, got.status, err))
		}
	} else {
		t.sighted(a.proxy, got.task, done)
	}
	t.counts[phase] = c
}

// everyone says that the last request of each client was answered. A kept
// connection to a worker of before a reload knows a new route only after its
// next request, with which that worker closes it.
func (t *traffic) everyone() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, ok := range t.served {
		if ok {
			n++
		}
	}
	return n == 2*len(t.proxies)
}

func (t *traffic) sighted(via netip.AddrPort, task string, at time.Time) {
	s := t.tasks[task]
	if s.first == nil {
		s.first = map[netip.AddrPort]time.Time{}
	}
	if _, before := s.first[via]; !before {
		s.first[via] = at
	}
	if at.After(s.last) {
		s.last = at
	}
	t.tasks[task] = s
}

// of is what was seen of a task; everywhere is when the last of the proxies
// first had an answer from it, zero while one had none.
func (t *traffic) of(task string) (last, everywhere time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.tasks[task]
	return s.last, latest(s.first, len(t.proxies))
}

func latest(first map[netip.AddrPort]time.Time, want int) time.Time {
	if len(first) < want {
		return time.Time{}
	}
	var last time.Time
	for at := range maps.Values(first) {
		if at.After(last) {
			last = at
		}
	}
	return last
}

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	docker "github.com/moby/moby/api/types/swarm"

	"interlock/test/swarm"
)

// result is what one round measured.
type result struct {
	// created is from the call that creates the service to its first 200 through
	// every proxy; running and shown are from its first task's RUNNING, by its
	// node's clock and by the manager's list.
	created, running, shown time.Duration
	// joined is, for each task that came later, from RUNNING to its first answer
	// through every proxy.
	joined   []time.Duration
	left     []departure
	counts   map[string]count
	failures []string
}

// departure is the end of one task.
type departure struct {
	how string // phase
	// last is from the first list in which the task's desired state is not
	// RUNNING to its last answer; notice is from there to SIGTERM.
	last, notice time.Duration
}

// late says that the task answered after SIGTERM.
func (d departure) late() bool { return d.last > d.notice }

// stepWithin bounds each step of a round.
const stepWithin = time.Minute

// round follows one service from its creation to its end.
type round struct {
	*service
	lives   *lives
	traffic *traffic
	signals *signals
	result  result
	// came and left are tasks that are in the result.
	came, left map[string]bool
}

func (w *world) round(ctx context.Context, s *signals, n int) (result, error) {
	name := fmt.Sprintf("bench-%s-%d", w.run, n)
	host := name + "." + w.env.Name + ".example.com"
	r := &round{
		service: w.service(name, host), lives: &lives{tasks: map[string]life{}},
		traffic: newTraffic(host, w.proxies), signals: s, came: map[string]bool{}, left: map[string]bool{},
	}
	following, cancel := context.WithCancel(ctx)
	defer cancel()
	go r.lives.follow(following, r.service)
	stop := r.traffic.start(following)
	defer stop()
	err := r.run(ctx, n)
	if err != nil {
		_ = r.remove(context.WithoutCancel(ctx)) // it may be gone already
		return result{}, err
	}
	cancel()
	stop()
	r.result.counts, r.result.failures = r.traffic.counts, r.traffic.failures
	// The next round begins when this one's rollouts and the pause after them
	// are over, and at no fixed distance to what happens periodically.
	return r.result, pause(ctx, 3*time.Second+rand.N(3*time.Second))
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (r *round) run(ctx context.Context, n int) error {
	order := []docker.UpdateOrder{docker.UpdateOrderStopFirst, docker.UpdateOrderStartFirst}[n%2]
	began := time.Now()
	for _, step := range []struct {
		phase string
		do    func(context.Context) error
		done  func() bool
	}{
		{arrives, r.create, func() bool { return r.serving() == 1 && r.traffic.everyone() }},
		{grows, func(ctx context.Context) error { return r.scale(ctx, 3) }, func() bool { return r.serving() == 3 }},
		{shrinks, func(ctx context.Context) error { return r.scale(ctx, 2) }, func() bool { return r.departed() == 1 }},
		{replaces, func(ctx context.Context) error { return r.replace(ctx, order) }, func() bool { return r.departed() == 3 && r.serving() == 2 }},
		{removes, r.remove, func() bool { return r.departed() == 5 && r.unrouted() }},
	} {
		r.traffic.begin(step.phase)
		if err := step.do(ctx); err != nil {
			return err
		}
		if err := r.until(ctx, step.done); err != nil {
			return fmt.Errorf("%s of %s: %w", step.phase, r.name, err)
		}
		r.tell(step.phase, began)
	}
	return nil
}

func (r *round) until(ctx context.Context, done func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, stepWithin)
	defer cancel()
	return swarm.Poll(ctx, pollEvery, func() (bool, error) { return done(), nil })
}

// serving is how many tasks are meant to run and have answered through every
// proxy.
func (r *round) serving() int {
	n := 0
	for id, l := range r.lives.all() {
		if _, everywhere := r.traffic.of(id); l.left.IsZero() && !l.seen.IsZero() && !everywhere.IsZero() {
			n++
		}
	}
	return n
}

// after is how long a task that was told to stop is watched for answers.
const after = 500 * time.Millisecond

func (r *round) departed() int {
	n := 0
	for id, l := range r.lives.all() {
		if r.gone(id, l) {
			n++
		}
	}
	return n
}

func (r *round) gone(id string, l life) bool {
	told := r.signals.of(id)
	return !l.left.IsZero() && !told.IsZero() && time.Since(told) > after
}

func (r *round) unrouted() bool {
	for _, p := range r.traffic.proxies {
		a := asker{proxy: p, host: r.traffic.host}
		if got, err := a.ask(); err != nil || got.status == http.StatusOK {
			return false
		}
	}
	return true
}

// tell takes the tasks that came and left since the last time into the result.
func (r *round) tell(phase string, began time.Time) {
	for id, l := range r.lives.all() {
		last, everywhere := r.traffic.of(id)
		if !r.came[id] && !everywhere.IsZero() {
			r.came[id] = true
			r.arrival(phase, l, everywhere, began)
		}
		if !r.left[id] && r.gone(id, l) {
			r.left[id] = true
			r.result.left = append(r.result.left, departure{phase, last.Sub(l.left), r.signals.of(id).Sub(l.left)})
		}
	}
}

func (r *round) arrival(phase string, l life, everywhere, began time.Time) {
	if phase != arrives {
		r.result.joined = append(r.result.joined, everywhere.Sub(l.started))
		return
	}
	r.result.created, r.result.running, r.result.shown = everywhere.Sub(began), everywhere.Sub(l.started), everywhere.Sub(l.seen)
}

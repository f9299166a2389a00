package docker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/moby/moby/client"

	"interlock/internal/swarm"
)

// WatchOptions are a watcher's times. Zero values mean the ones in brackets.
type WatchOptions struct {
	// Poll is the time between two looks at the tasks of services that are
	// changing (150 ms).
	Poll time.Duration
	// Quiet is how long they are looked at after the last change (2 s).
	Quiet time.Duration
	// Settle bounds how long they are looked at while they have not the tasks
	// that they should have (1 min). During an update it goes on, every Slow
	// (500 ms): the next task is stopped without an event.
	Settle, Slow time.Duration
	// Tasks is the time between two looks at all tasks that are meant to run
	// (2 s), and Changing while any service changes (1 s). Either is 20 times
	// what the last look took where that is longer.
	Tasks, Changing time.Duration
	// Full is the time between two looks at everything (30 s).
	Full time.Duration
	// Guard is how long what is missing without a reason is held (60 s).
	Guard time.Duration
}

func (o WatchOptions) withDefaults() WatchOptions {
	o.Poll = cmp.Or(o.Poll, 150*time.Millisecond)
	o.Quiet = cmp.Or(o.Quiet, 2*time.Second)
	o.Settle = cmp.Or(o.Settle, time.Minute)
	o.Slow = cmp.Or(o.Slow, 500*time.Millisecond)
	o.Tasks = cmp.Or(o.Tasks, 2*time.Second)
	o.Changing = cmp.Or(o.Changing, time.Second)
	o.Full = cmp.Or(o.Full, 30*time.Second)
	o.Guard = cmp.Or(o.Guard, time.Minute)
	return o
}

const (
	// gather is how long hints are collected before they are followed.
	gather = 20 * time.Millisecond
	// scopeMax bounds the services in one scoped question, scopedMax the scoped
	// questions that wait for an answer, and scopedWait the wait: a stopping task
	// serves for three seconds (E6).
	scopeMax   = 50
	scopedMax  = 4
	scopedWait = 2 * time.Second
	// askAgain is the pause after a failed look at what events have named.
	askAgain = 500 * time.Millisecond
	// share: all tasks are listed for at most one share of the time.
	share = 20
	// The pause between two attempts to subscribe grows from retryMin to
	// retryMax; a stream that lasted longer than that begins anew.
	retryMin, retryMax = 100 * time.Millisecond, 5 * time.Second
)

// source is the Engine as a watcher sees it.
type source interface {
	list(ctx context.Context, path string, filters client.Filters) ([]json.RawMessage, error)
	events(ctx context.Context) (<-chan event, error)
}

// Watcher turns the Engine's events and lists into snapshots. Events are hints,
// lists are truth.
//
//	subscribe ─► everything ─┬─ event ────────► that object, its services' tasks
//	    ▲                    ├─ every Poll ───► tasks of services that change
//	    │                    ├─ every Tasks ──► all tasks meant to run
//	    └── stream ended ────┴─ every Full ───► everything
//
// One goroutine owns the view. Lists are asked for beside it, one wide one at a
// time and a few scoped ones, so that a slow answer holds nothing else up.
type Watcher struct {
	from source
	o    WatchOptions
	log  *slog.Logger

	view *view
	// active are services whose tasks are polled, with the time to stop and
	// the time of the event or change that made them so.
	active map[string]activity
	// dirty is what events said has changed.
	dirty struct {
		at       time.Time
		services map[string]bool
		lists    map[string]bool
	}
	pollAt, fullAt time.Time
	// tasks is when the last look at all tasks ended, and what it took.
	tasks struct {
		at   time.Time
		cost time.Duration
	}
	asking asking
	// begun is set when everything was looked at for the first time.
	begun bool
	out   chan swarm.Snapshot
}

type activity struct{ until, since, polled time.Time }

// NewWatcher does nothing until Run.
func NewWatcher(c *Client, o WatchOptions, log *slog.Logger) *Watcher { return newWatcher(c, o, log) }

func newWatcher(from source, o WatchOptions, log *slog.Logger) *Watcher {
	o = o.withDefaults()
	w := &Watcher{
		from: from, o: o, log: log, view: newView(o.Guard),
		active: map[string]activity{}, out: make(chan swarm.Snapshot, 1),
	}
	w.dirty.services, w.dirty.lists = map[string]bool{}, map[string]bool{}
	return w
}

// Run watches until ctx ends and returns its error. It calls emit with a
// snapshot when something changed, and after each look at everything, from one
// goroutine; snapshots that emit is too slow for are skipped, never the newest.
// A snapshot is not to be written to.
func (w *Watcher) Run(ctx context.Context, emit func(swarm.Snapshot)) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for s := range w.out {
			emit(s)
		}
	}()
	defer func() { close(w.out); <-done }()
	pause := retryMin
	for ctx.Err() == nil {
		began := time.Now()
		events, err := w.from.events(ctx)
		if err == nil {
			w.follow(ctx, events)
			if ctx.Err() == nil { // not because we end
				w.log.Warn("the stream of Docker's events ended; starting over")
			}
			if time.Since(began) > retryMax {
				pause = retryMin
			}
		} else if ctx.Err() == nil {
			w.log.Warn("can't subscribe to Docker's events", "error", err)
			w.follow(ctx, nil)
		}
		sleep(ctx, pause/2+rand.N(pause))
		pause = min(2*pause, retryMax)
	}
	return ctx.Err()
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// follow works until the stream of events ends. What has been asked for by then
// is waited for: also without a stream everything is looked at once.
func (w *Watcher) follow(ctx context.Context, events <-chan event) {
	ctx, cancel := context.WithCancel(ctx)
	w.asking.reset()
	defer func() { cancel(); w.asking.group.Wait() }()
	w.queueEverything()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		w.askNext(ctx)
		if events == nil && w.asking.idle() {
			return
		}
		due := timer.C
		if timer.Reset(max(0, time.Until(w.next()))); events == nil || !w.begun {
			due = nil // answers come first
		}
		select {
		case e, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			w.note(e, time.Now())
		case a := <-w.asking.answers:
			w.take(a)
		case <-due:
			w.due(ctx, time.Now())
		case <-ctx.Done():
			return
		}
	}
}

// next is the earliest time at which something is due.
func (w *Watcher) next() time.Time {
	at := w.fullAt
	if t := w.tasksAt(); t.Before(at) {
		at = t
	}
	if len(w.active) > 0 && w.pollAt.Before(at) {
		at = w.pollAt
	}
	if !w.dirty.at.IsZero() && w.dirty.at.Before(at) {
		at = w.dirty.at
	}
	return at
}

func (w *Watcher) tasksAt() time.Time {
	pause := w.o.Tasks
	if len(w.active) > 0 {
		pause = min(pause, w.o.Changing)
	}
	return w.tasks.at.Add(max(pause, share*w.tasks.cost))
}

// note takes a hint. A removal is the one event that is believed as it is:
// the reason that makes an absence a fact.
func (w *Watcher) note(e event, now time.Time) {
	switch {
	case e.ofState():
		return
	case e.kind == "service" && e.action == "remove":
		w.view.removeService(e.id, w.asking.last)
		delete(w.active, e.id)
		delete(w.dirty.services, e.id)
	case e.kind == "service":
		w.dirty.services[e.id] = true
		w.activate(e.id, now)
	case e.kind == "node":
		w.dirty.lists["nodes"] = true
		w.activateNode(e.id, now)
	default:
		w.dirty.lists[e.kind+"s"] = true
	}
	if w.dirty.at.IsZero() {
		w.dirty.at = now.Add(gather)
	}
}

func (w *Watcher) activate(service string, now time.Time) {
	a := w.active[service]
	a.since, a.until, a.polled = now, now.Add(w.o.Quiet), time.Time{}
	w.active[service] = a
	if soon := now.Add(gather); w.pollAt.Before(now) || soon.Before(w.pollAt) {
		w.pollAt = soon
	}
}

// activateNode: whatever happens to a node happens to the services on it.
func (w *Watcher) activateNode(node string, now time.Time) {
	for _, t := range w.view.tasks.list() {
		if t.NodeID == node {
			w.activate(t.ServiceID, now)
		}
	}
}

// activateAll is for what a look at everything has found: at the first one all
// is new, and only what is on the move is worth a closer look.
func (w *Watcher) activateAll(services []string) {
	scope := map[string]bool{}
	for _, id := range services {
		scope[id] = true
	}
	settled := w.view.settled(scope)
	now := time.Now()
	for _, id := range services {
		if !w.begun && settled[id] {
			continue
		}
		w.activate(id, now)
	}
}

// due does what the time has come for.
func (w *Watcher) due(ctx context.Context, now time.Time) {
	if !now.Before(w.fullAt) {
		w.queueEverything()
	}
	if !w.dirty.at.IsZero() && !now.Before(w.dirty.at) {
		w.askDirty(ctx)
	}
	if !now.Before(w.tasksAt()) {
		w.queueTasks()
	}
	if len(w.active) > 0 && !now.Before(w.pollAt) {
		w.poll(ctx, now)
	}
	w.hurry()
	w.send(false)
}

// hurry has doubt that a scoped question left cleared with the next look at all
// tasks: while it lasts, new services and proxies wait.
func (w *Watcher) hurry() {
	if at := w.tasksAt(); w.view.inDoubt() && at.Before(w.fullAt) {
		w.fullAt = at
	}
}

// pursue decides whether a service that was just polled is polled again.
func (w *Watcher) pursue(id string, touched, settled bool, now time.Time) {
	a, ok := w.active[id]
	if !ok {
		return
	}
	if touched {
		a.since, a.until = now, now.Add(w.o.Quiet)
	}
	settled = settled || now.Sub(a.since) > w.o.Settle && !updating(w.view.services.get(id))
	if settled && now.After(a.until) {
		delete(w.active, id)
		return
	}
	w.active[id] = a
	if at := a.polled.Add(w.pace(a, now)); at.Before(w.pollAt) {
		w.pollAt = at
	}
}

func (w *Watcher) report(list string, err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		w.log.Warn("a list of Docker's is in doubt; what was known of it stays in force", "list", list, "error", err)
	}
}

// send hands the newest snapshot over, replacing one that was not taken yet.
func (w *Watcher) send(always bool) {
	if !always && (!w.view.changed || !w.begun) {
		return
	}
	w.view.changed = false
	select {
	case <-w.out:
	default:
	}
	w.out <- w.view.snapshot()
}

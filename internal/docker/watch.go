package docker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
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
	// that they should have (1 min).
	Settle time.Duration
	// Tasks is the time between two looks at all tasks that are meant to run (3 s).
	Tasks time.Duration
	// Full is the time between two looks at everything (30 s).
	Full time.Duration
	// Guard is how long what is missing without a reason is held (60 s).
	Guard time.Duration
}

func (o WatchOptions) withDefaults() WatchOptions {
	o.Poll = cmp.Or(o.Poll, 150*time.Millisecond)
	o.Quiet = cmp.Or(o.Quiet, 2*time.Second)
	o.Settle = cmp.Or(o.Settle, time.Minute)
	o.Tasks = cmp.Or(o.Tasks, 3*time.Second)
	o.Full = cmp.Or(o.Full, 30*time.Second)
	o.Guard = cmp.Or(o.Guard, time.Minute)
	return o
}

const (
	// gather is how long hints are collected before they are followed.
	gather = 20 * time.Millisecond
	// scopeMax bounds the services in one scoped question.
	scopeMax = 50
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
	pollAt, tasksAt, fullAt time.Time
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
			w.log.Warn("the stream of Docker's events ended; starting over")
			if time.Since(began) > retryMax {
				pause = retryMin
			}
		} else {
			w.log.Warn("can't subscribe to Docker's events", "error", err)
			w.lookAtEverything(ctx)
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

// follow works until the stream of events ends.
func (w *Watcher) follow(ctx context.Context, events <-chan event) {
	w.lookAtEverything(ctx)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(max(0, time.Until(w.next())))
		select {
		case e, ok := <-events:
			if !ok {
				return
			}
			w.note(e, time.Now())
		case <-timer.C:
			w.due(ctx, time.Now())
		case <-ctx.Done():
			return
		}
	}
}

// next is the earliest time at which something is due.
func (w *Watcher) next() time.Time {
	at := w.fullAt
	if w.tasksAt.Before(at) {
		at = w.tasksAt
	}
	if len(w.active) > 0 && w.pollAt.Before(at) {
		at = w.pollAt
	}
	if !w.dirty.at.IsZero() && w.dirty.at.Before(at) {
		at = w.dirty.at
	}
	return at
}

// note takes a hint. A removal is the one event that is believed as it is:
// the reason that makes an absence a fact.
func (w *Watcher) note(e event, now time.Time) {
	switch {
	case e.ofState():
		return
	case e.kind == "service" && e.action == "remove":
		w.view.removeService(e.id)
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
	a.since, a.until = now, now.Add(w.o.Quiet)
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

func (w *Watcher) due(ctx context.Context, now time.Time) {
	if !now.Before(w.fullAt) {
		w.lookAtEverything(ctx)
		return
	}
	if !w.dirty.at.IsZero() && !now.Before(w.dirty.at) {
		w.lookAtDirty(ctx)
	}
	if len(w.active) > 0 && !now.Before(w.pollAt) {
		w.poll(ctx)
	}
	if !now.Before(w.tasksAt) {
		w.lookAtTasks(ctx)
	}
	w.hurry()
	w.send(false)
}

// hurry has doubt that a scoped question left cleared with the next look at all
// tasks: while it lasts, new services and proxies wait.
func (w *Watcher) hurry() {
	if w.view.inDoubt() && w.tasksAt.Before(w.fullAt) {
		w.fullAt = w.tasksAt
	}
}

// lookAtEverything asks in the order in which objects name each other.
func (w *Watcher) lookAtEverything(ctx context.Context) {
	for _, list := range []string{"secrets", "networks", "nodes"} {
		w.lookAt(ctx, list)
	}
	raws, err := w.from.list(ctx, "services", nil)
	touched, err := w.view.fillServices(raws, err, true, time.Now())
	w.report("services", err)
	w.activateAll(touched)
	w.lookAtTasks(ctx)
	w.lookAt(ctx, "configs")
	w.dirty.at = time.Time{}
	clear(w.dirty.lists)
	clear(w.dirty.services)
	w.fullAt = time.Now().Add(w.o.Full)
	w.hurry()
	w.begun = true
	w.send(true)
}

func (w *Watcher) lookAt(ctx context.Context, list string) {
	v := w.view
	var filters client.Filters
	switch list {
	case "networks":
		filters = swarmScope()
	case "configs":
		filters = configFilter(false)
	}
	raws, err := w.from.list(ctx, list, filters)
	switch list {
	case "nodes":
		err = fill(v, v.nodes, &v.doubt.Nodes, raws, err)
	case "networks":
		err = fill(v, v.networks, &v.doubt.Networks, raws, err)
	case "secrets":
		err = fill(v, v.secrets, &v.doubt.Secrets, raws, err)
	case "configs":
		err = fill(v, v.configs, &v.doubt.Configs, raws, err)
	}
	w.report(list, err)
}

func (w *Watcher) report(list string, err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		w.log.Warn("a list of Docker's is in doubt; what was known of it stays in force", "list", list, "error", err)
	}
}

func (w *Watcher) lookAtTasks(ctx context.Context) {
	raws, err := w.from.list(ctx, "tasks", make(client.Filters).Add("desired-state", "running"))
	touched, err := w.view.fillTasks(raws, err, nil, time.Now())
	w.report("tasks", err)
	w.activateAll(slices.Sorted(maps.Keys(touched)))
	w.tasksAt = time.Now().Add(w.o.Tasks)
}

// lookAtDirty follows the hints that have been gathered.
func (w *Watcher) lookAtDirty(ctx context.Context) {
	w.dirty.at = time.Time{}
	for list := range w.dirty.lists {
		w.lookAt(ctx, list)
	}
	clear(w.dirty.lists)
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(w.dirty.services)), scopeMax) {
		raws, err := w.from.list(ctx, "services", make(client.Filters).Add("id", ids...))
		_, err = w.view.fillServices(raws, err, false, time.Now())
		w.report("services", err)
	}
	clear(w.dirty.services)
}

// poll looks at the tasks of services that are changing, those first that have
// waited longest.
func (w *Watcher) poll(ctx context.Context) {
	ids := slices.SortedFunc(maps.Keys(w.active), func(a, b string) int {
		return cmp.Or(w.active[a].polled.Compare(w.active[b].polled), cmp.Compare(a, b))
	})
	ids = ids[:min(len(ids), scopeMax)]
	scope := map[string]bool{}
	for _, id := range ids {
		scope[id] = true
	}
	touched := w.ask(ctx, ids, scope)
	now, settled := time.Now(), w.view.settled(scope)
	for _, id := range ids {
		w.pursue(id, touched[id], settled[id], now)
	}
	w.pollAt = now.Add(w.o.Poll)
}

// ask lists the tasks of services. The Engine answers "not found" for all when
// it does not know one of them: then each is asked for by itself, and the one
// that is not known is no failure; its removal event is on its way.
func (w *Watcher) ask(ctx context.Context, ids []string, scope map[string]bool) map[string]bool {
	raws, err := w.from.list(ctx, "tasks", make(client.Filters).Add("service", ids...))
	if errors.Is(err, fs.ErrNotExist) && len(ids) == 1 {
		delete(w.active, ids[0])
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		touched := map[string]bool{}
		for _, id := range ids {
			maps.Copy(touched, w.ask(ctx, []string{id}, map[string]bool{id: true}))
		}
		return touched
	}
	touched, err := w.view.fillTasks(raws, err, scope, time.Now())
	w.report("tasks", err)
	return touched
}

// pursue decides whether a service that was just polled is polled again.
func (w *Watcher) pursue(id string, touched, settled bool, now time.Time) {
	a, ok := w.active[id]
	if !ok {
		return
	}
	a.polled = now
	if touched {
		a.until = now.Add(w.o.Quiet)
	}
	settled = settled || now.Sub(a.since) > w.o.Settle
	if settled && now.After(a.until) {
		delete(w.active, id)
		return
	}
	w.active[id] = a
}

// send hands the newest snapshot over, replacing one that was not taken yet.
func (w *Watcher) send(always bool) {
	if !w.view.changed && !always {
		return
	}
	w.view.changed = false
	select {
	case <-w.out:
	default:
	}
	w.out <- w.view.snapshot()
}

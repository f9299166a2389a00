package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moby/moby/client"

	"interlock/internal/swarm"
)

// engine is a Swarm in memory that answers as the Engine does.
type engine struct {
	mu       sync.Mutex
	services map[string]string // id → state of its update
	tasks    map[string]task
	fail     map[string]bool // lists that fail
	hide     bool            // lists are empty, as from a manager that lost its store
	stream   chan event
	asked    map[string]int
	delay    func(path string, filters client.Filters) time.Duration // nil: none
	broken   bool                                                    // a subscription ends at once
}

type task struct{ service, state, desired string }

func newEngine() *engine {
	return &engine{services: map[string]string{}, tasks: map[string]task{}, fail: map[string]bool{},
		stream: make(chan event), asked: map[string]int{}}
}

func (e *engine) events(context.Context) (<-chan event, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stream = make(chan event)
	if e.broken {
		close(e.stream)
	}
	return e.stream, nil
}

// change is how a story changes the Swarm.
func (e *engine) change(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f()
}

// tell sends an event of a service.
func (e *engine) tell(action, id string) {
	e.mu.Lock()
	stream := e.stream
	e.mu.Unlock()
	stream <- event{"service", action, id, id}
}

// list answers with what was there when it was asked, after the delay of a slow
// Engine.
func (e *engine) list(ctx context.Context, path string, filters client.Filters) ([]json.RawMessage, error) {
	raws, err := e.now(path, filters)
	if e.delay == nil {
		return raws, err
	}
	timer := time.NewTimer(e.delay(path, filters))
	defer timer.Stop()
	select {
	case <-timer.C:
		return raws, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (e *engine) now(path string, filters client.Filters) ([]json.RawMessage, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked[path]++
	if e.fail[path] {
		return nil, errors.New("no leader")
	}
	if e.hide {
		return nil, nil
	}
	var out []json.RawMessage
	switch path {
	case "services":
		for _, id := range slices.Sorted(maps.Keys(e.services)) {
			if want := filters["id"]; want == nil || want[id] {
				out = append(out, json.RawMessage(fmt.Sprintf(
					`{"ID":%q,"Spec":{"Name":%q,"Mode":{"Replicated":{"Replicas":1}}},"UpdateStatus":{"State":%q}}`, id, id, e.services[id])))
			}
		}
	case "tasks":
		for id := range filters["service"] {
			if _, ok := e.services[id]; !ok {
				return nil, fs.ErrNotExist
			}
		}
		for _, id := range slices.Sorted(maps.Keys(e.tasks)) {
			t := e.tasks[id]
			if want := filters["service"]; want != nil && !want[t.service] {
				continue
			}
			if want := filters["desired-state"]; want != nil && !want[t.desired] {
				continue
			}
			out = append(out, json.RawMessage(fmt.Sprintf(`{"ID":%q,"ServiceID":%q,"DesiredState":%q,"Status":{"State":%q}}`,
				id, t.service, t.desired, t.state)))
		}
	}
	return out, nil
}

func (e *engine) count(path string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.asked[path]
}

// watched runs a watcher over e in a bubble; story gets the newest snapshot's
// serving tasks by look.
func watched(t *testing.T, e *engine, story func(look func() string, last func() swarm.Snapshot)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var last atomic.Pointer[swarm.Snapshot]
		w := newWatcher(e, WatchOptions{}, slog.New(slog.DiscardHandler))
		done := make(chan error)
		go func() { done <- w.Run(ctx, func(s swarm.Snapshot) { last.Store(&s) }) }()
		synctest.Wait()
		story(func() string {
			synctest.Wait()
			var ids []string
			for _, task := range last.Load().Tasks {
				if task.Serving() {
					ids = append(ids, task.ID)
				}
			}
			return strings.Join(ids, " ")
		}, func() swarm.Snapshot { return *last.Load() })
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	})
}

func want(t *testing.T, when, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: serving %q, want %q", when, got, want)
	}
}

func wait(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// TestWatchDeploy: a new service's task is seen soon after it runs, and its end
// as soon as it is not meant to run any more.
func TestWatchDeploy(t *testing.T) {
	e := newEngine()
	watched(t, e, func(look func() string, last func() swarm.Snapshot) {
		e.change(func() { e.services["web"] = "" })
		e.tell("create", "web")
		wait(time.Second)
		want(t, "before the task", look(), "")
		if len(last().Services) != 1 {
			t.Errorf("services: %v", last().Services)
		}
		wait(10 * time.Second)
		e.change(func() { e.tasks["1"] = task{"web", "running", "running"} })
		wait(200 * time.Millisecond)
		want(t, "200 ms after it runs", look(), "1")
		e.tell("update", "web")
		wait(time.Second)
		e.change(func() { e.tasks["1"] = task{"web", "running", "shutdown"} })
		e.change(func() { e.tasks["2"] = task{"web", "running", "running"} })
		wait(200 * time.Millisecond)
		want(t, "200 ms after the change", look(), "2")
		if n := len(last().Tasks); n != 2 {
			t.Errorf("the task that stops is not shown: %d tasks", n)
		}
		e.change(func() { e.tasks["1"] = task{"web", "shutdown", "shutdown"} })
		wait(200 * time.Millisecond)
		if n := len(last().Tasks); n != 1 {
			t.Errorf("the task that has ended is shown: %d tasks", n)
		}
		e.change(func() { delete(e.services, "web") })
		e.tell("remove", "web")
		wait(200 * time.Millisecond)
		if s := last(); len(s.Services)+len(s.Tasks) != 0 {
			t.Errorf("a removed service is shown: %+v", s)
		}
		before := e.count("tasks")
		wait(30 * time.Second)
		if n := e.count("tasks") - before; n > 18 {
			t.Errorf("%d questions about tasks in 30 quiet seconds", n)
		}
	})
}

// TestWatchDoubt: what fails or is missing without a reason changes nothing,
// until it has been missing for Guard.
func TestWatchDoubt(t *testing.T) {
	e := newEngine()
	e.services["web"], e.services["api"] = "", ""
	e.tasks["1"], e.tasks["2"] = task{"web", "running", "running"}, task{"api", "running", "running"}
	watched(t, e, func(look func() string, last func() swarm.Snapshot) {
		want(t, "start", look(), "1 2")
		if d := last().Doubt; d.Services || d.Tasks || d.Nodes {
			t.Errorf("doubt at start: %+v", d)
		}
		e.change(func() { e.fail["tasks"], e.fail["services"] = true, true })
		wait(5 * time.Minute)
		want(t, "lists fail", look(), "1 2")
		if d := last().Doubt; !d.Services || !d.Tasks || d.Nodes {
			t.Errorf("doubt while lists fail: %+v", d)
		}
		e.change(func() { clear(e.fail) })
		wait(time.Minute)
		if d := last().Doubt; d.Services || d.Tasks {
			t.Errorf("doubt afterwards: %+v", d)
		}
		e.change(func() { e.hide = true })
		wait(50 * time.Second)
		want(t, "lists are empty without a reason", look(), "1 2")
		if n := len(last().Doubt.MissingServices); n != 2 {
			t.Errorf("%d services marked as missing", n)
		}
		e.change(func() { e.hide = false })
		wait(35 * time.Second)
		want(t, "they are back", look(), "1 2")
		if n := len(last().Doubt.MissingServices); n != 0 {
			t.Errorf("%d services marked as missing afterwards", n)
		}
		e.change(func() { delete(e.services, "web") })
		e.change(func() { delete(e.tasks, "1") })
		wait(3 * time.Minute)
		want(t, "missing for long", look(), "2")
	})
}

// TestWatchMissingTask: a task that vanishes from its own service's list is
// held, too; one that was stopping is not.
func TestWatchMissingTask(t *testing.T) {
	e := newEngine()
	e.services["web"] = ""
	e.tasks["1"] = task{"web", "running", "running"}
	watched(t, e, func(look func() string, last func() swarm.Snapshot) {
		gone := e.tasks["1"]
		e.change(func() { delete(e.tasks, "1") })
		wait(30 * time.Second)
		want(t, "missing", look(), "1")
		e.change(func() { e.tasks["1"] = gone })
		wait(60 * time.Second)
		want(t, "back", look(), "1")
		e.change(func() { delete(e.tasks, "1") })
		wait(70 * time.Second)
		want(t, "believed", look(), "")
	})
}

// TestWatchReconnect: what happened while the stream was down is seen.
func TestWatchReconnect(t *testing.T) {
	e := newEngine()
	watched(t, e, func(look func() string, last func() swarm.Snapshot) {
		e.change(func() { e.services["web"] = "" })
		e.change(func() { e.tasks["1"] = task{"web", "running", "running"} })
		e.change(func() { close(e.stream) })
		wait(time.Second)
		want(t, "after a new stream", look(), "1")
	})
}

// TestWatchShortDoubt: one scoped question that failed is made up for soon.
func TestWatchShortDoubt(t *testing.T) {
	e := newEngine()
	e.services["web"] = ""
	watched(t, e, func(look func() string, last func() swarm.Snapshot) {
		e.change(func() { e.fail["services"] = true })
		e.tell("update", "web")
		wait(time.Second)
		if !last().Doubt.Services {
			t.Error("a failed question left no doubt")
		}
		e.change(func() { clear(e.fail) })
		wait(4 * time.Second)
		if last().Doubt.Services {
			t.Error("it is still in doubt")
		}
	})
}

// TestWatchBrokenStream: an Engine that ends each subscription at once is not
// asked for everything all the time.
func TestWatchBrokenStream(t *testing.T) {
	e := newEngine()
	e.broken = true
	watched(t, e, func(look func() string, last func() swarm.Snapshot) {
		wait(time.Minute)
		if n := e.count("networks"); n < 10 || n > 30 {
			t.Errorf("%d looks at everything in a minute", n)
		}
	})
}

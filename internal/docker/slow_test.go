package docker

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"interlock/internal/swarm"
)

// TestWatchSlowList: an answer that does not come about one service, or about
// everything, holds no other service up.
func TestWatchSlowList(t *testing.T) {
	e := newEngine()
	for _, id := range []string{"slow", "web"} {
		e.services[id] = ""
		e.tasks[id+"1"] = task{id, "running", "running"}
	}
	slow := false
	e.delay = func(path string, filters client.Filters) time.Duration {
		if slow && (path == "networks" || filters["service"]["slow"]) {
			return time.Minute
		}
		return time.Millisecond
	}
	watched(t, e, func(look func() string, last func() swarm.Snapshot) {
		wait(10 * time.Second)
		want(t, "start", look(), "slow1 web1")
		slow = true
		e.tell("update", "slow")
		wait(30 * time.Second) // the lists of everything hang by now
		e.tell("update", "slow")
		wait(100 * time.Millisecond)
		e.tell("update", "web")
		wait(time.Second)
		e.change(func() { e.tasks["web1"] = task{"web", "running", "shutdown"} })
		wait(200 * time.Millisecond)
		want(t, "200 ms after a task is to stop", look(), "slow1")
	})
}

// TestWatchLateAnswer: what was asked before and is answered after something is
// known to have ended does not bring it back.
func TestWatchLateAnswer(t *testing.T) {
	e := newEngine()
	for _, id := range []string{"api", "web"} {
		e.services[id] = ""
		e.tasks[id+"1"] = task{id, "running", "running"}
	}
	var wide sync.Map // path → how often all of it was asked for
	e.delay = func(path string, filters client.Filters) time.Duration {
		if filters["service"] != nil || filters["id"] != nil {
			return time.Millisecond
		}
		n, _ := wide.LoadOrStore(path, new(atomic.Int64))
		n.(*atomic.Int64).Add(1)
		return 900 * time.Millisecond // everything and all tasks
	}
	until := func(path string) {
		n, _ := wide.Load(path)
		for before := n.(*atomic.Int64).Load(); n.(*atomic.Int64).Load() == before; {
			wait(10 * time.Millisecond)
		}
	}
	watched(t, e, func(look func() string, last func() swarm.Snapshot) {
		wait(10 * time.Second)
		want(t, "start", look(), "api1 web1")
		until("services")
		e.change(func() { delete(e.services, "api"); delete(e.tasks, "api1") })
		e.tell("remove", "api")
		until("tasks")
		e.change(func() { e.tasks["web1"] = task{"web", "shutdown", "shutdown"} })
		e.tell("update", "web")
		wait(200 * time.Millisecond)
		for range 100 {
			want(t, "after the end", look(), "")
			if n := len(last().Services); n != 1 {
				t.Fatalf("%d services after one was removed", n)
			}
			wait(100 * time.Millisecond)
		}
	})
}

// TestWatchLongUpdate: an update that pauses between its tasks for longer than
// anything else is looked at is followed to its end.
func TestWatchLongUpdate(t *testing.T) {
	e := newEngine()
	e.services["web"] = ""
	e.tasks["1"] = task{"web", "running", "running"}
	watched(t, e, func(look func() string, last func() swarm.Snapshot) {
		e.change(func() { e.services["web"] = "updating" })
		e.tell("update", "web")
		wait(10 * time.Minute)
		want(t, "in the pause", look(), "1")
		e.change(func() { e.tasks["1"] = task{"web", "running", "shutdown"} })
		wait(600 * time.Millisecond)
		want(t, "600 ms after its task is to stop", look(), "")
	})
}

// TestWatchCrash: no event tells of a task that ends by itself.
func TestWatchCrash(t *testing.T) {
	e := newEngine()
	for _, id := range []string{"api", "web"} {
		e.services[id] = ""
		e.tasks[id] = task{id, "running", "running"}
	}
	watched(t, e, func(look func() string, last func() swarm.Snapshot) {
		wait(10 * time.Second)
		e.change(func() { e.tasks["web"] = task{"web", "failed", "shutdown"} })
		wait(2100 * time.Millisecond)
		want(t, "2 s after a crash", look(), "api")
		wait(time.Minute)
		for range 10 {
			e.tell("update", "web") // something changes
			wait(1300 * time.Millisecond)
			e.change(func() { e.tasks["api"] = task{"api", "failed", "shutdown"} })
			wait(1100 * time.Millisecond)
			want(t, "1 s after a crash while another service changes", look(), "")
			e.change(func() { e.tasks["api"] = task{"api", "running", "running"} })
			wait(time.Minute)
		}
	})
}

// TestWatchCost: all tasks are listed for at most a twentieth of the time.
func TestWatchCost(t *testing.T) {
	e := newEngine()
	e.delay = func(path string, _ client.Filters) time.Duration {
		if path == "tasks" {
			return 500 * time.Millisecond
		}
		return 0
	}
	watched(t, e, func(func() string, func() swarm.Snapshot) {
		wait(2 * time.Minute)
		before := e.count("tasks")
		wait(5 * time.Minute)
		if n := e.count("tasks") - before; n < 25 || n > 42 { // ten of them are of everything
			t.Errorf("%d lists of all tasks in five minutes", n)
		}
	})
}

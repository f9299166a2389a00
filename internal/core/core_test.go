package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"interlock/bundle"
	"interlock/extension"
	"interlock/internal/api"
	"interlock/internal/explain"
	"interlock/internal/problems"
	"interlock/internal/swarm"
	"interlock/routing"
)

func TestFromSwarmToProxies(t *testing.T) {
	w := newWorld(t)
	w.start()
	dev, prod := w.agent("dev", "dev.1", nil), w.agent("prod", "prod.1", nil)
	w.give(snapshot(web, shop))
	w.until("dev serves web", dev.serves("web.example.com", "10.0.0.2:80"))
	w.until("prod serves shop", prod.serves("shop.example.com", "10.0.1.2:80"))
	w.until("both are ready", func() bool { return w.core.Status().Ready() })
	if dev.targets("shop.example.com") != "no route" {
		t.Error("dev serves a prod host")
	}
	if got := w.core.Routes(); len(got) != 2 || !got[0].Live {
		t.Errorf("routes %+v", got)
	}

	// An endpoint moves: no generation is needed for that.
	moved := web
	moved.address = "10.0.0.9"
	w.give(snapshot(moved, shop))
	w.until("dev follows", dev.serves("web.example.com", "10.0.0.9:80"))
	if got := w.cluster("dev").Generation.Generation; got != 1 {
		t.Errorf("generation %d", got)
	}

	// Structure changes in dev only.
	blog := app{name: "blog", collection: "/dev", host: "blog.example.com", port: "81", address: "10.0.0.3"}
	w.give(snapshot(moved, blog, shop))
	w.until("dev serves blog", dev.serves("blog.example.com", "10.0.0.3:81"))
	w.until("dev's second generation", w.confirmed("dev", 2))
	if prod.offers != 1 || w.cluster("prod").Generation.Generation != 1 {
		t.Error("prod was touched")
	}
}

// poison is what an engine refuses although everything before accepts it.
func poison(t routing.Table) string {
	for _, b := range t.Backends {
		if strings.Contains(b.Service, "poison") {
			return "[ALERT] in backend of " + b.Service
		}
	}
	return ""
}

// TestRefusedChangeIsTakenApart: the guilty service is quarantined with the
// engine's words, the rest of the change goes live.
func TestRefusedChangeIsTakenApart(t *testing.T) {
	w := newWorld(t)
	w.start()
	dev := w.agent("dev", "dev.1", poison)
	w.give(snapshot(web))
	w.until("first generation", w.confirmed("dev", 1))
	apps := []app{web}
	for i := range 6 {
		apps = append(apps, app{name: fmt.Sprintf("a%d", i), collection: "/dev", host: fmt.Sprintf("a%d.example.com", i), port: "80", address: fmt.Sprintf("10.0.0.%d", 10+i)})
	}
	bad := app{name: "poison", collection: "/dev", host: "bad.example.com", port: "80", address: "10.0.0.66"}
	w.give(snapshot(append(apps, bad)...))
	w.until("the rest is live", dev.serves("a5.example.com", "10.0.0.15:80"))
	w.until("the guilty one is named", w.problem("quarantined-by-engine", "poison"))
	w.until("second generation", w.confirmed("dev", 2))
	if dev.targets("bad.example.com") != "no route" {
		t.Error("the guilty one is served")
	}
	// It ends when the labels change.
	bad.name, bad.host = "cured", "cured.example.com"
	w.give(snapshot(append(apps, bad)...))
	w.until("the cured one is live", dev.serves("cured.example.com", "10.0.0.66:80"))
}

// TestQuarantinedServiceKeepsItsLastGoodRoute, also over a restart of core.
func TestQuarantinedServiceKeepsItsLastGoodRoute(t *testing.T) {
	w := newWorld(t)
	w.start()
	refuse := func(t routing.Table) string {
		for _, r := range t.Routes {
			if r.Host == "evil.example.com" {
				return "[ALERT] evil"
			}
		}
		return ""
	}
	dev := w.agent("dev", "dev.1", refuse)
	w.give(snapshot(web))
	w.until("first generation", w.confirmed("dev", 1))
	changed := web
	changed.host, changed.address = "evil.example.com", "10.0.0.7"
	w.give(snapshot(changed))
	w.until("it is quarantined", w.problem("quarantined-by-engine", "web"))
	w.until("its endpoint is followed", dev.serves("web.example.com", "10.0.0.7:80"))
	w.until("the state is stored", w.stored("quarantine"))

	w.stop()
	w.start()
	dev.stop()
	dev.connect()
	changed.address = "10.0.0.8"
	w.give(snapshot(changed))
	w.until("its endpoint is followed", dev.serves("web.example.com", "10.0.0.8:80"))
	w.until("it is still quarantined", w.problem("quarantined-by-engine", "web"))
	if got := w.cluster("dev"); got.Generation.Generation != 1 {
		t.Errorf("generation %v", got.Generation)
	}
}

// TestRestart: core loads what it confirmed, publishes nothing new, and brings a
// proxy that is empty to it without asking anybody.
func TestRestart(t *testing.T) {
	w := newWorld(t)
	w.start()
	dev := w.agent("dev", "dev.1", nil)
	w.give(snapshot(web))
	w.until("first generation", w.confirmed("dev", 1))
	w.until("the state is stored", w.stored(`"confirmed":{"epoch":1,"generation":1}`))
	w.stop()
	dev.stop()

	w.start()
	empty := w.agent("dev", "dev.2", nil)
	w.until("the empty proxy has the routes before anything is seen", func() bool { return empty.targets("web.example.com") == "" })
	half := snapshot()
	half.Doubt.Services = true
	w.give(half)
	w.give(snapshot(web))
	w.until("and the endpoints after", empty.serves("web.example.com", "10.0.0.2:80"))
	dev.connect()
	w.until("the old one is synced", func() bool { return len(w.cluster("dev").Proxies) == 2 && w.cluster("dev").State == api.Ready })
	if got := w.cluster("dev").Generation; got != (bundle.Position{Epoch: 1, Generation: 1}) || dev.offers != 1 {
		t.Errorf("generation %v, %d offers", got, dev.offers)
	}
}

// TestLostStore: agents that outlived the store are not stranded.
func TestLostStore(t *testing.T) {
	w := newWorld(t)
	w.start()
	dev := w.agent("dev", "dev.1", nil)
	w.give(snapshot(web))
	w.until("first generation", w.confirmed("dev", 1))
	w.stop()
	dev.stop()
	w.store = w.emptyStore()
	w.start()
	dev.connect()
	w.give(snapshot(web))
	w.until("a generation past the agent's", func() bool {
		c := w.cluster("dev")
		return c.State == api.Ready && c.Generation == bundle.Position{Epoch: 2, Generation: 2}
	})
}

// TestClusterAtFault: a base that the engine refuses freezes its cluster and
// blames nobody; the others go on (I1).
func TestClusterAtFault(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.agent("dev", "dev.1", func(routing.Table) string { return "[ALERT] in global" })
	prod := w.agent("prod", "prod.1", nil)
	w.give(snapshot(web, shop))
	w.until("dev is frozen", func() bool { return w.cluster("dev").State == api.Frozen })
	w.until("prod serves", prod.serves("shop.example.com", "10.0.1.2:80"))
	if w.problem("quarantined-by-engine", "web")() {
		t.Error("a service is blamed")
	}
	if !w.problem("cluster-frozen", "")() {
		t.Error("nothing is said")
	}
}

// TestPanicConcernsItsCluster: what kills a pipeline leaves the others alone,
// and it comes back.
func TestPanicConcernsItsCluster(t *testing.T) {
	w := newWorld(t)
	w.start()
	dev, prod := w.agent("dev", "dev.1", nil), w.agent("prod", "prod.1", nil)
	w.give(snapshot(web, shop))
	w.until("both serve", func() bool { return w.confirmed("dev", 1)() && w.confirmed("prod", 1)() })
	w.core.pipelines["dev"].life.post(linked{nil}) // a nil session: as wrong as can be
	moved := shop
	moved.address = "10.0.1.3"
	w.give(snapshot(web, moved))
	w.until("prod follows", prod.serves("shop.example.com", "10.0.1.3:80"))
	moved2 := web
	moved2.address = "10.0.0.5"
	w.give(snapshot(moved2, moved))
	w.until("dev is back", dev.serves("web.example.com", "10.0.0.5:80"))
	w.until("dev is ready", func() bool { return w.cluster("dev").State == api.Ready })
	if dev.offers != 1 {
		t.Errorf("%d offers to dev", dev.offers)
	}
}

// TestDrain: a proxy whose task is meant to stop is told at once.
func TestDrain(t *testing.T) {
	w := newWorld(t)
	w.start()
	dev := w.agent("dev", "proxytask", nil)
	s := snapshot(web)
	s.Services = append(s.Services, swarm.Service{ID: "zz", Name: "interlock-proxy-dev"})
	s.Tasks = append(s.Tasks, swarm.Task{ID: "proxytask", ServiceID: "zz", Slot: 1, State: "running", Desired: "running"})
	w.give(s)
	w.until("ready", w.confirmed("dev", 1))
	s.Tasks = slices.Clone(s.Tasks)
	s.Tasks[1].Desired = "shutdown"
	w.give(s)
	w.until("it drains", func() bool {
		dev.mu.Lock()
		defer dev.mu.Unlock()
		return dev.drained
	})
}

// refusingStore can't be written while down is set.
type refusingStore struct {
	Store
	mu   sync.Mutex
	down bool
}

func (s *refusingStore) set(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

func (s *refusingStore) SaveState(ctx context.Context, slug string, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return errors.New("no quorum")
	}
	return s.Store.SaveState(ctx, slug, data)
}

// TestStoreDown: structure stands, endpoints flow, and it is said.
func TestStoreDown(t *testing.T) {
	w := newWorld(t)
	s := &refusingStore{Store: w.store}
	w.store = s
	w.start()
	dev := w.agent("dev", "dev.1", nil)
	w.give(snapshot(web))
	w.until("first generation", w.confirmed("dev", 1))
	w.until("the state is stored", w.stored(`"confirmed":{"epoch":1`))
	s.set(true)
	moved := web
	moved.address = "10.0.0.7"
	blog := app{name: "blog", collection: "/dev", host: "blog.example.com", port: "81", address: "10.0.0.3"}
	w.give(snapshot(moved, blog))
	w.until("endpoints flow", dev.serves("web.example.com", "10.0.0.7:80"))
	w.until("it is said", w.problem("store-unwritable", ""))
	if dev.targets("blog.example.com") != "no route" {
		t.Error("published without being stored")
	}
	s.set(false)
	w.until("it is made up for", dev.serves("blog.example.com", "10.0.0.3:81"))
}

// stuckStore answers no write of homes before its deadline.
type stuckStore struct{ Store }

func (stuckStore) SaveHomes(ctx context.Context, _ []byte) error {
	<-ctx.Done()
	return ctx.Err()
}

// TestHomesHoldNobodyUp: routes and endpoints flow while a stack's home can't be
// stored.
func TestHomesHoldNobodyUp(t *testing.T) {
	w := newWorld(t)
	w.store = stuckStore{w.store}
	w.start()
	dev := w.agent("dev", "dev.1", nil)
	w.give(snapshot(web))
	w.until("first generation", w.confirmed("dev", 1))
	moved := web
	moved.address = "10.0.0.7"
	w.give(snapshot(moved, shop))
	w.until("endpoints flow", dev.serves("web.example.com", "10.0.0.7:80"))
}

// homelessStore has homes that can't be read.
type homelessStore struct{ Store }

func (homelessStore) LoadHomes(context.Context) ([]byte, error) {
	return nil, errors.New("not gzip")
}

// TestLostHomes: homes that can't be read do not keep core from leading.
func TestLostHomes(t *testing.T) {
	w := newWorld(t)
	w.store = homelessStore{w.store}
	w.start()
	w.agent("dev", "dev.1", nil)
	w.give(snapshot(web))
	w.until("it leads", w.confirmed("dev", 1))
}

// TestExtensionRefuses: a table that the extension refuses is taken apart like
// one that the engine refuses; an extension that does not answer blames nobody.
func TestExtensionRefuses(t *testing.T) {
	w := newWorld(t)
	w.renderer.fault = func(t routing.Table) error {
		if words := poison(t); words != "" {
			return &extension.Refusal{Words: words}
		}
		return nil
	}
	w.start()
	dev := w.agent("dev", "dev.1", nil)
	w.give(snapshot(web, app{name: "poison", collection: "/dev", host: "bad.example.com", port: "80", address: "10.0.0.66"}))
	w.until("web is live", dev.serves("web.example.com", "10.0.0.2:80"))
	w.until("the guilty one is named", w.problem("quarantined-by-engine", "poison"))
}

// TestExtensionSilent: while the extension does not render, the operator and
// those who wait are told; when it is back, all is well by itself.
func TestExtensionSilent(t *testing.T) {
	w := newWorld(t)
	var away atomic.Bool
	w.renderer.fault = func(routing.Table) error {
		if away.Load() {
			return errors.New("no such host")
		}
		return nil
	}
	w.start()
	dev := w.agent("dev", "dev.1", nil)
	w.give(snapshot(web))
	w.until("first generation", w.confirmed("dev", 1))
	away.Store(true)
	late := app{name: "late", collection: "/dev", host: "late.example.com", port: "80", address: "10.0.0.3"}
	w.give(snapshot(web, late))
	w.until("the cluster says so", w.problem(problems.ExtensionSilent, ""))
	w.until("who waits is told", w.problem(problems.ExtensionSilent, "late"))
	if c := w.cluster("dev"); c.State != api.Degraded {
		t.Errorf("the state is %s: %s", c.State, c.Reason)
	}
	if a, err := w.core.Explain(t.Context(), "dev", "http://late.example.com/"); err != nil || !a.(explain.Answer).Pending {
		t.Errorf("explain does not say that the route is not live: %+v %v", a, err)
	}
	away.Store(false)
	w.until("it is live", dev.serves("late.example.com", "10.0.0.3:80"))
	w.until("nothing is wrong", func() bool { return !w.problem(problems.ExtensionSilent, "")() })
	if a, err := w.core.Explain(t.Context(), "dev", "http://web.example.com/"); err != nil || a.(explain.Answer).Pending {
		t.Errorf("%+v %v", a, err)
	}
}

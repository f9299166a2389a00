// Package embedded is the engine made of Go's standard library: net/http in
// front, httputil.ReverseProxy behind, routing.Resolve between. It needs no
// other program, and serves `interlock dev` and small installations.
//
// Engine is the engine within a process: that of `interlock dev`. In a proxy's
// container it has a process of its own, so that the agent's death does not end
// it: Serve there, and Remote in the agent's.
//
// A request sees one immutable state from its first byte to its last. Apply
// and SetEndpoints build the next state aside and swap one pointer, so nothing
// is lost between them. What outlives a swap (counters, health of endpoints)
// is kept by name in the engine's memory.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"interlock/bundle"
	"interlock/extension/embedded"
	"interlock/internal/engine"
	"interlock/routing"
)

// Options of New.
type Options struct {
	// Listen opens a port of the table; nil listens on all addresses.
	Listen func(port int) (net.Listener, error)
	// ProxyID is what the x-proxy-id header says where headers are asked for.
	ProxyID string
	Log     *slog.Logger
}

// Engine implements engine.Engine within this process. Run must run for its
// endpoints to be checked and its listeners to be closed at the end.
type Engine struct {
	options Options
	state   atomic.Pointer[state]
	health  atomic.Value // engine.Health

	mu     sync.Mutex // of what follows; held by no request
	table  routing.Table
	memory memory
	public *door
	probe  *door
	closed bool
}

var (
	errClosed   = errors.New("embedded engine: closed")
	errNoBundle = errors.New("embedded engine: no bundle yet")
)

func listenPort(port int) (net.Listener, error) { return net.Listen("tcp", ":"+strconv.Itoa(port)) }

// New returns an engine that listens nowhere until the first Apply.
func New(o Options) *Engine {
	if o.Listen == nil {
		o.Listen = listenPort
	}
	e := &Engine{options: o}
	e.health.Store(engine.NotReady)
	return e
}

// Run checks endpoints until ctx ends; then it takes no more connections and
// returns when the requests under way are done, at latest after the table's
// grace timeout.
func (e *Engine) Run(ctx context.Context) error {
	e.checkEndpoints(ctx)
	e.mu.Lock()
	e.closed = true
	doors := []*door{e.public, e.probe}
	grace := e.table.Base.GraceTimeout
	e.mu.Unlock()
	var all sync.WaitGroup
	for _, d := range doors {
		if d != nil {
			all.Go(func() { d.shut(milliseconds(grace, 10*time.Second)) })
		}
	}
	all.Wait()
	return nil
}

// Check implements engine.Engine. Ports that are not open yet are opened and
// closed again.
func (e *Engine) Check(_ context.Context, b bundle.Bundle) error {
	t, err := readTable(b)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	opened, err := e.openDoors(t)
	for _, d := range opened {
		d.shut(0)
	}
	if err != nil {
		return &engine.Refusal{Words: err.Error()}
	}
	return nil
}

func readTable(b bundle.Bundle) (routing.Table, error) {
	t, err := embedded.Table(b)
	if err == nil {
		_, err = settingsOf(t.Base)
	}
	if err == nil && t.Base.HTTPPort == t.Base.HealthPort {
		err = fmt.Errorf("port %d is both the public and the health port", t.Base.HTTPPort)
	}
	if err != nil {
		return t, &engine.Refusal{Words: err.Error()}
	}
	return t, nil
}

func portsOf(t routing.Table) []int { return []int{t.Base.HTTPPort, t.Base.HealthPort} }

// Apply implements engine.Engine.
func (e *Engine) Apply(_ context.Context, b bundle.Bundle, revision string, eps routing.Endpoints) error {
	t, err := readTable(b)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return errClosed
	}
	opened, err := e.openDoors(t)
	if err != nil {
		for _, d := range opened {
			d.shut(0)
		}
		return err
	}
	// Nothing below can fail.
	e.table = t
	e.swap(revision, eps)
	e.placeDoors(opened)
	return nil
}

// swap makes the next state from the engine's table what requests see.
func (e *Engine) swap(revision string, eps routing.Endpoints) {
	e.state.Store(newState(e.table, revision, eps, &e.memory))
}

// openDoors opens the ports of t that are not open.
func (e *Engine) openDoors(t routing.Table) (opened []*door, err error) {
	for _, port := range portsOf(t) {
		if e.public.on(port) || e.probe.on(port) {
			continue
		}
		ln, err := e.options.Listen(port)
		if err != nil {
			return opened, fmt.Errorf("listen on port %d: %w", port, err)
		}
		opened = append(opened, newDoor(port, ln))
	}
	return opened, nil
}

// placeDoors gives each port its present use, and shuts those without one.
func (e *Engine) placeDoors(opened []*door) {
	byPort := map[int]*door{}
	for _, d := range append(opened, e.public, e.probe) {
		if d != nil {
			byPort[d.port] = d
		}
	}
	base := e.table.Base
	settings, _ := settingsOf(base) // readTable has seen it
	e.public, e.probe = byPort[base.HTTPPort], byPort[base.HealthPort]
	e.public.serve(settings, e.publicFront)
	e.probe.serve(probeSettings, e.probeFront)
	for _, d := range byPort {
		if d != e.public && d != e.probe {
			go d.shut(settings.grace)
		}
	}
}

// SetEndpoints implements engine.Engine.
func (e *Engine) SetEndpoints(_ context.Context, eps routing.Endpoints) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	old := e.state.Load()
	if old == nil {
		return errNoBundle
	}
	e.swap(old.revision, eps)
	return nil
}

// SetHealth implements engine.Engine.
func (e *Engine) SetHealth(_ context.Context, h engine.Health) error {
	e.health.Store(h)
	return nil
}

// Running implements engine.Engine.
func (e *Engine) Running(context.Context) (string, error) {
	if s := e.state.Load(); s != nil {
		return s.revision, nil
	}
	return "", errNoBundle
}

func (e *Engine) draining() bool { return e.health.Load() == engine.Drain }

// milliseconds is ms as a duration, or orElse where the table says nothing.
func milliseconds(ms int, orElse time.Duration) time.Duration {
	if ms <= 0 {
		return orElse
	}
	return time.Duration(ms) * time.Millisecond
}

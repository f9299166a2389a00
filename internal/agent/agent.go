// Package agent is a proxy's half of the contract with core (proto/fleet/v1):
// it receives, judges, applies, confirms or takes back bundles, follows the
// endpoints, keeps the last known good, and needs nobody to go on serving.
//
// One goroutine, the loop, owns the state and calls the engine; sessions,
// checks, look-ups and the disk send it values.
//
//	             Offer              check good, reload due         Confirm
//	confirmed ──────────► candidate ──────────────────────► trial ─────────► confirmed
//	    ▲                     │ refused, unknown, newer one   │
//	    │◄────────────────────┘                               │ Withdraw, no Confirm in time,
//	    └─────────────────────────────────────────────────────┘ the engine died, the agent died
//
// Only a confirmed bundle is ever booted (I9), and there is no way back in
// (epoch, generation) except to the last confirmed one (I14).
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"

	"interlock/internal/engine"
	"interlock/internal/identity"
	"interlock/internal/lkg"
	"interlock/internal/runfolder"
)

// Options are what an agent depends on.
type Options struct {
	// Cluster is the cluster's name, over which bundles are signed.
	Cluster string
	// Proxy, Node and Task are names for people and for core.
	Proxy, Node, Task string
	// Engine is the engine's kind, as in bundle.Bundle.
	EngineName, EngineVersion string
	Version                   string
	// Core is the address of core, "host:port"; every address of the host is
	// dialled.
	Core     string
	Identity identity.Identity
	Engine   engine.Engine
	Store    *lkg.Store
	Folder   runfolder.Folder
	// Lookup answers with the addresses of a name; an error that is a
	// *net.DNSError with IsNotFound says that there are none.
	Lookup func(ctx context.Context, name string) ([]netip.Addr, error)
	// Subnets are those of this container's own interfaces.
	Subnets func() ([]netip.Prefix, error)
	Timing  Timing
	Log     *slog.Logger
}

// Timing of an agent; zero values mean the defaults.
type Timing struct {
	// ReloadInterval is the least time from one reload to the next (5 s);
	// taking something back does not wait.
	ReloadInterval time.Duration
	// CoreHold is how long after the loss of core its endpoints stand alone
	// before DNS is followed (5 s).
	CoreHold time.Duration
	// DNSInterval is the time between two look-ups of all names (1 s).
	DNSInterval time.Duration
	// Reconcile is how often the engine is compared with what it should be (5 s).
	Reconcile time.Duration
	// Silence of core after which a session is dead (20 s).
	Silence time.Duration
	// Redial is how often core's name is looked up (2 s), and MaxBackoff the
	// longest wait between two attempts at one address (5 s).
	Redial, MaxBackoff time.Duration
	// Blind is how long at most a proxy that knows no endpoint at all is not
	// ready (90 s).
	Blind time.Duration
}

func (t Timing) orDefaults() Timing {
	for _, d := range []struct {
		value *time.Duration
		or    time.Duration
	}{
		{&t.ReloadInterval, 5 * time.Second},
		{&t.CoreHold, 5 * time.Second},
		{&t.DNSInterval, time.Second},
		{&t.Reconcile, 5 * time.Second},
		{&t.Silence, 20 * time.Second},
		{&t.Redial, 2 * time.Second},
		{&t.MaxBackoff, 5 * time.Second},
		{&t.Blind, 90 * time.Second},
	} {
		if *d.value <= 0 {
			*d.value = d.or
		}
	}
	return t
}

// tickInterval is how often deadlines and the run folder are looked at.
const tickInterval = 100 * time.Millisecond

// Agent is one proxy's agent.
type Agent struct {
	Options
	inbox chan event
}

// event is what the loop is sent.
type event interface {
	on(ctx context.Context, l *loop)
}

// New returns an agent that has done nothing yet.
func New(o Options) *Agent {
	o.Timing = o.Timing.orDefaults()
	return &Agent{Options: o, inbox: make(chan event, 64)}
}

// Run boots the engine from the last known good and serves core until ctx ends.
func (a *Agent) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.loop(ctx) })
	g.Go(func() error { return a.dialAll(ctx) })
	if err := g.Wait(); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("agent: %w", err)
	}
	return nil
}

// tell sends the loop an event; it gives up when ctx ends.
func (a *Agent) tell(ctx context.Context, e event) {
	select {
	case a.inbox <- e:
	case <-ctx.Done():
	}
}

func (a *Agent) loop(ctx context.Context) error {
	l := newLoop(a)
	l.boot(ctx)
	tick := time.NewTicker(tickInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e := <-a.inbox:
			e.on(ctx, l)
		case now := <-tick.C:
			l.tick(ctx, now)
		}
	}
}

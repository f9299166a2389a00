package e2e

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"interlock/test/load"
)

// targets are the demonstration's routes in every environment.
func (l *Lab) targets() []load.Target {
	var all []load.Target
	for _, e := range l.layout.Envs {
		at := l.balancer(e)
		all = append(all,
			target(e, at, "by host", "shop", "/", "web"),
			target(e, at, "by path", "shop", "/api/orders", "api"),
			target(e, at, "canary", "canary", "/", "stable", "canary"),
		)
	}
	return all
}

func (l *Lab) sockets() []load.Target {
	var all []load.Target
	for _, e := range l.layout.Envs {
		all = append(all, target(e, l.balancer(e), "websocket", "chat", "/ws", "chat"))
	}
	return all
}

// patience is a client's. An answer that a busy machine gives late is not lost.
const patience = 30 * time.Second

// rate is requests a second for each target and kind of request.
const rate = 4

func target(e Env, via netip.AddrPort, name, host, path string, apps ...string) load.Target {
	return load.Target{
		Env: e.Name, Name: name, Via: via, Host: host + "." + e.Name + ".example.com", Path: path, Apps: apps, Rate: rate,
	}
}

// traffic is the steady load of a story: on the demonstration's routes, and
// until stopGuests on further ones.
type traffic struct {
	record           *load.Record
	stop, stopGuests context.CancelFunc
	done, guestsDone chan error
}

// startTraffic begins the load in the given step.
func (l *Lab) startTraffic(ctx context.Context, step string, guests ...load.Target) *traffic {
	t := &traffic{record: load.NewRecord(step)}
	t.stop, t.done = start(ctx, &load.Generator{Targets: l.targets(), Sockets: l.sockets(), Record: t.record, Timeout: patience})
	t.stopGuests, t.guestsDone = start(ctx, &load.Generator{Targets: guests, Record: t.record, Timeout: patience})
	return t
}

func start(ctx context.Context, g *load.Generator) (context.CancelFunc, chan error) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	return cancel, done
}

// end ends the load and waits for the requests under way.
func (t *traffic) end() error {
	t.stop()
	t.stopGuests()
	return errors.Join(<-t.done, <-t.guestsDone)
}

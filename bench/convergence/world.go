package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/moby/moby/client"

	"interlock/test/e2e"
	"interlock/test/swarm"
)

// labName is the laboratory's that the command starts.
const labName = "conv"

// world is where rounds happen: one cluster of a laboratory.
type world struct {
	env     e2e.Env
	manager *client.Client
	nodes   []*client.Client // the manager's among them
	proxies []netip.AddrPort // their public ports
	log     io.Writer
	// run tells this run's services from those of others.
	run  string
	down func(context.Context) error
}

// open connects to a laboratory, after starting one when none is named.
func open(ctx context.Context, o options, log io.Writer) (*world, error) {
	layout := e2e.Shared()
	i := slices.IndexFunc(layout.Envs, func(e e2e.Env) bool { return e.Name == o.env })
	if i < 0 {
		return nil, fmt.Errorf("there is no environment %q", o.env)
	}
	w := &world{env: layout.Envs[i], log: log, run: fmt.Sprintf("%x", time.Now().Unix())}
	s, err := w.lab(ctx, o, layout)
	if err == nil {
		err = w.connect(s)
	}
	if err != nil {
		return nil, errors.Join(err, w.close(context.WithoutCancel(ctx)))
	}
	return w, nil
}

func (w *world) lab(ctx context.Context, o options, layout e2e.Layout) (*swarm.Swarm, error) {
	if o.lab != "" {
		return swarm.Open(ctx, "", o.lab)
	}
	root, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("find the repository: %w", err)
	}
	if !o.keep {
		w.down = func(ctx context.Context) error { return swarm.Down(ctx, "", labName) }
	}
	lab, err := e2e.Up(ctx, e2e.Options{Name: labName, Layout: layout, Root: root, Out: w.log})
	if err != nil {
		return nil, err
	}
	return lab.Swarm, nil
}

func (w *world) connect(s *swarm.Swarm) error {
	for _, n := range s.Nodes {
		engine, err := client.New(client.WithHost(n.Host()))
		if err != nil {
			return fmt.Errorf("connect to %s: %w", n.Name(), err)
		}
		w.nodes = append(w.nodes, engine)
	}
	w.manager = w.nodes[0]
	for _, n := range w.env.Proxies {
		w.proxies = append(w.proxies, netip.AddrPortFrom(s.Nodes[n].Addr(), w.env.Public))
	}
	return nil
}

// close removes what open started.
func (w *world) close(ctx context.Context) error {
	for _, engine := range w.nodes {
		engine.Close()
	}
	if w.down == nil {
		return nil
	}
	return w.down(ctx)
}

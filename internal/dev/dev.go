// Package dev runs Interlock without Docker: a directory of stack files in
// Swarm's place, the embedded engine in the proxies', every cluster on a
// loopback port of its own, all in this process. Admission, compiling and the
// engine are those of production.
//
// One loop owns all state. It looks at the directory, rebuilds everything when
// a file has changed, and tells the engines what differs.
package dev

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"interlock/internal/compile"
	"interlock/internal/config"
	"interlock/internal/policy"
	"interlock/routing"
)

// Options of Run.
type Options struct {
	Dir string
	// Port is the first cluster's; further clusters take the next ones in the
	// order in which they appear. 0 takes any free ones.
	Port int
	// Interval is the time between two looks at the directory; 0 is 300 ms.
	Interval time.Duration
	// Out gets what a person wants to read: addresses, routes, problems, the
	// latter written by Problem.
	Out     io.Writer
	Problem func(io.Writer, routing.Problem)
	Log     *slog.Logger
}

// Run serves until ctx ends. It fails at once when Dir can't be read; a file
// that can't be read is a problem, printed, and costs only what it describes.
func Run(ctx context.Context, o Options) error {
	group, ctx := errgroup.WithContext(ctx)
	r := &runner{
		options: o, print: &printer{out: o.Out, problem: o.Problem},
		reader: reader{dir: o.Dir}, origins: &origins{group: group}, group: group,
		clusters: map[string]*cluster{}, states: map[string]compile.State{},
	}
	group.Go(func() error {
		if err := r.look(ctx); err != nil {
			return err
		}
		return r.follow(ctx)
	})
	return group.Wait()
}

// runner is the state of the loop.
type runner struct {
	options  Options
	print    *printer
	origins  *origins
	group    *errgroup.Group
	reader   reader
	clusters map[string]*cluster
	states   map[string]compile.State
	homes    policy.Homes
	last     time.Time
	failure  string // the last error that was logged
}

func (r *runner) follow(ctx context.Context) error {
	interval := r.options.Interval
	if interval <= 0 {
		interval = 300 * time.Millisecond
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := r.look(ctx); err != nil {
			r.complain(err)
		}
	}
}

// complain logs an error once. What it kept from being done is tried again.
func (r *runner) complain(err error) {
	r.reader.last = ""
	if text := err.Error(); text != r.failure {
		r.failure = text
		r.options.Log.Warn("change not taken up, serving on as before", "error", err)
	}
}

// look reads the directory and acts on what has changed.
func (r *runner) look(ctx context.Context) error {
	changed, err := r.reader.read()
	if err != nil || !changed {
		return err
	}
	facts := r.reader.facts()
	upstreams, invalid, err := r.origins.upstreams(ctx, facts.services)
	if err != nil {
		return err
	}
	found, err := r.serve(ctx, facts, upstreams)
	if err != nil {
		return err
	}
	r.print.problems(slices.Concat(facts.problems, invalid, place(found, facts.services)))
	return nil
}

// serve brings each cluster to what the facts ask for.
func (r *runner) serve(ctx context.Context, f facts, upstreams map[string][]routing.Endpoint) ([]routing.Problem, error) {
	out := compile.All(compile.AllInput{Snapshot: f.snapshot, Clusters: f.clusters, Homes: r.homes, States: r.states, Elapsed: r.elapsed()})
	r.homes = out.Homes
	r.forget(f.clusters, out.Clusters)
	found := out.Problems
	for _, name := range slices.Sorted(maps.Keys(out.Clusters)) {
		c, err := r.cluster(ctx, name)
		if err != nil {
			return nil, err
		}
		compiled := out.Clusters[name]
		r.states[name] = compiled.State
		if err := c.apply(ctx, compiled.Table, endpoints(compiled.Table, upstreams)); err != nil {
			found = append(found, frozen(name, err))
			continue
		}
		r.states[name] = compile.Confirm(compiled.State, compiled.Present)
		r.print.routes(c.address(), c.table)
	}
	return found, nil
}

func (r *runner) elapsed() time.Duration {
	now := time.Now()
	defer func() { r.last = now }()
	if r.last.IsZero() {
		return 0
	}
	return now.Sub(r.last)
}

// forget lets a cluster that is no longer configured serve nothing. One whose
// configuration is unusable stays as it is.
func (r *runner) forget(configured []config.Cluster, compiled map[string]compile.Output) {
	for name, c := range r.clusters {
		known := slices.ContainsFunc(configured, func(c config.Cluster) bool { return c.Name == name })
		if !known {
			delete(r.states, name)
			compiled[name] = compile.Output{Table: routing.Table{Cluster: name, Base: c.table.Base}}
		}
	}
}

// cluster returns a cluster by name and starts one that is new.
func (r *runner) cluster(ctx context.Context, name string) (*cluster, error) {
	if c := r.clusters[name]; c != nil {
		return c, nil
	}
	port := 0
	if r.options.Port != 0 {
		port = r.options.Port + len(r.clusters)
	}
	c, err := newCluster(name, port, r.options.Log)
	if err != nil {
		return nil, fmt.Errorf("start cluster %q: %w", name, err)
	}
	r.clusters[name] = c
	r.group.Go(func() error { return c.engine.Run(ctx) })
	return c, nil
}

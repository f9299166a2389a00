// Package core is the loop that decides: it takes snapshots of the Swarm, admits
// services to clusters, and gives each cluster's facts to that cluster's own
// pipeline.
//
//	snapshots ─► admit ─┬─► pipeline of cluster A: compile ─► endpoints ─► fleet
//	                    │        └─► structure ─► rollout ─► extension, store, fleet
//	                    ├─► pipeline of cluster B …
//	                    └─► provisioning, one cluster after another
//
// A pipeline has its own goroutine, state, deadlines and stored state; what goes
// wrong in it, a panic included, concerns its cluster alone (I1). Endpoints
// never wait for structure. Core holds nothing that it can't read again from
// Docker, from its store, or from what agents report.
//
// What leaves the process is behind the interfaces of this file. A lease that
// makes one of several cores the leader will wrap Run: all state is loaded in
// it and dropped when it returns.
package core

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"time"

	"interlock/bundle"
	"interlock/internal/config"
	"interlock/internal/fleet"
	"interlock/internal/provision"
	"interlock/internal/swarm"
	"interlock/routing"
)

// Source gives snapshots of the Swarm, each newer than the one before, until
// ctx ends. It does not call give concurrently.
type Source interface {
	Run(ctx context.Context, give func(swarm.Snapshot)) error
}

// Renderer turns a cluster's table into a bundle. An *extension.Refusal says
// that the table can't be rendered; any other error says nothing about it.
type Renderer interface {
	Render(ctx context.Context, c config.Cluster, t routing.Table) (bundle.Bundle, error)
}

// Store keeps what must outlast core; *store.Store is one. Saving a generation
// under a number that exists fails: that is what keeps two cores from publishing
// the same one (I14). Loads may return what they could read beside an error.
type Store interface {
	// LoadState returns nil when nothing was saved.
	LoadState(ctx context.Context, slug string) ([]byte, error)
	SaveState(ctx context.Context, slug string, data []byte) error
	// LoadGenerations are newest first.
	LoadGenerations(ctx context.Context, slug string) ([]bundle.Signed, error)
	// SaveGeneration may forget old ones, but not the confirmed one.
	SaveGeneration(ctx context.Context, slug string, b bundle.Signed, confirmed bundle.Position) error
	// LoadHomes and SaveHomes keep the homes of stacks, which are the Swarm's.
	LoadHomes(ctx context.Context) ([]byte, error)
	SaveHomes(ctx context.Context, data []byte) error
	// Foreign are the names of configs that look like stored state and were not
	// written with core's key. They are ignored.
	Foreign() []string
	// Epoch starts a leadership with a number greater than all before.
	Epoch(ctx context.Context, floor uint64) (uint64, error)
}

// Fleet is where agents are.
type Fleet interface {
	Add(slug string, c fleet.Cluster)
	Remove(slug string)
	SetEndpoints(slug string, eps routing.Endpoints)
	Drain(slug, task, reason string)
}

// Provisioner brings the Swarm's objects to what the clusters need and says
// what is in the way, as problems.
type Provisioner interface {
	// Plan says what it would do; Provision does it.
	Plan(ctx context.Context, facts Provisioning) (provision.Plan, error)
	Provision(ctx context.Context, facts Provisioning) []routing.Problem
}

// Provisioning is what a Provisioner is told.
type Provisioning struct {
	Snapshot swarm.Snapshot
	Config   config.File
	// Rolling are the clusters, by name, with a rollout under way. Unready says
	// of the clusters whose proxies had the time to report whether one of them
	// has not acknowledged its generation.
	Rolling, Unready map[string]bool
	// Wanted are, by cluster name, the networks (ids) of routed services.
	Wanted map[string][]string
}

// Options of New. All are needed.
type Options struct {
	Source      Source
	Renderer    Renderer
	Store       Store
	Fleet       Fleet
	Provisioner Provisioner
	Config      config.File
	SigningKey  ed25519.PrivateKey
	Version     string
	Log         *slog.Logger
	Timing      Timing
}

// Timing of core; the zero value means the defaults.
type Timing struct {
	// Quiet is how long structure must be unchanged before it is a candidate,
	// and Settle how long it is waited for at most.
	Quiet, Settle time.Duration
	// Work bounds a render, a write to the store.
	Work time.Duration
	// Provision is the time between two looks at what is missing, and the
	// bound of one.
	Provision time.Duration
}

func (t Timing) withDefaults() Timing {
	orDefault(&t.Quiet, 100*time.Millisecond)
	orDefault(&t.Settle, 500*time.Millisecond)
	orDefault(&t.Work, 30*time.Second)
	orDefault(&t.Provision, 5*time.Second)
	return t
}

func orDefault(d *time.Duration, v time.Duration) {
	if *d <= 0 {
		*d = v
	}
}

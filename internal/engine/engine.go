// Package engine is what an agent needs of a proxy engine, whichever it is.
// The engines are in the packages below it.
package engine

import (
	"context"

	"interlock/bundle"
	"interlock/routing"
)

// Refusal is an engine's own answer that a bundle is wrong, in its words. Any
// other error of Check or Apply says nothing about the bundle.
type Refusal struct{ Words string }

func (r *Refusal) Error() string { return r.Words }

// Health is what the engine answers the front load balancer.
type Health string

// Only Ready is answered with 200; Drain also closes kept-alive connections.
const (
	NotReady Health = "not-ready"
	Ready    Health = "ready"
	Drain    Health = "drain"
)

// Engine is one running proxy engine. Its methods are called from one
// goroutine at a time, but for Check, which may run beside them and beside
// itself: a slow verdict must not hold endpoints up. Each returns when ctx ends.
type Engine interface {
	// Check judges a bundle without touching what runs: the engine's own check
	// in a throw-away child without secrets or network, and ours. A *Refusal
	// means the bundle is wrong.
	Check(ctx context.Context, b bundle.Bundle) error
	// Apply makes b what runs, with these endpoints, without losing a request.
	// It returns nil only when the running engine reported revision back. On
	// error the engine runs what it ran before.
	Apply(ctx context.Context, b bundle.Bundle, revision string, eps routing.Endpoints) error
	// SetEndpoints makes eps the targets of the running bundle without a reload.
	// What leaves is out of use first, but where nothing else serves yet.
	SetEndpoints(ctx context.Context, eps routing.Endpoints) error
	// SetHealth decides what the health port answers, also after a reload.
	SetHealth(ctx context.Context, h Health) error
	// Running is the revision that the running engine reports.
	Running(ctx context.Context) (revision string, err error)
}

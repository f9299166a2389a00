package core

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"interlock/internal/api"
	"interlock/internal/policy"
	"interlock/internal/swarm"
)

// recorded are homes on their way to the store, and how many changes made them.
type recorded struct {
	homes   policy.Homes
	version uint64
}

// order asks the loop to approve. The answer is the version of the homes that
// have it.
type order struct {
	api.Approval
	done chan<- approved
}

type approved struct {
	from    string
	version uint64
	err     error
}

// Approve makes a collection the home of a stack, whatever it was before: its
// labels alone can't. It returns when that is stored. An owner of whom no
// service is there and no home is known is an api.ErrBadRequest.
func (c *Core) Approve(ctx context.Context, a api.Approval) (api.Approval, error) {
	if err := policy.CheckHome(a.Owner, a.Collection); err != nil {
		return a, fmt.Errorf("%w: %w", api.ErrBadRequest, err)
	}
	done := make(chan approved, 1)
	select {
	case c.orders <- order{a, done}:
	case <-ctx.Done():
		return a, fmt.Errorf("approve: core is busy: %w", ctx.Err())
	}
	answer, err := within(ctx, done)
	if err != nil {
		return a, fmt.Errorf("approve: %w", err)
	}
	if answer.err != nil {
		return a, answer.err
	}
	a.From = answer.from
	if err := reached(ctx, &c.stored, answer.version); err != nil {
		return a, fmt.Errorf("the approval counts, but is not stored yet: %w", err)
	}
	c.o.Log.Info("home approved", "owner", a.Owner, "from", a.From, "collection", a.Collection)
	return a, nil
}

// obey does an order and admits anew.
func (c *Core) obey(o order) {
	seen := c.seen.Load()
	home, known := c.homes[o.Owner]
	if !known && (seen == nil || !present(seen.snapshot, o.Owner)) {
		o.done <- approved{err: fmt.Errorf("%w: there is no service of %s, and none is known of before",
			api.ErrBadRequest, policy.OwnerInWords(o.Owner))}
		return
	}
	homes := maps.Clone(c.homes)
	if homes == nil {
		homes = policy.Homes{}
	}
	homes[o.Owner] = o.Collection
	c.record(homes)
	o.done <- approved{from: home, version: c.version}
	if seen != nil {
		c.take(seen.snapshot)
	}
}

func present(s swarm.Snapshot, owner string) bool {
	return slices.ContainsFunc(s.Services, func(service swarm.Service) bool { return service.Owner() == owner })
}

// record makes homes the present ones and has them stored.
func (c *Core) record(homes policy.Homes) {
	c.homes = homes
	c.version++
	replace(c.unsaved, recorded{homes, c.version})
}

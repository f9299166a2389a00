package core

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"interlock/internal/api"
	"interlock/internal/policy"
)

// amendment is an operator's change of a cluster's claims, done by its loop.
type amendment struct {
	change func(held []policy.Claim, now facts) ([]policy.Claim, error)
	done   chan<- amended
}

// amended are the claims after the change, and its number among changes.
type amended struct {
	claims []policy.Claim
	number uint64
	err    error
}

// Claims lists who holds which host.
func (c *Core) Claims() []api.Claim {
	out := []api.Claim{}
	for _, name := range slices.Sorted(maps.Keys(c.pipelines)) {
		if v := c.pipelines[name].status.Load(); v != nil {
			out = append(out, claimsOf(name, v.claims, "")...)
		}
	}
	return out
}

// ReleaseClaims ends the claims on a host. It returns, once that is stored, who
// holds the host now: the oldest who asks for it, which may be who held it.
func (c *Core) ReleaseClaims(ctx context.Context, o api.ClaimOrder) ([]api.Claim, error) {
	return c.amend(ctx, o, func(held []policy.Claim, _ facts) ([]policy.Claim, error) {
		kept, released := policy.Release(held, o.Host)
		if len(released) == 0 {
			return nil, unclaimed(o)
		}
		return kept, nil
	})
}

// TransferClaims gives the claims on a host to another owner, who must have a
// service in the cluster. It returns once that is stored.
func (c *Core) TransferClaims(ctx context.Context, o api.ClaimOrder) ([]api.Claim, error) {
	return c.amend(ctx, o, func(held []policy.Claim, now facts) ([]policy.Claim, error) {
		to, err := heir(now, o)
		if err != nil {
			return nil, err
		}
		all, before := policy.Transfer(held, o.Host, to)
		if len(before) == 0 {
			return nil, unclaimed(o)
		}
		return all, nil
	})
}

func unclaimed(o api.ClaimOrder) error {
	return fmt.Errorf("%w: nobody holds %q in cluster %q", api.ErrBadRequest, o.Host, o.Cluster)
}

// heir is the oldest service of the owner that the order names.
func heir(now facts, o api.ClaimOrder) (policy.Claim, error) {
	found := policy.Claim{}
	var since time.Time
	for _, s := range now.admitted {
		if s.Owner() == o.Owner && (found.Owner == "" || s.Created.Before(since)) {
			found, since = policy.Claim{Owner: o.Owner, Collection: s.Collection(), Service: s.ID}, s.Created
		}
	}
	if found.Owner == "" {
		return found, fmt.Errorf("%w: no service of %s is in cluster %q", api.ErrBadRequest, policy.OwnerInWords(o.Owner), o.Cluster)
	}
	return found, nil
}

// amend has a cluster's loop change its claims, and waits until that is stored.
func (c *Core) amend(ctx context.Context, o api.ClaimOrder, change func([]policy.Claim, facts) ([]policy.Claim, error)) ([]api.Claim, error) {
	p := c.pipelines[o.Cluster]
	if p == nil {
		return nil, fmt.Errorf("%w: there is no cluster %q", api.ErrBadRequest, o.Cluster)
	}
	done := make(chan amended, 1)
	select {
	case p.amendments <- amendment{change, done}:
	case <-ctx.Done():
		return nil, fmt.Errorf("change claims: the cluster's pipeline is busy: %w", ctx.Err())
	}
	answer, err := within(ctx, done)
	if err != nil {
		return nil, fmt.Errorf("change claims: %w", err)
	}
	if answer.err != nil {
		return nil, answer.err
	}
	if err := reached(ctx, &p.amendedStored, answer.number); err != nil {
		return nil, fmt.Errorf("the change counts, but is not stored yet: %w", err)
	}
	return claimsOf(o.Cluster, answer.claims, o.Host), nil
}

// amend does an amendment and compiles with it.
func (p *pipeline) amend(now time.Time, a amendment) {
	if !p.have {
		a.done <- amended{err: fmt.Errorf("%w: core has not seen the Swarm yet; try again", api.ErrBadRequest)}
		return
	}
	claims, err := a.change(p.memory.Compile.Claims, p.now)
	if err != nil {
		a.done <- amended{err: err}
		return
	}
	p.log.Info("claims changed by the operator", "before", len(p.memory.Compile.Claims), "after", len(claims))
	p.memory.Compile.Claims = claims
	p.amendedNow++
	p.dirty, p.saveFrom = true, now
	if p.now.cluster.Unusable == "" {
		p.compile(now)
	}
	a.done <- amended{claims: p.memory.Compile.Claims, number: p.amendedNow}
}

// claimsOf are claims for the API: those on host, or all of them.
func claimsOf(cluster string, claims []policy.Claim, host string) []api.Claim {
	out := []api.Claim{}
	for _, c := range claims {
		if host == "" || c.Host == host {
			out = append(out, api.Claim{Cluster: cluster, Host: c.Host, Path: c.Path, Owner: c.Owner,
				Collection: c.Collection, Since: c.Since, Idle: c.Idle.Seconds()})
		}
	}
	return slices.Clip(out)
}

// within waits for a loop's answer. A loop that ends meanwhile gives none.
func within[T any](ctx context.Context, answer <-chan T) (T, error) {
	select {
	case v := <-answer:
		return v, nil
	case <-ctx.Done():
		var none T
		return none, fmt.Errorf("core gave no answer: %w", ctx.Err())
	}
}

// reached waits until a counter is n or more.
func reached(ctx context.Context, counter *atomic.Uint64, n uint64) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for counter.Load() < n {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	return nil
}

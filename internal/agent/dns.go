package agent

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"interlock/bundle"
	"interlock/routing"
)

const (
	// lookupTimeout bounds one name, firstLookup all names at boot.
	lookupTimeout   = time.Second
	firstLookupTime = 3 * time.Second
	// lookups is how many names are asked for at once.
	lookups = 16
	// goneAfter is how many answers "no such name" in a row, after one with
	// addresses, mean that a service has no tasks left.
	goneAfter = 3
)

var zeroTime time.Time

// answer is what DNS said of one backend's name.
type answer struct {
	addresses []netip.Addr
	notFound  bool
	failed    bool
}

// follow is what is remembered between two rounds of look-ups.
type follow struct {
	// answered has the backends whose name had addresses since core was lost,
	// with how often in a row there was no such name since.
	answered map[string]int
}

// next are the endpoints after a round of answers. The rule, for each backend:
//
//   - An answer with addresses is the truth: what it lacks is gone, what is
//     new is there (I15). The port is the one core gave for that address, or
//     the bundle's.
//   - No such name means no tasks only when the name had addresses since core
//     was lost, three rounds in a row, and when another name was answered in
//     the same round: a resolver that knows nothing is no witness (I6).
//   - Everything else (a failure, addresses on no network of ours) is doubt
//     and changes nothing.
//
// A name may be answered with addresses on any network that we share with its
// service. Only those on the backend's own network count: the subnets of ours
// that core's endpoints on that network were in, where that is known, else any.
func (f *follow) next(have routing.Endpoints, backends []bundle.Backend, answers map[string]answer, subnets []netip.Prefix) routing.Endpoints {
	if f.answered == nil {
		f.answered = map[string]int{}
	}
	next := maps.Clone(have)
	if next == nil {
		next = routing.Endpoints{}
	}
	networks := subnetsOf(backends, have, subnets)
	witness := slices.ContainsFunc(slices.Collect(maps.Values(answers)), func(a answer) bool { return len(a.addresses) > 0 })
	for _, be := range backends {
		a, asked := answers[be.ID]
		switch {
		case !asked || a.failed:
		case a.notFound:
			if misses, ok := f.answered[be.ID]; ok && witness {
				if f.answered[be.ID] = misses + 1; misses+1 >= goneAfter {
					delete(next, be.ID)
				}
			}
		default:
			if list := targets(be, a.addresses, have[be.ID], networks[be.Network]); len(list) > 0 {
				next[be.ID] = list
				f.answered[be.ID] = 0
			}
		}
	}
	return next
}

// subnetsOf are, for each network, those of our subnets on which its backends'
// endpoints were; all of them where none was.
func subnetsOf(backends []bundle.Backend, have routing.Endpoints, subnets []netip.Prefix) map[string][]netip.Prefix {
	known := make(map[string][]netip.Prefix)
	for _, be := range backends {
		for _, e := range have[be.ID] {
			a, err := netip.ParseAddr(e.Address)
			if err != nil {
				continue
			}
			for _, p := range subnets {
				if p.Contains(a) && !slices.Contains(known[be.Network], p) {
					known[be.Network] = append(known[be.Network], p)
				}
			}
		}
	}
	for _, be := range backends {
		if len(known[be.Network]) == 0 {
			known[be.Network] = subnets
		}
	}
	return known
}

// targets are the addresses on these networks as endpoints. One that was known
// before keeps its port, and its task.
func targets(be bundle.Backend, addresses []netip.Addr, before []routing.Endpoint, networks []netip.Prefix) []routing.Endpoint {
	var list []routing.Endpoint
	for _, a := range addresses {
		a = a.Unmap()
		if !slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(a) }) {
			continue
		}
		e := routing.Endpoint{Address: a.String(), Port: be.Port}
		for _, b := range before {
			if b.Address == e.Address {
				e = b
			}
		}
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b routing.Endpoint) int {
		return netip.MustParseAddr(a.Address).Compare(netip.MustParseAddr(b.Address))
	})
	return slices.Compact(list)
}

// followDNS starts a round when core is not there to say it.
func (l *loop) followDNS(ctx context.Context, now time.Time) {
	if l.running == nil || l.lookingUp || l.lostCore.IsZero() || now.Sub(l.lostCore) < l.Timing.CoreHold || now.Before(l.lastLookup) {
		return
	}
	// lastLookup is when the next may start: proxies must not ask in step.
	l.lastLookup = now.Add(l.Timing.DNSInterval*9/10 + rand.N(l.Timing.DNSInterval/5+1))
	l.lookingUp = true
	backends := l.running.Bundle.Backends
	go func() { l.tell(ctx, lookedUp{backends, l.lookupAll(ctx, backends)}) }()
}

// lookedUp is the end of a round.
type lookedUp struct {
	backends []bundle.Backend
	answers  map[string]answer
}

func (e lookedUp) on(ctx context.Context, l *loop) {
	l.lookingUp = false
	if l.lostCore.IsZero() {
		return // core is back and knows better
	}
	l.heed(ctx, e)
}

// heed takes a round's answers over.
func (l *loop) heed(ctx context.Context, e lookedUp) {
	subnets, err := l.Subnets()
	if err != nil {
		l.Log.Warn("our networks are not known, DNS is not followed", "error", err)
		return
	}
	next := l.followed.next(l.eps, e.backends, e.answers, subnets)
	if l.eps != nil && maps.EqualFunc(l.eps, next, slices.Equal) {
		return
	}
	l.Log.Info("endpoints follow DNS", "backends", len(next))
	l.setEndpoints(ctx, next)
}

// firstLookup finds endpoints for a bundle that is about to be booted.
func (l *loop) firstLookup(ctx context.Context, b bundle.Bundle) {
	ctx, cancel := context.WithTimeout(ctx, firstLookupTime)
	defer cancel()
	l.heed(ctx, lookedUp{b.Backends, l.lookupAll(ctx, b.Backends)})
}

// lookupAll asks for every backend's name, a bounded number at once.
func (a *Agent) lookupAll(ctx context.Context, backends []bundle.Backend) map[string]answer {
	var (
		mu      sync.Mutex
		wg      sync.WaitGroup
		answers = make(map[string]answer, len(backends))
		work    = make(chan bundle.Backend)
	)
	for range lookups {
		wg.Go(func() {
			for be := range work {
				got := a.lookup(ctx, be.DNS)
				mu.Lock()
				answers[be.ID] = got
				mu.Unlock()
			}
		})
	}
	for _, be := range backends {
		if be.DNS != "" {
			work <- be
		}
	}
	close(work)
	wg.Wait()
	return answers
}

func (a *Agent) lookup(ctx context.Context, name string) answer {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	addresses, err := a.Lookup(ctx, name)
	var dns *net.DNSError
	switch {
	case err == nil:
		return answer{addresses: addresses}
	case errors.As(err, &dns) && dns.IsNotFound:
		return answer{notFound: true}
	default:
		return answer{failed: true}
	}
}

package policy

import (
	"cmp"
	"slices"
	"time"

	"interlock/internal/config"
)

// MaxIdleClaims bounds the claims that are kept for an owner who no longer
// asks for them; those idle longest go first.
const MaxIdleClaims = 256

// MaxIdleText bounds the names in all idle claims of a cluster, in bytes: they
// are part of its stored state, which a single service with ever new labels
// could otherwise fill, and then nobody's structure could be published. Where
// there is more, every owner keeps an equal share.
const MaxIdleText = 96 << 10

// Ask is one service's wish for a host and path. Host and path are in normal
// form; Created is the service's.
type Ask struct {
	Host, Path        string
	Owner, Collection string
	Service           string
	Created           time.Time
}

// Conflict says why an ask is refused.
type Conflict struct {
	// Holder is the claim in the way. Its Host is a wildcard where the name is
	// below one. It is empty where Owners gives the host to others.
	Holder Claim
	// Owners is the pattern of owners that the operator gives the host to.
	Owners string
}

// Settle decides who holds what. What is held stays held (I5): a newcomer is
// judged against all that is held or was granted before it, and newcomers are
// judged by age, then id. A held claim that nobody of its owner asks for stays
// for ClaimHold of observed time. The operator's Owners and Hosts end a claim
// at once.
//
// It returns the claims to remember, sorted by host, path and owner, and for
// each ask nil or its conflict. Asks are for hosts that HostAllowed allows.
func Settle(p config.Policy, held []Claim, asks []Ask, observed time.Duration) ([]Claim, []*Conflict) {
	b := newBook(p, asks)
	b.keep(held, observed)
	conflicts := make([]*Conflict, len(asks))
	for _, i := range oldestFirst(asks) {
		conflicts[i] = b.judge(asks[i])
	}
	return b.claims(), conflicts
}

// key is what one owner claims.
type key struct{ host, path, owner string }

// entry is a claim with who asks for it now.
type entry struct {
	Claim
	asked bool
}

// book holds the claims of one cluster by host.
type book struct {
	policy  config.Policy
	hosts   map[string][]*entry
	entries map[key]*entry
	// asking are the services that ask, by what they ask for; askingHost by
	// host.
	asking     map[key]bool
	askingHost map[[2]string]bool
}

func newBook(p config.Policy, asks []Ask) *book {
	b := &book{policy: p, hosts: map[string][]*entry{}, entries: map[key]*entry{}, asking: map[key]bool{}, askingHost: map[[2]string]bool{}}
	for _, a := range asks {
		b.asking[key{a.Host, a.Path, a.Owner}] = true
		b.askingHost[[2]string{a.Host, a.Service}] = true
	}
	return b
}

// keep enters the held claims that still hold, oldest first.
func (b *book) keep(held []Claim, observed time.Duration) {
	held = slices.SortedFunc(slices.Values(held), bySince)
	for _, c := range held {
		if b.asking[key{c.Host, c.Path, c.Owner}] {
			c.Idle = 0
		} else if c.Idle += observed; c.Idle >= b.policy.ClaimHold {
			continue
		}
		if b.entries[key{c.Host, c.Path, c.Owner}] == nil && b.operatorAgrees(c.Host, c.Owner) && b.fits(c) {
			b.enter(&entry{Claim: c})
		}
	}
}

// operatorAgrees says whether config.toml lets owner hold the host.
func (b *book) operatorAgrees(host, owner string) bool {
	if pattern, ok := ownerPattern(b.policy, host); ok && !matches(pattern, owner) {
		return false
	}
	return host == "*" || HostAllowed(b.policy, host, owner)
}

// fits says whether a held claim agrees with those entered on the same host;
// it does not where the operator has narrowed HostSharing since.
func (b *book) fits(c Claim) bool {
	return b.inTheWay(b.hosts[c.Host], Ask{Path: c.Path, Owner: c.Owner, Collection: c.Collection, Service: c.Service}) == nil
}

// judge grants an ask or returns its conflict.
func (b *book) judge(a Ask) *Conflict {
	pattern, given := ownerPattern(b.policy, a.Host)
	if given && !matches(pattern, a.Owner) {
		return &Conflict{Owners: pattern}
	}
	here := b.hosts[a.Host]
	if e := b.inTheWay(here, a); e != nil {
		return &Conflict{Holder: e.Claim}
	}
	if e := b.entries[key{a.Host, a.Path, a.Owner}]; e != nil {
		b.take(e, a)
		return nil
	}
	if e := b.wildcardHolder(a); e != nil && !given {
		return &Conflict{Holder: e.Claim}
	}
	b.enter(&entry{asked: true, Claim: Claim{
		Host: a.Host, Path: a.Path, Owner: a.Owner, Collection: a.Collection, Service: a.Service, Since: a.Created,
	}})
	return nil
}

func (b *book) enter(e *entry) {
	b.hosts[e.Host] = append(b.hosts[e.Host], e)
	b.entries[key{e.Host, e.Path, e.Owner}] = e
}

// take records that a asks for what its owner holds. The service that a claim
// names stays the same as long as it asks.
func (b *book) take(e *entry, a Ask) {
	if !b.askingHost[[2]string{e.Host, e.Service}] {
		e.Service = a.Service
	}
	if !e.asked || e.Service == a.Service {
		e.Collection = a.Collection
	}
	e.asked = true
}

// inTheWay is the first claim on a host that a may not share it with, or that
// holds the very path for another owner.
func (b *book) inTheWay(here []*entry, a Ask) *entry {
	if b.policy.HostSharing != SharingCollection && b.policy.HostSharing != SharingNever {
		here = here[:min(len(here), 1)] // all have one owner
	}
	for _, e := range here {
		c := e.Claim
		if sameOwner(c, a) && !b.askingHost[[2]string{c.Host, c.Service}] {
			c.Service = a.Service // its service is gone: the owner's next one follows
		}
		if !mayShare(b.policy, c, a) || c.Path == a.Path && c.Owner != a.Owner {
			return e
		}
	}
	return nil
}

// wildcardHolder is the claim on the nearest claimed wildcard above a's host
// that a may not share, or nil. An owner who holds a path of the host already
// is past this.
func (b *book) wildcardHolder(a Ask) *entry {
	for _, e := range b.hosts[a.Host] {
		if e.Owner == a.Owner {
			return nil
		}
	}
	for wildcard := range WildcardsAbove(a.Host) {
		if here := b.hosts[wildcard]; len(here) > 0 {
			for _, e := range here {
				if !mayShare(b.policy, e.Claim, a) {
					return e
				}
			}
			return nil
		}
	}
	return nil
}

// claims are all entries, within the bound of idle ones.
func (b *book) claims() []Claim {
	var all []Claim
	idle := map[string][]Claim{}
	for _, here := range b.hosts {
		for _, e := range here {
			if e.asked {
				all = append(all, e.Claim)
			} else {
				idle[e.Owner] = append(idle[e.Owner], e.Claim)
			}
		}
	}
	all = append(all, boundIdle(idle)...)
	slices.SortFunc(all, byPlace)
	return all
}

// boundIdle are the idle claims by owner within their bounds.
func boundIdle(idle map[string][]Claim) []Claim {
	var sizes []int
	for owner, list := range idle {
		slices.SortFunc(list, func(x, y Claim) int { return cmp.Or(cmp.Compare(x.Idle, y.Idle), byPlace(x, y)) })
		idle[owner] = list[:min(len(list), MaxIdleClaims)]
		size := 0
		for _, c := range idle[owner] {
			size += c.text()
		}
		sizes = append(sizes, size)
	}
	share := fairShare(sizes, MaxIdleText)
	var kept []Claim
	for _, list := range idle {
		room := share
		for _, c := range list {
			if room -= c.text(); room < 0 {
				break
			}
			kept = append(kept, c)
		}
	}
	return kept
}

// text is the size of the names in c, in bytes.
func (c Claim) text() int {
	return len(c.Host) + len(c.Path) + len(c.Owner) + len(c.Collection) + len(c.Service)
}

func byPlace(x, y Claim) int {
	return cmp.Or(cmp.Compare(x.Host, y.Host), cmp.Compare(x.Path, y.Path), cmp.Compare(x.Owner, y.Owner))
}

func bySince(x, y Claim) int {
	return cmp.Or(CompareAge(x.Since, y.Since), cmp.Compare(x.Service, y.Service), byPlace(x, y))
}

// CompareAge orders creation times, the oldest first. What has none is the
// youngest: its age is nobody's claim.
func CompareAge(x, y time.Time) int {
	if x.IsZero() != y.IsZero() {
		if x.IsZero() {
			return 1
		}
		return -1
	}
	return x.Compare(y)
}

// oldestFirst is the order in which asks are judged, as indices.
func oldestFirst(asks []Ask) []int {
	order := make([]int, len(asks))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		x, y := asks[i], asks[j]
		return cmp.Or(CompareAge(x.Created, y.Created), cmp.Compare(x.Service, y.Service),
			cmp.Compare(x.Host, y.Host), cmp.Compare(x.Path, y.Path), cmp.Compare(x.Owner, y.Owner))
	})
	return order
}

// Release ends all claims on a host, whoever asks for it. The next Settle
// grants it anew, to the oldest who asks.
func Release(held []Claim, host string) (kept, released []Claim) {
	for _, c := range held {
		if c.Host == host {
			released = append(released, c)
		} else {
			kept = append(kept, c)
		}
	}
	return kept, released
}

// Transfer gives all claims on a host to another owner, as old as they are. to
// has that owner, its collection and one of its services.
func Transfer(held []Claim, host string, to Claim) (all, before []Claim) {
	all, before = Release(held, host)
	given := map[string]bool{}
	for _, c := range before {
		if !given[c.Path] {
			given[c.Path] = true
			all = append(all, Claim{
				Host: host, Path: c.Path, Since: c.Since,
				Owner: to.Owner, Collection: to.Collection, Service: to.Service,
			})
		}
	}
	return all, before
}

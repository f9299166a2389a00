package policy

import (
	"iter"
	"strings"

	"interlock/internal/config"
	"interlock/internal/swarm"
)

// HostAllowed says whether owner (swarm.Service.Owner) may claim host in a
// cluster: where one of the Hosts patterns covers it, or Owners gives it to
// owner. Host is in normal form, exact or "*.suffix".
func HostAllowed(p config.Policy, host, owner string) bool {
	if pattern, ok := ownerPattern(p, host); ok && matches(pattern, owner) {
		return true
	}
	if len(p.Hosts) == 0 {
		return true
	}
	for _, pattern := range p.Hosts {
		if covers(strings.ToLower(pattern), host) {
			return true
		}
	}
	return false
}

// covers says whether a Hosts pattern covers a host: "*" all, "*.suffix" every
// name below the suffix at any depth and itself, any other only itself.
func covers(pattern, host string) bool {
	if pattern == "*" || pattern == host {
		return true
	}
	suffix, wildcard := strings.CutPrefix(pattern, "*")
	name := strings.TrimPrefix(host, "*.")
	return wildcard && strings.HasPrefix(suffix, ".") && len(name) > len(suffix) && strings.HasSuffix(name, suffix)
}

// ownerPattern is the pattern of owners that the operator gives host to: of
// the entry for the host itself, or for its nearest wildcard.
func ownerPattern(p config.Policy, host string) (string, bool) {
	if pattern, ok := p.Owners[host]; ok {
		return pattern, true
	}
	for wildcard := range WildcardsAbove(host) {
		if pattern, ok := p.Owners[wildcard]; ok {
			return pattern, true
		}
	}
	return "", false
}

// WildcardsAbove yields the wildcard hosts that cover host, nearest first. A
// wildcard is not above itself.
func WildcardsAbove(host string) iter.Seq[string] {
	return func(yield func(string) bool) {
		name := strings.TrimPrefix(host, "*.")
		for {
			_, parent, ok := strings.Cut(name, ".")
			if !ok || !yield("*."+parent) {
				return
			}
			name = parent
		}
	}
}

// Values of HostSharing beside the default, "stack": services of one stack
// share its hosts.
const (
	// SharingCollection: also stacks of one collection.
	SharingCollection = "collection"
	// SharingNever: a host is one service's.
	SharingNever = "never"
)

// mayShare says whether an asker may use a host on which c is claimed.
func mayShare(p config.Policy, c Claim, a Ask) bool {
	switch p.HostSharing {
	case SharingCollection:
		return sameOwner(c, a) || c.Collection != "" && c.Collection == a.Collection
	case SharingNever:
		return c.Owner == a.Owner && c.Service == a.Service
	}
	return sameOwner(c, a)
}

// sameOwner says whether an asker is of the owner that holds c. The name of a
// stack alone proves nothing: anybody may write it on a service, whereas
// something may pin the collection. So the two collections must be of one
// branch, unless the claim is this very service's, which has moved.
func sameOwner(c Claim, a Ask) bool {
	return c.Owner == a.Owner && (c.Service == a.Service || oneBranch(c.Collection, a.Collection))
}

func oneBranch(x, y string) bool {
	return x == "" || y == "" || swarm.InCollection(x, y) || swarm.InCollection(y, x)
}

// inBounds says whether an owner's and a collection's names are short enough
// to be remembered.
func inBounds(s swarm.Service) bool {
	return len(s.Owner()) <= maxName && len(s.Collection()) <= maxName
}

// poses says whether the label of a stack's name reads as a service that has no
// stack (see swarm.Service.Owner). Docker gives no stack such a name.
func poses(s swarm.Service) bool { return strings.HasPrefix(s.Stack(), servicePrefix) }

const servicePrefix = "service:"

// maxName bounds the names that are remembered, in bytes.
const maxName = 256

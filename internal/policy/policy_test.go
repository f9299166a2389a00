package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"interlock/internal/config"
	"interlock/internal/policy"
	"interlock/internal/swarm"
)

func TestHostAllowed(t *testing.T) {
	p := config.Policy{
		Hosts:  []string{"*.dev.example.com", "exact.example.com"},
		Owners: map[string]string{"www.example.com": "shop*", "*.team.example.com": "team"},
	}
	for _, c := range []struct {
		host, owner string
		want        bool
	}{
		{"a.dev.example.com", "x", true},
		{"a.b.dev.example.com", "x", true},
		{"*.dev.example.com", "x", true},
		{"*.b.dev.example.com", "x", true},
		{"dev.example.com", "x", false},
		{"adev.example.com", "x", false},
		{"exact.example.com", "x", true},
		{"*.example.com", "x", false},
		{"www.example.com", "shop-1", true},
		{"www.example.com", "x", false},
		{"deep.a.team.example.com", "team", true},
		{"deep.a.team.example.com", "x", false},
	} {
		if got := policy.HostAllowed(p, c.host, c.owner); got != c.want {
			t.Errorf("HostAllowed(%s, %s) = %v", c.host, c.owner, got)
		}
	}
	if !policy.HostAllowed(config.Policy{}, "any.example.com", "x") {
		t.Error("no Hosts must allow all")
	}
}

func TestWildcardsAbove(t *testing.T) {
	for host, want := range map[string][]string{
		"a.b.c":   {"*.b.c", "*.c"},
		"*.a.b.c": {"*.b.c", "*.c"},
		"c":       nil,
	} {
		if diff := cmp.Diff(want, slices.Collect(policy.WildcardsAbove(host))); diff != "" {
			t.Errorf("%s: %s", host, diff)
		}
	}
}

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// asker is an ask of a service of the same name and stack; a greater age is
// older.
func asker(name, host, path string, age int) policy.Ask {
	return policy.Ask{Host: host, Path: path, Owner: name, Service: name, Created: start.Add(-time.Duration(age) * time.Hour)}
}

// verdicts are the holders that asks ran into, "" for those granted.
func verdicts(conflicts []*policy.Conflict) []string {
	out := make([]string, len(conflicts))
	for i, c := range conflicts {
		if c != nil {
			out[i] = c.Holder.Owner + c.Owners
		}
	}
	return out
}

func TestSettle(t *testing.T) {
	hold := config.Policy{ClaimHold: time.Hour}
	for _, c := range []struct {
		name   string
		policy config.Policy
		first  []policy.Ask
		idle   time.Duration
		asks   []policy.Ask
		want   []string
	}{
		{"oldest first at a first start", hold, nil, 0, []policy.Ask{asker("b", "h", "/", 1), asker("a", "h", "/", 2)}, []string{"a", ""}},
		{"then by id", hold, nil, 0, []policy.Ask{asker("b", "h", "/", 1), asker("a", "h", "/", 1)}, []string{"a", ""}},
		{"incumbent before older", hold, []policy.Ask{asker("b", "h", "/", 1)}, 0, []policy.Ask{asker("b", "h", "/", 1), asker("a", "h", "/", 9)}, []string{"", "b"}},
		{"all paths of a host", hold, []policy.Ask{asker("b", "h", "/b", 1)}, 0, []policy.Ask{asker("a", "h", "/a", 9)}, []string{"b"}},
		{"hold", hold, []policy.Ask{asker("b", "h", "/", 1)}, time.Hour - 1, []policy.Ask{asker("a", "h", "/", 9)}, []string{"b"}},
		{"hold has ended", hold, []policy.Ask{asker("b", "h", "/", 1)}, time.Hour, []policy.Ask{asker("a", "h", "/", 9)}, []string{""}},
		{"below a wildcard", hold, []policy.Ask{asker("w", "*.x.y", "/", 1)}, 0, []policy.Ask{asker("a", "n.m.x.y", "/", 9), asker("a", "*.m.x.y", "/", 9), asker("a", "x.y", "/", 9)}, []string{"w", "w", ""}},
		{"a wildcard above leaves what is held", hold, []policy.Ask{asker("a", "n.x.y", "/", 1)}, 0, []policy.Ask{asker("a", "n.x.y", "/", 1), asker("w", "*.x.y", "/", 9)}, []string{"", ""}},
		{"the nearest wildcard counts", hold, []policy.Ask{asker("b", "*.x.y", "/", 3), asker("w", "*.y", "/", 1)}, 0, []policy.Ask{asker("b", "n.x.y", "/", 9), asker("w", "m.x.y", "/", 9)}, []string{"", "b"}},
		{"owners win below a wildcard", config.Policy{ClaimHold: time.Hour, Owners: map[string]string{"n.x.y": "a"}}, []policy.Ask{asker("w", "*.x.y", "/", 1)}, 0, []policy.Ask{asker("a", "n.x.y", "/", 1), asker("w", "n.x.y", "/", 9)}, []string{"", "a"}},
		{"what has no age is the youngest", hold, nil, 0, []policy.Ask{{Host: "h", Path: "/", Owner: "a", Service: "a"}, asker("b", "h", "/", 1)}, []string{"b", ""}},
		{"owners win", config.Policy{ClaimHold: time.Hour, Owners: map[string]string{"h": "a"}}, []policy.Ask{asker("b", "g", "/", 1)}, 0, []policy.Ask{asker("b", "h", "/", 1), asker("a", "h", "/", 1)}, []string{"a", ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			held, _ := policy.Settle(c.policy, nil, c.first, 0)
			_, conflicts := policy.Settle(c.policy, held, c.asks, c.idle)
			if diff := cmp.Diff(c.want, verdicts(conflicts)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestIdleClaimsAreBounded(t *testing.T) {
	var asks []policy.Ask
	for i := range 2 * policy.MaxIdleClaims {
		asks = append(asks, asker("a", fmt.Sprintf("h%d", i), "/", 1))
	}
	p := config.Policy{ClaimHold: time.Hour}
	held, _ := policy.Settle(p, nil, asks, 0)
	held, _ = policy.Settle(p, held, nil, time.Second)
	if len(held) != policy.MaxIdleClaims {
		t.Errorf("%d idle claims are kept", len(held))
	}
}

func TestHomesAreBounded(t *testing.T) {
	homes := policy.Homes{"here": "/dev"}
	for i := range policy.MaxHomes + 9 {
		homes[fmt.Sprintf("gone%d", i)] = "/dev"
	}
	in := policy.Input{Homes: homes, Snapshot: swarm.Snapshot{Services: []swarm.Service{{Name: "s", Labels: map[string]string{swarm.StackLabel: "here"}}}}}
	out := policy.Admit(in)
	if len(out.Homes) != policy.MaxHomes || out.Homes["here"] == "" {
		t.Errorf("%d homes are kept, present one: %q", len(out.Homes), out.Homes["here"])
	}
	in.Snapshot.Doubt.Services = true
	if out := policy.Admit(in); len(out.Homes) != len(homes) {
		t.Errorf("%d of %d homes are kept in doubt", len(out.Homes), len(homes))
	}
}

// TestNameOfAStackIsNoProof: who writes another's stack on a service gets
// neither its hosts nor a part of its pool, unless the collection agrees.
func TestNameOfAStackIsNoProof(t *testing.T) {
	ask := func(service, collection, path string) policy.Ask {
		return policy.Ask{Host: "h", Path: path, Owner: "shop", Service: service, Collection: collection, Created: start}
	}
	for _, sharing := range []string{"", policy.SharingCollection} {
		p := config.Policy{ClaimHold: time.Hour, HostSharing: sharing}
		for collection, granted := range map[string]bool{"/dev/a": true, "/dev": true, "/dev/a/x": true, "/dev/b": false, "/dev/ab": false} {
			for _, asks := range [][]policy.Ask{
				{ask("s", "/dev/a", "/"), ask("other", collection, "/")},
				{ask("s", "/dev/a", "/"), ask("other", collection, "/longer")},
				{ask("other", collection, "/")}, // s is gone for now
			} {
				held, _ := policy.Settle(p, nil, []policy.Ask{ask("s", "/dev/a", "/")}, 0)
				_, conflicts := policy.Settle(p, held, asks, time.Second)
				if got := conflicts[len(conflicts)-1] == nil; got != granted {
					t.Errorf("sharing %q: %s at %s: granted is %v", sharing, collection, asks[len(asks)-1].Path, got)
				}
			}
		}
		held, _ := policy.Settle(p, nil, []policy.Ask{ask("s", "/dev/a", "/")}, 0)
		if _, conflicts := policy.Settle(p, held, []policy.Ask{ask("s", "/dev/b", "/")}, 0); conflicts[0] != nil {
			t.Errorf("sharing %q: a service that moved lost its own host", sharing)
		}
	}
}

// TestStackPosesAsService: "service:web" is the owner of a service web without
// a stack, and no stack's name.
func TestStackPosesAsService(t *testing.T) {
	s := swarm.Service{ID: "x", Name: "x", Labels: map[string]string{swarm.StackLabel: "service:web", "com.docker.lb.hosts": "h"}}
	out := policy.Admit(policy.Input{
		Snapshot: swarm.Snapshot{Services: []swarm.Service{s}},
		Clusters: []config.Cluster{{Policy: config.Policy{Unlabelled: true}}},
	})
	if len(out.Admitted[""]) != 0 || len(out.Problems) != 1 || out.Problems[0].Label != swarm.StackLabel {
		t.Errorf("admitted %v, problems %v", out.Admitted, out.Problems)
	}
}

// TestIdleTextIsBounded: one who claims under ever new names of stacks fills
// the cluster's state with no more than its bound, and pushes nobody out.
func TestIdleTextIsBounded(t *testing.T) {
	p := config.Policy{ClaimHold: time.Hour}
	held, _ := policy.Settle(p, nil, []policy.Ask{asker("quiet", "quiet.example.com", "/", 1)}, 0)
	for stack := range 40 {
		var asks []policy.Ask
		for i := range 64 {
			asks = append(asks, policy.Ask{
				Host: fmt.Sprintf("%d.%d.%s", i, stack, strings.Repeat("h", 200)), Path: "/" + strings.Repeat("p", 1000),
				Owner: fmt.Sprint(stack), Service: "loud", Created: start,
			})
		}
		held, _ = policy.Settle(p, held, asks, time.Second)
	}
	held, _ = policy.Settle(p, held, nil, time.Second)
	size := 0
	for _, c := range held {
		size += len(c.Host) + len(c.Path)
	}
	if size > policy.MaxIdleText || size < policy.MaxIdleText/2 {
		t.Errorf("%d bytes of idle claims are kept", size)
	}
	if !slices.ContainsFunc(held, func(c policy.Claim) bool { return c.Owner == "quiet" }) {
		t.Error("the claim of another owner was pushed out")
	}
}

// TestTextOfHomesIsBounded: names of stacks in one collection don't push out
// what is known of another, also while their services exist.
func TestTextOfHomesIsBounded(t *testing.T) {
	for _, exist := range []bool{true, false} {
		homes, in := policy.Homes{"shop": "/prod"}, policy.Input{}
		for i := range 2000 {
			stack := fmt.Sprintf("%d%s", i, strings.Repeat("x", 240))
			homes[stack] = "/dev"
			if exist {
				in.Snapshot.Services = append(in.Snapshot.Services, swarm.Service{ID: stack, Labels: map[string]string{swarm.StackLabel: stack}})
			}
		}
		in.Homes = homes
		out, size := policy.Admit(in).Homes, 0
		for owner, collection := range out {
			size += len(owner) + len(collection)
		}
		if size > policy.MaxHomesText || size < policy.MaxHomesText/2 || out["shop"] != "/prod" {
			t.Errorf("%d bytes of homes are kept, shop's is %q", size, out["shop"])
		}
	}
}

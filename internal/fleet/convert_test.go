package fleet

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	fleetv1 "interlock/proto/fleet/v1"
	"interlock/routing"
)

// TestDeltasLeadToTheWhole: an agent that takes every message in turn has what
// is true, and a message names no backend that did not change.
func TestDeltasLeadToTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var sent, agent routing.Endpoints
		for version := range uint64(rapid.IntRange(1, 6).Draw(t, "versions")) {
			now := someEndpoints(t)
			m := endpointsTo(sent, now, version, version+1)
			if m.Full != (version == 0) || m.BaseVersion != version {
				t.Fatal(m)
			}
			for _, b := range m.Backends {
				if !m.Full && slices.Equal(sent[b.Id], now[b.Id]) && len(now[b.Id]) > 0 {
					t.Fatalf("%s did not change", b.Id)
				}
			}
			agent = applied(agent, m)
			sent = now
			if !equal(agent, now) {
				t.Fatalf("agent has %v, true is %v", agent, now)
			}
		}
	})
}

// someEndpoints has no empty lists: a backend without endpoints is absent.
func someEndpoints(t *rapid.T) routing.Endpoints {
	eps := routing.Endpoints{}
	for range rapid.IntRange(0, 5).Draw(t, "backends") {
		id := fmt.Sprintf("be_%d", rapid.IntRange(0, 5).Draw(t, "id"))
		eps[id] = nil
		for i := range rapid.IntRange(1, 3).Draw(t, "endpoints") {
			eps[id] = append(eps[id], routing.Endpoint{Address: fmt.Sprintf("10.0.%d.%d", rapid.IntRange(0, 2).Draw(t, "net"), i), Port: 80, Task: "t"})
		}
	}
	return eps
}

func applied(eps routing.Endpoints, m *fleetv1.Endpoints) routing.Endpoints {
	out := maps.Clone(eps)
	if m.Full || out == nil {
		out = routing.Endpoints{}
	}
	for _, b := range m.Backends {
		delete(out, b.Id)
		for _, e := range b.Endpoints {
			out[b.Id] = append(out[b.Id], routing.Endpoint{Address: e.Address, Port: int(e.Port), Task: e.Task})
		}
	}
	return out
}

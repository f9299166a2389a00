package routing

import (
	"slices"
	"testing"
)

// TestPool: what members agree on holds for the pool, what they differ on does
// not, whoever is first.
func TestPool(t *testing.T) {
	a := Backend{ID: "a", Algorithm: LeastConn, ConnectTimeout: 1, ResponseTimeout: 2, IdleTimeout: 3, MaxConnections: 4}
	b := Backend{ID: "b", Algorithm: Random, ConnectTimeout: 1, ResponseTimeout: 20, MaxConnections: 5}
	if got := PoolConflicts(a, b); !slices.Equal(got, []string{"timeout_response", "timeout_idle"}) {
		t.Errorf("conflicts: %v", got)
	}
	for _, members := range [][]Backend{{a, b}, {b, a}, {a, a, b}} {
		got := Pool(members)
		if got.ID != members[0].ID || got.Algorithm != members[0].Algorithm || got.ConnectTimeout != 1 || got.ResponseTimeout != 0 || got.IdleTimeout != 0 {
			t.Errorf("%v: %+v", members, got)
		}
	}
	if got := Pool([]Backend{a, a}); got.ResponseTimeout != 2 || got.IdleTimeout != 3 {
		t.Errorf("equal members: %+v", got)
	}
}

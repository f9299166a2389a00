package rollout

import (
	"math"
	"testing"
	"time"

	"interlock/bundle"
)

// TestLiarMovesNothing: a proxy that was broken into and names numbers past all
// that are left, when it connects or later, does not stop its cluster.
func TestLiarMovesNothing(t *testing.T) {
	at := bundle.Position{Epoch: 7, Generation: 5}
	lies := []bundle.Position{
		{Epoch: math.MaxUint64, Generation: math.MaxUint64},
		{Epoch: math.MaxUint64 - 1, Generation: math.MaxUint64 - 1},
		{Epoch: math.MaxUint64, Generation: 6},
		{Epoch: 7, Generation: math.MaxUint64},
		{Epoch: 1, Generation: 1 << 62},
	}
	for _, lie := range lies {
		now := time.Unix(0, 0)
		m := New(Config{}, Restored{Epoch: 8, Confirmed: Generation{Position: at, Key: "k", Digest: "d"}})
		m.Step(now, Connected{Agent{ID: "honest", Name: "a", Confirmed: at, Digest: "d"}})
		offers(t, m.Step(now, Connected{Agent{ID: "liar", Name: "z", Confirmed: lie, Digest: "x"}}), at)
		m.Step(now, Report{Agent: "liar", Position: at, Phase: Confirmed})
		for _, a := range m.Step(now, Report{Agent: "liar", Position: lie, Phase: Confirmed}) {
			t.Errorf("%v: reported: %#v", lie, a)
		}
		publishes(t, m, now, bundle.Position{Epoch: 8, Generation: 6})
	}
}

// offers expects that the proxy is taken for an empty one.
func offers(t *testing.T, actions []Action, want bundle.Position) {
	t.Helper()
	if len(actions) == 1 {
		if o, ok := actions[0].(Offer); ok && o.Agent == "liar" && o.Position == want {
			return
		}
	}
	t.Errorf("connected: %#v", actions)
}

// publishes expects that the next structure gets the next number.
func publishes(t *testing.T, m *Machine, now time.Time, want bundle.Position) {
	t.Helper()
	for _, a := range m.Step(now, Candidate{ID: 9, Key: "new", Changes: []string{"web"}}) {
		j, ok := a.(Judge)
		if !ok {
			t.Fatalf("%#v", a)
		}
		for _, a := range m.Step(now, Verdict{ID: j.ID, Phase: Accepted, Key: "new"}) {
			if p, ok := a.(Publish); !ok || p.Position != want {
				t.Errorf("%#v", a)
			}
			return
		}
	}
	t.Error("nothing is published")
}

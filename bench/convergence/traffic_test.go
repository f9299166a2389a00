package main

import (
	"errors"
	"net/netip"
	"testing"
	"time"
)

func TestSightings(t *testing.T) {
	one, two := netip.MustParseAddrPort("127.0.0.1:1"), netip.MustParseAddrPort("127.0.0.1:2")
	tr := newTraffic("host", []netip.AddrPort{one, two})
	at := time.Unix(1000, 0)
	answer := func(p netip.AddrPort, task string, after time.Duration) {
		tr.note(grows, &asker{proxy: p}, struct {
			status int
			task   string
		}{200, task}, nil, at.Add(after))
	}
	answer(one, "a", 1*time.Second)
	if _, everywhere := tr.of("a"); !everywhere.IsZero() {
		t.Error("one of two proxies is everywhere")
	}
	answer(two, "b", 2*time.Second)
	answer(two, "a", 3*time.Second)
	answer(one, "a", 4*time.Second)
	last, everywhere := tr.of("a")
	if want := at.Add(4 * time.Second); !last.Equal(want) {
		t.Errorf("last at %s, want %s", last, want)
	}
	if want := at.Add(3 * time.Second); !everywhere.Equal(want) {
		t.Errorf("everywhere at %s, want %s", everywhere, want)
	}
}

func TestFailuresAreCountedByPhase(t *testing.T) {
	tr := newTraffic("host", nil)
	a, broken := &asker{}, errors.New("reset")
	for range maxFailures + 5 {
		tr.note(grows, a, answer{}, broken, time.Time{})
	}
	tr.note(removes, a, answer{status: 503}, nil, time.Time{})
	if got := tr.counts[grows]; got.Failed != maxFailures+5 || got.Sent != got.Failed {
		t.Errorf("%+v", got)
	}
	if len(tr.failures) != maxFailures {
		t.Errorf("%d failures are remembered", len(tr.failures))
	}
}

func TestAskedBeforeRemoval(t *testing.T) {
	tr := newTraffic("host", nil)
	tr.begin(removes)
	tr.note(replaces, &asker{}, answer{status: 503}, nil, time.Time{})
	if len(tr.failures) > 0 || tr.counts[replaces].Failed > 0 {
		t.Errorf("%v %v", tr.counts, tr.failures)
	}
}

func TestEveryone(t *testing.T) {
	tr := newTraffic("host", make([]netip.AddrPort, 1))
	fresh, kept := &asker{}, &asker{keep: true}
	for _, step := range []struct {
		by   *asker
		got  int
		want bool
	}{{fresh, 200, false}, {kept, 503, false}, {kept, 200, true}, {fresh, 503, false}} {
		tr.note(arrives, step.by, answer{status: step.got, task: "t"}, nil, time.Time{})
		if tr.everyone() != step.want {
			t.Errorf("after %d: %v", step.got, !step.want)
		}
	}
}

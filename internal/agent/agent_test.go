package agent

import (
	"net/netip"
	"testing"
	"time"

	"interlock/bundle"
	"interlock/internal/engine"
	"interlock/internal/runfolder"
	fleetv1 "interlock/proto/fleet/v1"
	"interlock/routing"
)

func TestTrialConfirmedAndTakenBack(t *testing.T) {
	r := newRig(t)
	r.start()
	k := r.core.talk()
	if k.hello.GetConfirmed() != nil || k.hello.GetRunning() != nil {
		t.Errorf("an empty proxy says %v", k.hello)
	}
	k.endpoints(1, 0, true, "10.1.0.5")
	k.hearsApplied(1)
	k.offer(r.signed(1, "good"), time.Minute)
	k.hearsPhase(fleetv1.Phase_PHASE_APPLIED)
	r.is("7-1", engine.NotReady, "10.1.0.5")
	k.confirm(bundle.Position{Epoch: 7, Generation: 1})
	k.hearsPhase(fleetv1.Phase_PHASE_CONFIRMED)
	r.is("7-1", engine.Ready, "10.1.0.5")

	k.offer(r.signed(2, "bad"), time.Minute)
	if m := k.hearsPhase(fleetv1.Phase_PHASE_REFUSED); m.GetMessage() != "line 1: bad" {
		t.Errorf("words are %q", m.GetMessage())
	}
	k.offer(r.signed(3, "good"), 200*time.Millisecond)
	k.hearsPhase(fleetv1.Phase_PHASE_APPLIED)
	k.hearsPhase(fleetv1.Phase_PHASE_REVERTED)
	r.is("7-1", engine.Ready, "10.1.0.5")
	k.confirm(bundle.Position{Epoch: 7, Generation: 3})
	k.hearsPhase(fleetv1.Phase_PHASE_UNKNOWN)
}

// TestNoWayBack is I14: nothing at or below the confirmed position, unless it
// is that very bundle.
func TestNoWayBack(t *testing.T) {
	r := newRig(t)
	r.start()
	k := r.core.talk()
	r.confirmed(k, 5)
	for _, g := range []uint64{0, 4} {
		k.offer(r.signed(g, "good"), time.Minute)
		k.hearsPhase(fleetv1.Phase_PHASE_UNKNOWN)
	}
	k.offer(r.signed(5, "other"), time.Minute)
	k.hearsPhase(fleetv1.Phase_PHASE_UNKNOWN)
	k.offer(r.signed(5, "good"), time.Minute)
	k.hearsPhase(fleetv1.Phase_PHASE_CONFIRMED)
	forged := r.signed(6, "good")
	forged.Position.Generation = 7
	k.offer(forged, time.Minute)
	k.hearsPhase(fleetv1.Phase_PHASE_UNKNOWN)
	prod := bundle.Sign(r.root.SigningKey(), "prod", bundle.Position{Epoch: 7, Generation: 8}, forged.Encoded)
	k.offer(prod, time.Minute)
	k.hearsPhase(fleetv1.Phase_PHASE_UNKNOWN)
	r.is("7-5", engine.Ready, "")
}

func TestNewerOfferSupersedes(t *testing.T) {
	r := newRig(t)
	hang := make(chan struct{})
	r.engine.hang = hang
	r.start()
	k := r.core.talk()
	k.offer(r.signed(1, "good"), time.Minute)
	k.offer(r.signed(2, "good"), time.Minute)
	if m := k.hearsPhase(fleetv1.Phase_PHASE_UNKNOWN); m.GetPosition().GetGeneration() != 1 {
		t.Errorf("the superseded one is %v", m.GetPosition())
	}
	k.endpoints(1, 0, true, "10.1.0.5") // not held up by a check
	k.hearsApplied(1)
	close(hang)
	if m := k.hearsPhase(fleetv1.Phase_PHASE_APPLIED); m.GetPosition().GetGeneration() != 2 {
		t.Errorf("applied is %v", m.GetPosition())
	}
}

// TestOlderEpochIsNotObeyed: a core that does not know it was succeeded.
func TestOlderEpochIsNotObeyed(t *testing.T) {
	r := newRig(t)
	r.start()
	k := r.core.talk()
	r.confirmed(k, 1)
	k.endpoints(1, 0, true, "10.1.0.5")
	k.hearsApplied(1)
	close(k.end)
	r.core.stop()
	r.core.epoch = 6
	r.core.listen(r.core.address)
	k = r.core.talk()
	k.endpoints(1, 0, true, "10.1.0.6")
	k.offer(r.signed(2, "good"), time.Minute)
	k.hearsPhase(fleetv1.Phase_PHASE_UNKNOWN)
	k.confirm(bundle.Position{Epoch: 7, Generation: 1})
	k.hearsPhase(fleetv1.Phase_PHASE_UNKNOWN)
	if revision, _, addresses := r.engine.state(); revision != "7-1" || addresses == "10.1.0.6" {
		t.Errorf("a core of an older epoch was obeyed: %s %s", revision, addresses)
	}
}

func TestEndpointsOutOfOrderEndTheSession(t *testing.T) {
	r := newRig(t)
	r.start()
	k := r.core.talk()
	k.endpoints(3, 0, true, "10.1.0.5")
	k.hearsApplied(3)
	k.endpoints(4, 3, false, "10.1.0.6")
	k.hearsApplied(4)
	k.endpoints(6, 5, false, "10.1.0.7")
	k.ends()
	if k = r.core.talk(); k.hello == nil {
		t.Error("the agent does not start over with Hello")
	}
}

// TestFollowsDNSWithoutCore is I7 and I15: a task that is gone is not used, a
// new one is, ports that core gave stay, other networks do not count.
func TestFollowsDNSWithoutCore(t *testing.T) {
	r := newRig(t)
	r.start()
	k := r.core.talk()
	k.endpoints(1, 0, true, "10.1.0.5", "10.1.0.6")
	k.hearsApplied(1)
	r.confirmed(k, 1)
	r.names.set("tasks.web", "10.1.0.6", "10.1.0.7", "10.2.0.9", "172.16.0.1")
	r.names.set("tasks.other", "10.1.0.20")
	r.core.stop()
	r.is("7-1", engine.Ready, "10.1.0.6 10.1.0.7")
	r.engine.mu.Lock()
	if e := r.engine.eps[testBackend][0]; e.Port != 8080 {
		t.Errorf("the port that core gave became %d", e.Port)
	}
	r.engine.mu.Unlock()
	r.names.set("tasks.web") // scaled to nothing
	r.is("7-1", engine.Ready, "")
	r.core.listen(r.core.address)
	k = r.core.talk()
	k.endpoints(1, 0, true, "10.1.0.5")
	k.hearsApplied(1)
	r.is("7-1", engine.Ready, "10.1.0.5")
}

func TestBootsWithoutCore(t *testing.T) {
	r := newRig(t)
	r.start()
	k := r.core.talk()
	r.confirmed(k, 1)
	k.offer(r.signed(2, "good"), time.Minute)
	k.hearsPhase(fleetv1.Phase_PHASE_APPLIED)
	r.core.stop()
	r.stop()
	r.options.Folder = runfolder.Folder(t.TempDir()) // another container
	r.names.set("tasks.web", "10.2.0.5")
	r.engine = &memory{}
	r.options.Engine = r.engine
	r.start()
	r.is("7-1", engine.Ready, "10.2.0.5")
}

// TestBlindIsNotReady: a proxy that boots where neither core nor DNS can be
// reached would answer everything with 503, so the balancer must not use it. It
// is ready as soon as one name is answered, or after its bound.
func TestBlindIsNotReady(t *testing.T) {
	r := newRig(t)
	r.start()
	r.confirmed(r.core.talk(), 1)
	r.core.stop()
	r.stop()
	again := func(blind time.Duration) {
		r.options.Folder = runfolder.Folder(t.TempDir()) // another container
		r.options.Timing.Blind = blind
		r.engine = &memory{}
		r.options.Engine = r.engine
		r.start()
	}
	again(time.Hour)
	r.is("7-1", engine.NotReady, "")
	r.names.set("tasks.web", "10.2.0.5")
	r.is("7-1", engine.Ready, "10.2.0.5")

	r.stop()
	r.names.set("tasks.web")
	again(200 * time.Millisecond)
	r.is("7-1", engine.NotReady, "")
	r.is("7-1", engine.Ready, "")
}

func TestCrashLoopGoesToOlderBundle(t *testing.T) {
	r := newRig(t)
	r.start()
	k := r.core.talk()
	r.confirmed(k, 1)
	r.confirmed(k, 2)
	if err := r.options.Folder.SetLife(runfolder.Life{Deaths: 3, QuickDeaths: 3}); err != nil {
		t.Fatal(err)
	}
	r.is("7-1", engine.Ready, "")
	if k = r.core.talk(); k.hello.GetRunning().GetGeneration() != 1 || k.hello.GetConfirmed().GetGeneration() != 2 {
		t.Errorf("the agent says %v", k.hello)
	}
	k.offer(r.signed(2, "good"), time.Minute) // core wants it tried again
	k.hearsPhase(fleetv1.Phase_PHASE_APPLIED)
	if err := r.options.Folder.SetLife(runfolder.Life{Deaths: 4, QuickDeaths: 1}); err != nil {
		t.Fatal(err)
	}
	k.hearsPhase(fleetv1.Phase_PHASE_REVERTED)
	r.is("7-1", engine.Ready, "") // not to the one that crashed
}

func TestDrains(t *testing.T) {
	r := newRig(t)
	r.start()
	k := r.core.talk()
	r.confirmed(k, 1)
	r.is("7-1", engine.Ready, "")
	k.send(&fleetv1.FromCore{Kind: &fleetv1.FromCore_Drain{Drain: &fleetv1.Drain{Reason: "test"}}})
	r.is("7-1", engine.Drain, "")
	r.stop() // the next agent of this container drains too
	r.engine.set(func(m *memory) { m.health = engine.Ready })
	r.start()
	r.is("7-1", engine.Drain, "")
	if !r.core.talk().hello.GetDraining() {
		t.Error("Hello does not say that it drains")
	}
}

// TestDriftIsBroughtBack: an engine that runs something else gets what it
// should run, and a trial that can't be taken back is tried again.
func TestDriftIsBroughtBack(t *testing.T) {
	r := newRig(t)
	r.start()
	k := r.core.talk()
	r.confirmed(k, 1)
	r.engine.set(func(m *memory) { m.revision = "9-9" })
	r.is("7-1", engine.Ready, "")
	k.offer(r.signed(2, "good"), 3*time.Second)
	k.hearsPhase(fleetv1.Phase_PHASE_APPLIED)
	r.engine.set(func(m *memory) { m.fail = true })
	await(t, "the trial can't be taken back", func() bool {
		r.engine.mu.Lock()
		defer r.engine.mu.Unlock()
		return r.engine.failed > 0
	})
	r.engine.set(func(m *memory) { m.fail = false })
	k.hearsPhase(fleetv1.Phase_PHASE_REVERTED)
	r.is("7-1", engine.Ready, "")
}

// TestBootIsTriedAgain: a last known good that did not run at boot, and an
// engine that stays away, are not given up.
func TestBootIsTriedAgain(t *testing.T) {
	r := newRig(t)
	r.start()
	r.confirmed(r.core.talk(), 1)
	r.stop()
	r.core.stop()
	r.engine.set(func(m *memory) { m.fail, m.dead, m.revision = true, true, "" })
	r.start()
	await(t, "boot has failed", func() bool {
		r.engine.mu.Lock()
		defer r.engine.mu.Unlock()
		return r.engine.failed > 0
	})
	r.engine.set(func(m *memory) { m.fail = false })
	r.is("7-1", engine.Ready, "")
}

func TestJudgeAnswersWithTheID(t *testing.T) {
	r := newRig(t)
	r.start()
	k := r.core.talk()
	for text, want := range map[string]fleetv1.Phase{"good": fleetv1.Phase_PHASE_ACCEPTED, "bad": fleetv1.Phase_PHASE_REFUSED} {
		k.send(&fleetv1.FromCore{Kind: &fleetv1.FromCore_Judge{Judge: &fleetv1.Judge{Id: text, Encoded: r.signed(1, text).Encoded}}})
		if m := k.hearsPhase(want); m.GetId() != text {
			t.Errorf("id is %q", m.GetId())
		}
	}
	if revision, _, _ := r.engine.state(); revision != "" {
		t.Errorf("a judged bundle was applied: %s", revision)
	}
}

func TestSubnetsOfForeignNetworks(t *testing.T) {
	be := bundle.Backend{ID: "b", Network: "n", Port: 80}
	ours := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/24"), netip.MustParsePrefix("10.2.0.0/24")}
	answers := map[string]answer{"b": {addresses: []netip.Addr{netip.MustParseAddr("10.2.0.9")}}}
	have := routing.Endpoints{"b": {{Address: "10.1.0.5", Port: 80}}}
	var f follow
	if next := f.next(have, []bundle.Backend{be}, answers, ours); next["b"][0].Address != "10.1.0.5" {
		t.Errorf("an address on another network was taken: %v", next)
	}
	if next := f.next(nil, []bundle.Backend{be}, answers, ours); len(next["b"]) != 1 {
		t.Errorf("with nothing known, an address on a network of ours was not taken: %v", next)
	}
}

package proxy

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"interlock/bundle"
	"interlock/internal/fleet"
)

// TestLifeOfAProxy: empty, first bundle, endpoints, a second bundle, under load
// from the moment it is ready; nothing may be lost.
func TestLifeOfAProxy(t *testing.T) { eachEngine(t, lifeOfAProxy) }

func lifeOfAProxy(t *testing.T, kind string) {
	c := newCore(t)
	one, two := origin(t, "one"), origin(t, "two")
	c.server.SetEndpoints(cluster, endpoints(one))
	p := newProxy(t, c, kind)
	s := c.session()
	s.Offer(c.sign(1, p.bundle("a.test")), time.Minute)
	c.reported(fleet.Applied)
	if got := p.health(); got != 503 {
		t.Errorf("an empty proxy on its first trial answers health with %d", got)
	}
	s.Confirm(bundle.Position{Epoch: 3, Generation: 1})
	c.reported(fleet.Confirmed)
	p.ready()
	p.serves("a.test", "one")
	stop := p.load(4)
	c.server.SetEndpoints(cluster, endpoints(two))
	p.serves("a.test", "two")
	c.confirmed(s, 2, p.bundle("a.test", "b.test"))
	p.serves("b.test", "two")
	c.server.SetEndpoints(cluster, endpoints(one, two))
	p.serves("a.test", "one")
	if sent, failed := stop(); len(failed) > 0 || sent < 20 {
		t.Errorf("%d requests, failed: %q", sent, failed)
	}
}

func TestRefusedBundleLeavesEverything(t *testing.T) { eachEngine(t, refusedBundleLeavesEverything) }

func refusedBundleLeavesEverything(t *testing.T, kind string) {
	c := newCore(t)
	c.server.SetEndpoints(cluster, endpoints(origin(t, "one")))
	p := newProxy(t, c, kind)
	s := c.session()
	c.confirmed(s, 1, p.bundle("a.test"))
	engine := p.enginePID()
	s.Offer(c.sign(2, p.broken()), time.Minute)
	if r := c.reported(fleet.Refused); r.Message == "" {
		t.Error("refused without words")
	}
	encoded, err := bundle.Encode(p.broken())
	if err != nil {
		t.Fatal(err)
	}
	s.Judge("j1", encoded)
	if r := c.reported(fleet.Refused); r.ID != "j1" {
		t.Errorf("the verdict has id %q", r.ID)
	}
	p.serves("a.test", "one")
	if p.enginePID() != engine {
		t.Error("the engine was started anew")
	}
	forged := c.sign(3, p.bundle("evil.test"))
	forged.Position.Generation = 4
	s.Offer(forged, time.Minute)
	c.reported(fleet.Unknown)
	s.Offer(c.sign(0, p.bundle("old.test")), time.Minute)
	c.reported(fleet.Unknown)
}

func TestUnconfirmedTrialGoesBack(t *testing.T) { eachEngine(t, unconfirmedTrialGoesBack) }

func unconfirmedTrialGoesBack(t *testing.T, kind string) {
	c := newCore(t)
	c.server.SetEndpoints(cluster, endpoints(origin(t, "one")))
	p := newProxy(t, c, kind)
	s := c.session()
	c.confirmed(s, 1, p.bundle("a.test"))
	p.ready()
	stop := p.load(2)
	s.Offer(c.sign(2, p.bundle("b.test")), 300*time.Millisecond)
	c.reported(fleet.Applied)
	c.reported(fleet.Reverted)
	p.serves("a.test", "one")
	s.Offer(c.sign(3, p.bundle("a.test", "b.test")), time.Minute)
	c.reported(fleet.Applied)
	s.Withdraw(bundle.Position{Epoch: 3, Generation: 3}, "as a test")
	c.reported(fleet.Reverted)
	if code, _ := p.get("b.test"); code != 503 {
		t.Errorf("a withdrawn route answers %d", code)
	}
	if got := p.health(); got != 200 {
		t.Errorf("health is %d after a trial was taken back", got)
	}
	stop()
}

// TestEngineKilled: it is back from the confirmed bundle with the present
// endpoints, core or no core.
func TestEngineKilled(t *testing.T) { eachEngine(t, engineKilled) }

func engineKilled(t *testing.T, kind string) {
	c := newCore(t)
	c.server.SetEndpoints(cluster, endpoints(origin(t, "one")))
	p := newProxy(t, c, kind)
	c.confirmed(c.session(), 1, p.bundle("a.test"))
	c.server.SetEndpoints(cluster, endpoints(origin(t, "two")))
	p.serves("a.test", "two")
	c.stop()
	for _, whole := range []bool{false, true, true} {
		pid := p.enginePID()
		start := time.Now()
		if whole {
			kill(t, -pid)
		} else {
			kill(t, pid) // its worker is left
		}
		await(t, "another engine was started", func() bool { now := p.enginePID(); return now != 0 && now != pid })
		p.serves("a.test", "two")
		p.ready()
		t.Logf("serving and ready %v after kill -9 of the engine", time.Since(start).Round(time.Millisecond))
	}
	c.start(c.address)
}

// TestEngineKeepsDying: several quick deaths cost the newest confirmed bundle
// its place; core may have it tried again.
func TestEngineKeepsDying(t *testing.T) { eachEngine(t, engineKeepsDying) }

func engineKeepsDying(t *testing.T, kind string) {
	c := newCore(t)
	c.server.SetEndpoints(cluster, endpoints(origin(t, "one")))
	p := newProxy(t, c, kind)
	s := c.session()
	c.confirmed(s, 1, p.bundle("a.test"))
	c.confirmed(s, 2, p.bundle("b.test"))
	for range 3 {
		pid := p.enginePID()
		kill(t, -pid)
		await(t, "another engine was started", func() bool { now := p.enginePID(); return now != 0 && now != pid })
	}
	p.serves("a.test", "one")
	if s = c.session(); s.Agent().Running.Generation != 1 || s.Agent().Confirmed.Generation != 2 {
		t.Errorf("the agent says %v", s.Agent())
	}
	c.confirmed(s, 3, p.bundle("c.test"))
	p.serves("c.test", "one")
}

// TestEngineDiesOnTrial: a death during a trial is the trial's.
func TestEngineDiesOnTrial(t *testing.T) { eachEngine(t, engineDiesOnTrial) }

func engineDiesOnTrial(t *testing.T, kind string) {
	c := newCore(t)
	c.server.SetEndpoints(cluster, endpoints(origin(t, "one")))
	p := newProxy(t, c, kind)
	s := c.session()
	c.confirmed(s, 1, p.bundle("a.test"))
	s.Offer(c.sign(2, p.bundle("b.test")), time.Minute)
	c.reported(fleet.Applied)
	kill(t, p.enginePID())
	c.reported(fleet.Reverted)
	p.serves("a.test", "one")
}

// TestAgentKilled: nothing changes for anybody but core.
func TestAgentKilled(t *testing.T) { eachEngine(t, agentKilled) }

func agentKilled(t *testing.T, kind string) {
	c := newCore(t)
	one := origin(t, "one")
	c.server.SetEndpoints(cluster, endpoints(one))
	p := newProxy(t, c, kind)
	c.confirmed(c.session(), 1, p.bundle("a.test"))
	p.ready()
	engine := p.enginePID()
	stop := p.load(4)
	kill(t, p.agentPID())
	s := c.session()
	if a := s.Agent(); a.Running.Generation != 1 || a.Confirmed.Generation != 1 {
		t.Errorf("the new agent says it runs %v, confirmed %v", a.Running, a.Confirmed)
	}
	c.confirmed(s, 2, p.bundle("a.test", "b.test"))
	if sent, failed := stop(); len(failed) > 0 {
		t.Errorf("%d requests, failed: %q", sent, failed)
	}
	if p.enginePID() != engine || p.health() != 200 {
		t.Error("the engine did not go on as it was")
	}
}

// TestAgentKilledOnTrial: the next agent knows nothing of the trial and goes
// back to what was confirmed.
func TestAgentKilledOnTrial(t *testing.T) { eachEngine(t, agentKilledOnTrial) }

func agentKilledOnTrial(t *testing.T, kind string) {
	c := newCore(t)
	c.server.SetEndpoints(cluster, endpoints(origin(t, "one")))
	p := newProxy(t, c, kind)
	s := c.session()
	c.confirmed(s, 1, p.bundle("a.test"))
	s.Offer(c.sign(2, p.bundle("b.test")), time.Minute)
	c.reported(fleet.Applied)
	kill(t, p.agentPID())
	c.session()
	p.serves("a.test", "one")
}

// TestBootFromLastKnownGood: without core, from the newest generation that
// verifies.
func TestBootFromLastKnownGood(t *testing.T) { eachEngine(t, bootFromLastKnownGood) }

func bootFromLastKnownGood(t *testing.T, kind string) {
	c := newCore(t)
	one := origin(t, "one")
	c.server.SetEndpoints(cluster, endpoints(one))
	p := newProxy(t, c, kind)
	s := c.session()
	c.confirmed(s, 1, p.bundle("a.test"))
	c.confirmed(s, 2, p.bundle("b.test"))
	s.Offer(c.sign(3, p.bundle("c.test")), time.Minute) // never confirmed
	c.reported(fleet.Applied)
	c.stop()
	p.restart()
	p.answers()
	if p.health() != 503 {
		t.Error("it is ready, though it knows no task")
	}
	// Its tasks can't be found here, but the route is known: another 503.
	_, known := p.get("b.test")
	if _, unknown := p.get("c.test"); known == unknown {
		t.Error("the confirmed route is not served")
	}
	newest := filepath.Join(p.dir, "state", "generations", "3-2", "bundle.json")
	if err := os.Truncate(newest, 100); err != nil {
		t.Fatal(err)
	}
	p.restart()
	p.answers()
	_, known = p.get("a.test")
	if _, unknown := p.get("b.test"); known == unknown {
		t.Error("the older generation is not served")
	}
	c.start(c.address)
	c.server.SetEndpoints(cluster, endpoints(one))
	if a := c.session().Agent(); a.Confirmed.Generation != 1 {
		t.Errorf("confirmed is %v", a.Confirmed)
	}
	p.serves("a.test", "one")
	p.ready()
}

// TestLameDuck: each stop signal has the health port say so at once, while
// requests go on to be served, and ends in order.
func TestLameDuck(t *testing.T) { eachEngine(t, lameDuck) }

func lameDuck(t *testing.T, kind string) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGINT} {
		for _, agent := range []string{"with", "without"} {
			t.Run(sig.String()+" "+agent+" agent", func(t *testing.T) {
				c := newCore(t)
				c.server.SetEndpoints(cluster, endpoints(origin(t, "one")))
				p := newProxy(t, c, kind)
				c.confirmed(c.session(), 1, p.bundle("a.test"))
				p.ready()
				stop := p.load(2)
				if agent == "without" {
					kill(t, p.agentPID())
				}
				if err := p.cmd.Process.Signal(sig); err != nil {
					t.Fatal(err)
				}
				await(t, "health is not ready", func() bool { return p.health() == 503 })
				for range 5 {
					if code, body := p.get("a.test"); body != "one" {
						t.Fatalf("while draining: %d %s", code, body)
					}
				}
				if sent, failed := stop(); len(failed) > 0 {
					t.Errorf("%d requests, failed: %q", sent, failed)
				}
				// The rest of the drain time is cut short by another signal.
				if err := p.cmd.Process.Signal(sig); err != nil {
					t.Fatal(err)
				}
				select {
				case err := <-p.ended:
					if err != nil {
						t.Errorf("ended with %v", err)
					}
				case <-time.After(patience):
					t.Fatal("it did not end")
				}
			})
		}
	}
}

func TestSecondSignalShortens(t *testing.T) { eachEngine(t, secondSignalShortens) }

func secondSignalShortens(t *testing.T, kind string) {
	c := newCore(t)
	c.server.SetEndpoints(cluster, endpoints(origin(t, "one")))
	p := newProxy(t, c, kind)
	c.confirmed(c.session(), 1, p.bundle("a.test"))
	p.ready()
	for range 2 {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		await(t, "it drains", p.folder().Draining)
	}
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Fatal("it did not end")
	}
}

func TestSoftStopFinishesRequests(t *testing.T) { eachEngine(t, softStopFinishesRequests) }

// softStopFinishesRequests: what is under way when the listeners close gets its
// answer.
func softStopFinishesRequests(t *testing.T, kind string) {
	c := newCore(t)
	slow, began, answer := slowOrigin(t)
	c.server.SetEndpoints(cluster, endpoints(slow))
	p := newProxy(t, c, kind)
	c.confirmed(c.session(), 1, p.bundle("a.test"))
	p.ready()
	got := make(chan string, 1)
	go func() { _, body := p.get("a.test"); got <- body }()
	<-began
	for range 2 {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		await(t, "it drains", p.folder().Draining)
	}
	await(t, "its listeners are closed", func() bool { return p.health() == 0 })
	close(answer)
	if body := <-got; body != "slow" {
		t.Errorf("the request under way was answered %q", body)
	}
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Fatal("it did not end")
	}
}

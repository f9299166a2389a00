package embedded

import (
	"fmt"
	"testing"
	"time"

	"interlock/routing"
)

func poolOf(algorithm string, n int) *pool {
	p := &pool{options: routing.Backend{Algorithm: algorithm}, tally: &tally{}}
	for i := range n {
		p.members = append(p.members, member{target: &target{key: fmt.Sprint("t", i)}})
	}
	return p
}

// picks returns the keys of n picks for a client.
func picks(p *pool, client string, n int) (keys []string) {
	for range n {
		m, ok, _ := p.pick(client, "", nil, time.Time{})
		if !ok {
			return append(keys, "none")
		}
		keys = append(keys, m.target.key)
	}
	return keys
}

func TestRoundRobinSkipsWhatIsDown(t *testing.T) {
	p := poolOf(routing.RoundRobin, 3)
	p.members[1].target.down.Store(true)
	for _, key := range picks(p, "", 9) {
		if key == "t1" {
			t.Error("an endpoint that is down was picked")
		}
	}
	p.members[0].target.down.Store(true)
	p.members[2].target.down.Store(true)
	if got := picks(p, "", 1); got[0] != "none" {
		t.Errorf("all are down, but %s was picked", got[0])
	}
}

func TestLeastConn(t *testing.T) {
	p := poolOf(routing.LeastConn, 3)
	p.members[0].target.busy.Store(2)
	p.members[1].target.busy.Store(1)
	p.members[2].target.busy.Store(2)
	for _, key := range picks(p, "", 6) {
		if key != "t1" {
			t.Errorf("picked %s, want t1, which is the least busy", key)
		}
	}
}

// An endpoint that leaves moves no client but its own.
func TestIPHashMovesFewClients(t *testing.T) {
	p := poolOf(routing.IPHash, 5)
	fewer := &pool{options: p.options, tally: p.tally, members: p.members[:4]}
	for i := range 200 {
		client := fmt.Sprint("192.0.2.", i)
		before, after := picks(p, client, 1)[0], picks(fewer, client, 1)[0]
		if before != "t4" && before != after {
			t.Errorf("client %s moved from %s to %s", client, before, after)
		}
	}
}

func TestPassiveFailures(t *testing.T) {
	p := poolOf(routing.RoundRobin, 2)
	for i := range p.members {
		p.members[i].maxFails, p.members[i].failTimeout = 2, 10*time.Second
	}
	bad, now := p.members[0], time.Unix(1000, 0)
	bad.failed(now)
	bad.failed(now.Add(11 * time.Second)) // the first is too long ago
	if bad.isOut(now.Add(11 * time.Second)) {
		t.Error("out after one failure within the time")
	}
	bad.failed(now.Add(12 * time.Second))
	now = now.Add(13 * time.Second)
	if !bad.isOut(now) {
		t.Fatal("two failures did not take the endpoint out")
	}
	for range 4 {
		if m, _, _ := p.pick("", "", nil, now); m.target != p.members[1].target {
			t.Errorf("picked %s, which is out", m.target.key)
		}
	}
	if m, ok, _ := p.pick("", "", []*target{p.members[1].target}, now); !ok || m.target != bad.target {
		t.Error("an endpoint that is out must serve where no other is left")
	}
	if bad.isOut(now.Add(10 * time.Second)) {
		t.Error("still out after its time")
	}
}

func TestChecksFallAndRise(t *testing.T) {
	one := &target{}
	for i, step := range []struct{ good, changed, down bool }{
		{false, false, false}, {true, false, false}, {false, false, false}, {false, true, true}, {false, false, true}, {true, true, false},
	} {
		if changed := one.checked(step.good); changed != step.changed || one.down.Load() != step.down {
			t.Errorf("step %d: changed %v, down %v", i, changed, one.down.Load())
		}
	}
}

// What is counted and known of an endpoint outlives a change of the table.
func TestStateKeepsMemory(t *testing.T) {
	table := routing.Table{
		Routes:   []routing.Route{{Host: "a.org", Path: "/", Backends: []string{"be_a"}}},
		Backends: []routing.Backend{{ID: "be_a", Port: 80}},
	}
	eps := routing.Endpoints{"be_a": {{Address: "10.0.0.1", Port: 80}, {Address: "10.0.0.2", Port: 80}}}
	var m memory
	before := newState(table, "1", eps, &m)
	table.Backends[0].Algorithm = routing.LeastConn
	eps["be_a"] = eps["be_a"][:1]
	after := newState(table, "2", eps, &m)
	if len(before.checks) != 2 || len(after.checks) != 1 || len(m.targets) != 1 {
		t.Fatalf("targets: %d, then %d, remembered %d", len(before.checks), len(after.checks), len(m.targets))
	}
	old, next := before.pools[before.route()], after.pools[after.route()]
	if old.members[0].target != next.members[0].target || old.tally != next.tally {
		t.Error("an endpoint was forgotten that both tables have")
	}
}

func (s *state) route() *routing.Route {
	for r := range s.pools {
		return r
	}
	return nil
}

package rollout

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"interlock/bundle"
)

// world simulates what is around a Machine: a core with wanted services and a
// store, and agents that refuse what is guilty, forget, and lose sessions.
type world struct {
	t       *rapid.T
	m       *Machine
	cfg     Config
	now     time.Time
	guilty  map[string]bool
	wanted  map[string]bool
	blamed  map[string]bool
	agents  map[string]*simulated
	stored  map[bundle.Position]string // content by position
	digests map[bundle.Position]string
	offered map[bundle.Position]bool
	last    bundle.Position // greatest published
	adopted string          // content of what is confirmed
	at      Generation      // what is confirmed
	before  Generation      // what was before: a save may be lost
	serial  uint64
	inputs  map[uint64]map[string]bool // wanted by candidate
	queue   []func()                   // what is on its way
	faults  bool
}

type simulated struct {
	name, session      string
	confirmed, running bundle.Position
	digest, trial      string // of confirmed, of running
}

// TestSimulation: whatever happens in whatever order, numbers only grow, agents
// never go back, nothing guilty is ever confirmed, nobody innocent is blamed;
// and when the faults end, everything that is not guilty is served by all.
func TestSimulation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		for range rapid.IntRange(10, 150).Draw(t, "steps") {
			w.chance()
		}
		w.faults = false
		w.settle()
		w.check()
	})
}

func newWorld(t *rapid.T) *world {
	w := &world{
		t: t, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), faults: true,
		guilty: map[string]bool{}, wanted: map[string]bool{}, blamed: map[string]bool{}, agents: map[string]*simulated{},
		stored: map[bundle.Position]string{}, digests: map[bundle.Position]string{}, offered: map[bundle.Position]bool{}, inputs: map[uint64]map[string]bool{},
	}
	for _, s := range rapid.SliceOfNDistinct(rapid.IntRange(0, 9), 0, 3, rapid.ID[int]).Draw(t, "guilty") {
		w.guilty[service(s)] = true
	}
	for i := range rapid.IntRange(1, 4).Draw(t, "agents") {
		name := fmt.Sprintf("p%d", i)
		w.agents[name] = &simulated{name: name}
	}
	w.cfg = Config{Parallelism: rapid.IntRange(1, 2).Draw(t, "parallelism"), Budget: rapid.IntRange(3, 40).Draw(t, "budget")}
	w.m = New(w.cfg, Restored{Epoch: 1})
	return w
}

// chance does one thing of those that can happen.
func (w *world) chance() {
	pick := func(label string) string {
		return rapid.SampledFrom(slices.Sorted(maps.Keys(w.agents))).Draw(w.t, label)
	}
	switch rapid.IntRange(0, 40).Draw(w.t, "what") / 4 {
	case 0:
		w.toggle(service(rapid.IntRange(0, 9).Draw(w.t, "service")))
	case 1:
		w.connect(w.agents[pick("connects")])
	case 2:
		w.disconnect(w.agents[pick("goes")])
	case 3:
		w.advance(time.Duration(rapid.IntRange(1, 60_000).Draw(w.t, "ms")) * time.Millisecond)
	case 10:
		w.restart(rapid.IntRange(0, 3).Draw(w.t, "lost"))
	default:
		if len(w.queue) > 0 {
			w.deliver(rapid.IntRange(0, len(w.queue)-1).Draw(w.t, "delivered"))
		}
	}
}

// restart is a new core: with everything stored, without the last save of what
// is confirmed, or without the store.
func (w *world) restart(lost int) {
	for _, a := range w.sorted() {
		a.session = ""
	}
	w.queue = nil
	r := Restored{Epoch: w.last.Epoch + 1, Confirmed: w.at}
	switch lost {
	case 0:
		r.Confirmed = w.before
	case 1:
		r = Restored{Epoch: 1}
		w.last, w.at, w.before = bundle.Position{}, Generation{}, Generation{}
		clear(w.stored)
		clear(w.digests)
		clear(w.offered)
		clear(w.blamed)
	}
	for at := range w.offered {
		if r.Confirmed.Position.Less(at) {
			r.Later = append(r.Later, Generation{at, w.stored[at], w.digests[at]})
		}
	}
	slices.SortFunc(r.Later, func(a, b Generation) int { return int(a.Position.Generation) - int(b.Position.Generation) })
	w.at, w.adopted = r.Confirmed, r.Confirmed.Key
	w.m = New(w.cfg, r)
	w.candidate()
}

func (w *world) deliver(i int) {
	f := w.queue[i]
	w.queue = slices.Delete(w.queue, i, i+1)
	f()
}

func (w *world) advance(d time.Duration) {
	w.now = w.now.Add(d)
	for _, a := range w.sorted() {
		// An unconfirmed bundle goes back by itself.
		if a.running != a.confirmed && d > DefaultApplyWithin {
			a.running = a.confirmed
		}
	}
	w.step(Tick{})
}

func (w *world) sorted() []*simulated {
	var list []*simulated
	for _, name := range slices.Sorted(maps.Keys(w.agents)) {
		list = append(list, w.agents[name])
	}
	return list
}

func (w *world) toggle(s string) {
	if w.wanted[s] {
		delete(w.wanted, s)
	} else {
		w.wanted[s] = true
	}
	w.candidate()
}

// candidate proposes what is wanted and not quarantined.
func (w *world) candidate() {
	w.serial++
	in := map[string]bool{}
	for s := range w.wanted {
		if !w.blamed[s] {
			in[s] = true
		}
	}
	w.inputs[w.serial] = in
	var changes []string
	before := set(w.adopted)
	for i := range 10 {
		if s := service(i); in[s] != before[s] {
			changes = append(changes, s)
		}
	}
	w.step(Candidate{ID: w.serial, Key: key(in), Changes: changes})
}

// key names content; it is never empty.
func key(in map[string]bool) string { return "=" + strings.Join(slices.Sorted(maps.Keys(in)), ",") }

func set(content string) map[string]bool {
	in := map[string]bool{}
	for _, s := range list(strings.TrimPrefix(content, "=")) {
		in[s] = true
	}
	return in
}

// content of a variant: held services are as they are confirmed.
func (w *world) content(candidate uint64, v Variant) string {
	switch v.Kind {
	case BaseOnly:
		return "="
	case ConfirmedOne:
		return w.adopted
	}
	in, before := maps.Clone(w.inputs[candidate]), set(w.adopted)
	for _, s := range v.Hold {
		delete(in, s)
		if before[s] {
			in[s] = true
		}
	}
	return key(in)
}

func (w *world) refused(content string) bool {
	for s := range set(content) {
		if w.guilty[s] {
			return true
		}
	}
	return false
}

// unknown says whether an answer gets lost in something else.
func (w *world) unknown() bool {
	return w.faults && rapid.IntRange(0, 5).Draw(w.t, "unknown") == 0
}

func (w *world) step(ev Event) {
	for _, a := range w.m.Step(w.now, ev) {
		w.act(a)
	}
}

func (w *world) act(a Action) {
	switch a := a.(type) {
	case Judge:
		w.queue = append(w.queue, func() { w.judge(a) })
	case Publish:
		w.publish(a)
	case Offer:
		if !w.offered[a.Position] {
			w.t.Fatalf("%v is offered before it is durable", a.Position)
		}
		w.to(a.Agent, func(s *simulated) { w.apply(s, a) })
	case Confirm:
		w.to(a.Agent, func(s *simulated) { w.confirm(s, a.Position) })
	case Withdraw:
		w.to(a.Agent, func(s *simulated) {
			if s.running == a.Position {
				s.running = s.confirmed
			}
			w.step(Report{Agent: a.Agent, Position: a.Position, Phase: Reverted})
		})
	case Adopt:
		w.adopt(a.Generation)
	case Quarantine:
		for _, b := range a.Services {
			if !w.guilty[b.Service] {
				w.t.Fatalf("%s is blamed and innocent", b.Service)
			}
			w.blamed[b.Service] = true
		}
	case Freeze:
		w.t.Fatalf("frozen: %s", a.Reason)
	case Ask:
		w.queue = append(w.queue, w.candidate)
	}
}

// to delivers something to an agent, if its session still is the same then.
func (w *world) to(session string, do func(*simulated)) {
	w.queue = append(w.queue, func() {
		for _, a := range w.sorted() {
			if a.session == session {
				do(a)
			}
		}
	})
}

func (w *world) judge(a Judge) {
	v := Verdict{ID: a.ID, Phase: Accepted, Key: w.content(a.Candidate, a.Variant)}
	switch {
	case w.unknown():
		v.Phase = Unknown
	case w.refused(v.Key):
		v.Phase, v.Words = Refused, "refused"
	}
	w.step(v)
}

func (w *world) publish(a Publish) {
	if !w.last.Less(a.Position) {
		w.t.Fatalf("%v published after %v", a.Position, w.last)
	}
	w.last = a.Position
	w.serial++
	w.stored[a.Position] = w.content(a.Candidate, a.Variant)
	w.digests[a.Position] = fmt.Sprintf("%s#%d", w.stored[a.Position], w.serial)
	w.queue = append(w.queue, func() {
		if w.unknown() {
			w.step(PublishFailed{Position: a.Position, Words: "no quorum"})
			return
		}
		w.offered[a.Position] = true
		w.step(Published{a.Position, w.digests[a.Position]})
	})
}

func (w *world) apply(s *simulated, o Offer) {
	r := Report{Agent: s.session, Position: o.Position, Phase: Applied}
	switch {
	case o.Position.Less(s.confirmed):
		w.t.Fatalf("%s has %v and is offered %v", s.name, s.confirmed, o.Position)
	case w.unknown():
		r.Phase = Unknown
	case w.refused(w.stored[o.Position]):
		w.t.Fatalf("%s is offered what is refused: %s", s.name, w.stored[o.Position])
	default:
		s.running, s.trial = o.Position, w.digests[o.Position]
	}
	w.queue = append(w.queue, func() { w.step(r) })
}

func (w *world) confirm(s *simulated, p bundle.Position) {
	if s.running != p {
		return // it went back before
	}
	if p.Less(s.confirmed) {
		w.t.Fatalf("%s goes back from %v to %v", s.name, s.confirmed, p)
	}
	s.confirmed, s.digest = p, s.trial
	session := s.session
	w.queue = append(w.queue, func() { w.step(Report{Agent: session, Position: p, Phase: Confirmed}) })
}

func (w *world) adopt(g Generation) {
	confirmed := slices.ContainsFunc(w.sorted(), func(a *simulated) bool { return a.confirmed == g.Position })
	if !confirmed || w.refused(w.stored[g.Position]) || g.Key != w.stored[g.Position] {
		w.t.Fatalf("adopted %v %q, stored %q, confirmed by an agent: %t", g.Position, g.Key, w.stored[g.Position], confirmed)
	}
	if w.at != g {
		w.before, w.at = w.at, g
	}
	w.adopted = g.Key
}

func (w *world) connect(a *simulated) {
	if a.session != "" {
		return
	}
	w.serial++
	a.session = fmt.Sprintf("%s#%d", a.name, w.serial)
	w.step(Connected{Agent{ID: a.session, Name: a.name, Confirmed: a.confirmed, Digest: a.digest}})
}

func (w *world) disconnect(a *simulated) {
	if a.session == "" {
		return
	}
	session := a.session
	a.session = ""
	w.step(Gone{session})
}

// settle lets everything arrive, without faults, until nothing is due.
func (w *world) settle() {
	for _, a := range w.sorted() {
		w.connect(a)
	}
	w.queue = append(w.queue, w.candidate)
	for range 2000 {
		if len(w.queue) > 0 {
			w.deliver(0)
			continue
		}
		next := w.m.Next()
		if next.IsZero() {
			return
		}
		w.advance(next.Sub(w.now))
	}
	w.t.Fatalf("it does not come to rest: %s", view(w.m.View()))
}

func (w *world) check() {
	want := map[string]bool{}
	for s := range w.wanted {
		if !w.guilty[s] {
			want[s] = true
		}
	}
	if w.adopted != key(want) {
		w.t.Fatalf("served %q, wanted %q\n%s", w.adopted, key(want), view(w.m.View()))
	}
	for _, a := range w.sorted() {
		if a.confirmed != w.at.Position || a.digest != w.at.Digest {
			w.t.Fatalf("%s has %v %s, not %v\n%s", a.name, a.confirmed, a.digest, w.at, view(w.m.View()))
		}
	}
}

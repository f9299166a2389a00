package agent

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"interlock/bundle"
	"interlock/internal/engine"
	"interlock/internal/identity"
	"interlock/internal/lkg"
	"interlock/internal/runfolder"
	fleetv1 "interlock/proto/fleet/v1"
	"interlock/routing"
)

const (
	atMost      = time.Minute
	testBackend = "be_1"
)

// script is a core that does what a test says: the contract's other half, with
// messages as they are on the wire.
type script struct {
	fleetv1.UnimplementedFleetServer
	t       testing.TB
	epoch   uint64
	id      identity.Identity
	address string
	talks   chan *talk
	stop    func()
}

// talk is one session, after Hello and Welcome.
type talk struct {
	t      testing.TB
	hello  *fleetv1.Hello
	stream fleetv1.Fleet_SessionServer
	said   chan *fleetv1.FromAgent
	end    chan struct{}
}

func (s *script) Session(stream fleetv1.Fleet_SessionServer) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	k := &talk{t: s.t, hello: first.GetHello(), stream: stream, said: make(chan *fleetv1.FromAgent, 64), end: make(chan struct{})}
	k.send(&fleetv1.FromCore{Kind: &fleetv1.FromCore_Welcome{Welcome: &fleetv1.Welcome{Epoch: s.epoch}}})
	s.talks <- k
	broken := make(chan error, 1)
	go func() {
		for {
			m, err := stream.Recv()
			if err != nil {
				close(k.said)
				broken <- err
				return
			}
			k.said <- m
		}
	}()
	select {
	case <-k.end:
		return nil
	case err := <-broken:
		return err
	}
}

func newScript(t testing.TB, id identity.Identity, epoch uint64) *script {
	t.Helper()
	s := &script{t: t, epoch: epoch, id: id}
	s.listen("127.0.0.1:0")
	return s
}

func (s *script) listen(address string) {
	s.t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.address, s.talks = l.Addr().String(), make(chan *talk, 16)
	srv := grpc.NewServer(grpc.Creds(credentials.NewTLS(s.id.ServerTLS())))
	fleetv1.RegisterFleetServer(srv, s)
	var wg sync.WaitGroup
	wg.Go(func() { srv.Serve(l) })
	stop := sync.OnceFunc(func() { srv.Stop(); wg.Wait() })
	s.stop = stop
	s.t.Cleanup(stop)
}

func (s *script) talk() *talk {
	s.t.Helper()
	select {
	case k := <-s.talks:
		return k
	case <-time.After(atMost):
		s.t.Fatal("no agent came")
		return nil
	}
}

func (k *talk) send(m *fleetv1.FromCore) {
	k.t.Helper()
	if err := k.stream.Send(m); err != nil {
		k.t.Errorf("send: %v", err)
	}
}

func (k *talk) offer(b bundle.Signed, within time.Duration) {
	k.t.Helper()
	k.send(&fleetv1.FromCore{Kind: &fleetv1.FromCore_Offer{Offer: &fleetv1.Offer{
		Bundle:          &fleetv1.Signed{Position: positionTo(b.Position), Digest: b.Digest, Signature: b.Signature, Encoded: b.Encoded},
		ConfirmWithinMs: uint32(within.Milliseconds()),
	}}})
}

func (k *talk) confirm(p bundle.Position) {
	k.t.Helper()
	k.send(&fleetv1.FromCore{Kind: &fleetv1.FromCore_Confirm{Confirm: &fleetv1.Confirm{Position: positionTo(p)}}})
}

func (k *talk) endpoints(version, base uint64, full bool, addresses ...string) {
	k.t.Helper()
	b := &fleetv1.BackendEndpoints{Id: testBackend}
	for _, a := range addresses {
		b.Endpoints = append(b.Endpoints, &fleetv1.Endpoint{Address: a, Port: 8080, Task: "task-" + a})
	}
	k.send(&fleetv1.FromCore{Kind: &fleetv1.FromCore_Endpoints{Endpoints: &fleetv1.Endpoints{
		Version: version, BaseVersion: base, Full: full, Backends: []*fleetv1.BackendEndpoints{b},
	}}})
}

// hears waits for the next report or acknowledgement.
func (k *talk) hears() *fleetv1.FromAgent {
	k.t.Helper()
	select {
	case m, ok := <-k.said:
		if !ok {
			k.t.Fatal("the session ended")
		}
		return m
	case <-time.After(atMost):
		k.t.Fatal("the agent says nothing")
		return nil
	}
}

func (k *talk) hearsPhase(want fleetv1.Phase) *fleetv1.Report {
	k.t.Helper()
	r := k.hears().GetReport()
	if r.GetPhase() != want {
		k.t.Fatalf("heard %v (%s), want %v", r.GetPhase(), r.GetMessage(), want)
	}
	return r
}

func (k *talk) hearsApplied(version uint64) {
	k.t.Helper()
	if got := k.hears().GetEndpoints().GetVersion(); got != version {
		k.t.Fatalf("heard version %d, want %d", got, version)
	}
}

func (k *talk) ends() {
	k.t.Helper()
	deadline := time.After(atMost)
	for {
		select {
		case _, ok := <-k.said:
			if !ok {
				return
			}
		case <-deadline:
			k.t.Fatal("the session does not end")
		}
	}
}

// names is the container's resolver.
type names struct {
	mu     sync.Mutex
	answer map[string][]netip.Addr // absent: no such name
	fail   bool
}

func (n *names) set(name string, addresses ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.answer, name)
	for _, a := range addresses {
		n.answer[name] = append(n.answer[name], netip.MustParseAddr(a))
	}
}

func (n *names) lookup(_ context.Context, name string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if list := n.answer[name]; list != nil && !n.fail {
		return list, nil
	}
	return nil, &net.DNSError{Err: "test", Name: name, IsNotFound: !n.fail}
}

// rig is an agent on an engine that remembers.
type rig struct {
	t       testing.TB
	root    identity.Identity
	core    *script
	engine  *memory
	names   *names
	options Options
	stop    func()
}

func newRig(t testing.TB) *rig {
	t.Helper()
	root, err := identity.NewCore(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	own, err := root.Mint(identity.ClusterURI("dev"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	store, err := lkg.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, root: root, core: newScript(t, root, 7), engine: &memory{}, names: &names{answer: map[string][]netip.Addr{}}}
	r.options = Options{
		Cluster: "dev", EngineName: "memory", Core: r.core.address, Identity: own, Engine: r.engine, Store: store,
		Folder: runfolder.Folder(t.TempDir()), Lookup: r.names.lookup,
		Subnets: func() ([]netip.Prefix, error) {
			return []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("10.2.0.0/16")}, nil
		},
		Timing: Timing{ReloadInterval: time.Millisecond, CoreHold: 50 * time.Millisecond, DNSInterval: 20 * time.Millisecond,
			Reconcile: 50 * time.Millisecond, Redial: 50 * time.Millisecond, MaxBackoff: 100 * time.Millisecond},
		Log: slog.New(slog.NewTextHandler(logWriter{t}, nil)),
	}
	return r
}

// start runs the agent until the test ends or stop is called.
func (r *rig) start() {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := New(r.options).Run(ctx); err != nil {
			r.t.Errorf("agent: %v", err)
		}
	})
	r.stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	r.t.Cleanup(r.stop)
}

func (r *rig) signed(generation uint64, text string) bundle.Signed {
	r.t.Helper()
	data, err := bundle.Encode(bundle.Bundle{
		Cluster: "dev", Engine: "memory", Files: []bundle.File{{Path: "x", Data: text}},
		Backends: []bundle.Backend{{ID: testBackend, DNS: "tasks.web", Port: 80, Network: "n"}, {ID: "be_2", DNS: "tasks.other", Port: 80, Network: "n"}},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return bundle.Sign(r.root.SigningKey(), "dev", bundle.Position{Epoch: 7, Generation: generation}, data)
}

func (r *rig) confirmed(k *talk, generation uint64) {
	r.t.Helper()
	b := r.signed(generation, "good")
	k.offer(b, time.Minute)
	k.hearsPhase(fleetv1.Phase_PHASE_APPLIED)
	k.confirm(b.Position)
	k.hearsPhase(fleetv1.Phase_PHASE_CONFIRMED)
}

// is waits until the engine is in this state.
func (r *rig) is(revision string, h engine.Health, addresses string) {
	r.t.Helper()
	await(r.t, "engine "+revision+" "+string(h)+" "+addresses, func() bool {
		a, b, c := r.engine.state()
		return a == revision && b == h && c == addresses
	})
}

func await(t testing.TB, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(atMost); !done(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

type logWriter struct{ t testing.TB }

func (w logWriter) Write(p []byte) (int, error) { w.t.Logf("%s", p); return len(p), nil }

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
	k.offer(r.signed(2, "good"), 200*time.Millisecond)
	k.hearsPhase(fleetv1.Phase_PHASE_APPLIED)
	r.engine.set(func(m *memory) { m.fail = true })
	await(t, "the trial is over", func() bool { return len(k.said) == 0 })
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

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
			Reconcile: 50 * time.Millisecond, Redial: 50 * time.Millisecond, MaxBackoff: 100 * time.Millisecond,
			Blind: time.Millisecond},
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

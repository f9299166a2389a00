package fleet

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"interlock/bundle"
	"interlock/internal/identity"
	fleetv1 "interlock/proto/fleet/v1"
	"interlock/routing"
)

const patience = 30 * time.Second

// recorder is a Cluster that hands on what it is told.
type recorder struct {
	epoch    uint64
	sessions chan *Session
	gone     chan *Session
	reports  chan Report
}

func newRecorder() *recorder {
	return &recorder{epoch: 3, sessions: make(chan *Session, 8), gone: make(chan *Session, 8), reports: make(chan Report, 8)}
}

func (r *recorder) Epoch() uint64                  { return r.epoch }
func (r *recorder) Connected(s *Session)           { r.sessions <- s }
func (r *recorder) Gone(s *Session)                { r.gone <- s }
func (r *recorder) Reported(_ *Session, rp Report) { r.reports <- rp }

func take[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

type world struct {
	server *Server
	core   identity.Identity
	addr   string
}

func start(t *testing.T, timing Timing) *world {
	t.Helper()
	core, err := identity.NewCore(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w := &world{server: New(core, "test", timing, slog.New(slog.NewTextHandler(io.Discard, nil))), core: core, addr: l.Addr().String()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.server.Run(ctx, l)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return w
}

// dial opens a stream as the process named uri.
func (w *world) dial(t *testing.T, uri string) fleetv1.Fleet_SessionClient {
	t.Helper()
	id, err := w.core.Mint(uri, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(w.addr, grpc.WithTransportCredentials(credentials.NewTLS(id.ClientTLS(identity.CoreURI))),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxMessage)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	t.Cleanup(cancel)
	stream, err := fleetv1.NewFleetClient(conn).Session(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func (w *world) connect(t *testing.T, slug string, hello *fleetv1.Hello) fleetv1.Fleet_SessionClient {
	t.Helper()
	stream := w.dial(t, identity.ClusterURI(slug))
	if err := stream.Send(&fleetv1.FromAgent{Kind: &fleetv1.FromAgent_Hello{Hello: hello}}); err != nil {
		t.Fatal(err)
	}
	return stream
}

// recv is the next message that is not a ping; pings are answered.
func recv(t *testing.T, stream fleetv1.Fleet_SessionClient) *fleetv1.FromCore {
	t.Helper()
	for {
		m, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if m.GetPing() == nil {
			return m
		}
		stream.Send(&fleetv1.FromAgent{Kind: &fleetv1.FromAgent_Pong{Pong: &fleetv1.Pong{Id: m.GetPing().Id}}})
	}
}

func TestSessionFromWelcomeToGone(t *testing.T) {
	w, prod := start(t, Timing{}), newRecorder()
	w.server.Add("prod", prod)
	stream := w.connect(t, "prod", &fleetv1.Hello{Proxy: "prod.1", Task: "t1", Confirmed: &fleetv1.Position{Epoch: 2, Generation: 9}})
	if got := recv(t, stream).GetWelcome(); got.GetEpoch() != 3 || got.GetVersion() != "test" {
		t.Fatal("welcome", got)
	}
	s := take(t, prod.sessions)
	want := Agent{Proxy: "prod.1", Task: "t1", Confirmed: bundle.Position{Epoch: 2, Generation: 9}}
	if d := cmp.Diff(want, s.Agent()); d != "" {
		t.Fatal(d)
	}
	s.Judge("j1", []byte("{}"))
	if got := recv(t, stream).GetJudge(); got.GetId() != "j1" {
		t.Fatal("judge", got)
	}
	stream.Send(&fleetv1.FromAgent{Kind: &fleetv1.FromAgent_Report{Report: &fleetv1.Report{Id: "j1", Phase: fleetv1.Phase_PHASE_REFUSED, Message: "line 3"}}})
	if d := cmp.Diff(Report{ID: "j1", Phase: Refused, Message: "line 3"}, take(t, prod.reports)); d != "" {
		t.Fatal(d)
	}
	stream.CloseSend()
	if take(t, prod.gone) != s {
		t.Fatal("another session is gone")
	}
}

// TestEndpointsComeBeforeOffers: an offer finds the endpoints that were set
// before it; later changes are deltas.
func TestEndpointsComeBeforeOffers(t *testing.T) {
	w, prod := start(t, Timing{}), newRecorder()
	w.server.Add("prod", prod)
	stream := w.connect(t, "prod", &fleetv1.Hello{Task: "t1"})
	recv(t, stream)
	s := take(t, prod.sessions)
	one, two := routing.Endpoint{Address: "10.0.0.1", Port: 80}, routing.Endpoint{Address: "10.0.0.2", Port: 80}
	w.server.SetEndpoints("prod", routing.Endpoints{"a": {one}, "b": {one}})
	_, key, _ := ed25519.GenerateKey(nil)
	s.Offer(bundle.Sign(key, "prod", bundle.Position{Epoch: 3, Generation: 1}, []byte("x")), time.Second)
	if got := recv(t, stream).GetEndpoints(); !got.GetFull() || got.GetVersion() != 1 || len(got.GetBackends()) != 2 {
		t.Fatal("full", got)
	}
	if got := recv(t, stream).GetOffer(); got.GetBundle().GetPosition().GetGeneration() != 1 || got.GetConfirmWithinMs() != 1000 {
		t.Fatal("offer", got)
	}
	w.server.SetEndpoints("prod", routing.Endpoints{"a": {one, two}})
	got := recv(t, stream).GetEndpoints()
	if got.GetFull() || got.GetBaseVersion() != 1 || got.GetVersion() != 2 || len(got.GetBackends()) != 2 {
		t.Fatal("delta", got)
	}
	if b := got.GetBackends()[1]; b.GetId() != "b" || len(b.GetEndpoints()) != 0 {
		t.Fatal("gone backend", b)
	}
}

// TestCertificateDecides: the cluster is in the certificate; other processes
// and unknown clusters are refused (I12).
func TestCertificateDecides(t *testing.T) {
	w, prod, dev := start(t, Timing{}), newRecorder(), newRecorder()
	w.server.Add("prod", prod)
	w.server.Add("dev", dev)
	w.server.SetEndpoints("prod", routing.Endpoints{"secret": {{Address: "10.0.0.1", Port: 80}}})
	w.server.SetEndpoints("dev", routing.Endpoints{})
	stream := w.connect(t, "dev", &fleetv1.Hello{Proxy: "prod.1", Task: "t1"})
	recv(t, stream)
	take(t, dev.sessions)
	if got := recv(t, stream).GetEndpoints(); !got.GetFull() || len(got.GetBackends()) != 0 {
		t.Fatal("dev got", got)
	}
	for _, uri := range []string{identity.ExtensionURI, identity.ClusterURI("test")} {
		stream := w.dial(t, uri)
		stream.Send(&fleetv1.FromAgent{Kind: &fleetv1.FromAgent_Hello{Hello: &fleetv1.Hello{}}})
		if _, err := stream.Recv(); status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s: %v", uri, err)
		}
	}
	if len(prod.sessions) != 0 {
		t.Error("prod has a session")
	}
}

// TestForeignAuthority: a certificate of another authority does not get a word in.
func TestForeignAuthority(t *testing.T) {
	w := start(t, Timing{})
	foreign, err := identity.NewCore(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	config := foreign.ClientTLS(identity.CoreURI)
	config.VerifyConnection = nil // so that it is the server who refuses
	conn, err := tls.Dial("tcp", w.addr, config)
	if err != nil {
		return
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if n, err := conn.Read(make([]byte, 1)); err == nil {
		t.Fatalf("read %d bytes", n)
	}
}

func TestSessionsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		timing Timing
		end    func(t *testing.T, w *world, s *Session)
	}{
		"silent agent":     {Timing{Ping: 50 * time.Millisecond, Silence: 2 * time.Second}, func(*testing.T, *world, *Session) {}},
		"same task again":  {Timing{}, func(t *testing.T, w *world, _ *Session) { w.connect(t, "prod", &fleetv1.Hello{Task: "t1"}) }},
		"cluster removed":  {Timing{}, func(_ *testing.T, w *world, _ *Session) { w.server.Remove("prod") }},
		"queue overflowed": {Timing{}, overflow},
	} {
		t.Run(name, func(t *testing.T) {
			w, prod := start(t, c.timing), newRecorder()
			w.server.Add("prod", prod)
			w.connect(t, "prod", &fleetv1.Hello{Task: "t1"})
			s := take(t, prod.sessions)
			c.end(t, w, s)
			if take(t, prod.gone) != s {
				t.Fatal("another session is gone")
			}
		})
	}
}

// overflow queues more than an agent that reads nothing can take.
func overflow(_ *testing.T, _ *world, s *Session) {
	big := make([]byte, 1<<20)
	for range maxQueue + 8 {
		s.Judge("j", big)
	}
}

func TestDrainReachesTheTask(t *testing.T) {
	w, prod := start(t, Timing{}), newRecorder()
	w.server.Add("prod", prod)
	stream := w.connect(t, "prod", &fleetv1.Hello{Task: "t1"})
	recv(t, stream)
	take(t, prod.sessions)
	w.server.Drain("prod", "t2", "not this one")
	w.server.Drain("prod", "t1", "its task is about to stop")
	if got := recv(t, stream).GetDrain(); got.GetReason() != "its task is about to stop" {
		t.Fatal(got)
	}
}

// TestWelcomeGoesPastTheAgent: an agent that outlived a restored Swarm is not stranded.
func TestWelcomeGoesPastTheAgent(t *testing.T) {
	w, prod := start(t, Timing{}), newRecorder()
	w.server.Add("prod", prod)
	stream := w.connect(t, "prod", &fleetv1.Hello{Confirmed: &fleetv1.Position{Epoch: 8, Generation: 2}})
	if got := recv(t, stream).GetWelcome().GetEpoch(); got != 9 {
		t.Fatal(got)
	}
}

// TestRemovedClusterEmptiesNobody: a writer that finds the cluster removed (core
// is stopping) says nothing: it does not know that there are no endpoints.
func TestRemovedClusterEmptiesNobody(t *testing.T) {
	w := start(t, Timing{})
	w.server.Add("prod", newRecorder())
	w.server.SetEndpoints("prod", routing.Endpoints{"web": {{Address: "10.0.0.1", Port: 80}}})
	s := &Session{server: w.server, slug: "prod"}
	s.sent, s.sentVersion = w.server.endpoints("prod")
	w.server.Remove("prod")
	if err := s.sendEndpoints(); err != nil { // it has no stream to send on
		t.Fatal(err)
	}
}

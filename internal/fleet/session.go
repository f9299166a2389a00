package fleet

import (
	"context"
	"math"
	"net/netip"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"interlock/bundle"
	fleetv1 "interlock/proto/fleet/v1"
	"interlock/routing"
)

// handler is the generated contract, so that Server's own methods stay ours.
type handler struct {
	fleetv1.UnimplementedFleetServer
	server *Server
}

// Session is one agent's stream. Its methods queue and return at once; they may
// be called from any goroutine, also after the session ended.
type Session struct {
	id     string
	agent  Agent
	host   netip.Addr
	server *Server
	slug   string
	stream fleetv1.Fleet_SessionServer
	close  context.CancelCauseFunc

	queue chan *fleetv1.FromCore
	woken chan struct{} // capacity 1: there may be endpoints to send

	heard   atomic.Int64 // unix nanoseconds of the last message
	applied atomic.Uint64

	// sent are the endpoints that the agent was told, only of the writer.
	sent        routing.Endpoints
	sentVersion uint64
}

// ID of the session, unique in this process.
func (s *Session) ID() string { return s.id }

// Agent is what the agent said when it connected.
func (s *Session) Agent() Agent { return s.agent }

// EndpointsApplied is the version that the agent last acknowledged.
func (s *Session) EndpointsApplied() uint64 { return s.applied.Load() }

// Judge asks for a verdict; the Report has the same id.
func (s *Session) Judge(id string, encoded []byte) {
	s.send(&fleetv1.FromCore{Kind: &fleetv1.FromCore_Judge{Judge: &fleetv1.Judge{Id: id, Encoded: encoded}}})
}

// Offer sends a signed bundle to be applied.
func (s *Session) Offer(b bundle.Signed, confirmWithin time.Duration) {
	s.send(&fleetv1.FromCore{Kind: &fleetv1.FromCore_Offer{Offer: &fleetv1.Offer{
		Bundle:          signedTo(b),
		ConfirmWithinMs: uint32(confirmWithin.Milliseconds()),
	}}})
}

// Confirm makes the bundle at p the agent's last known good.
func (s *Session) Confirm(p bundle.Position) {
	s.send(&fleetv1.FromCore{Kind: &fleetv1.FromCore_Confirm{Confirm: &fleetv1.Confirm{Position: positionTo(p)}}})
}

// Withdraw makes the agent take back the bundle at p.
func (s *Session) Withdraw(p bundle.Position, reason string) {
	s.send(&fleetv1.FromCore{Kind: &fleetv1.FromCore_Withdraw{Withdraw: &fleetv1.Withdraw{Position: positionTo(p), Reason: reason}}})
}

// Drain makes the proxy a lame duck.
func (s *Session) Drain(reason string) {
	s.send(&fleetv1.FromCore{Kind: &fleetv1.FromCore_Drain{Drain: &fleetv1.Drain{Reason: reason}}})
}

// replaces says that both are of the same task, which has one agent.
func (s *Session) replaces(other *Session) bool {
	return s.agent.Task != "" && s.agent.Task == other.agent.Task && s.host == other.host
}

// Close ends the session.
func (s *Session) Close(cause error) { s.close(cause) }

// send queues m; a session whose queue is full is dead.
func (s *Session) send(m *fleetv1.FromCore) {
	select {
	case s.queue <- m:
	default:
		s.close(errSlow)
	}
}

func (s *Session) wake() {
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

// Session serves one agent. It returns as soon as either direction fails, which
// ends the stream and with it the other direction.
func (h *handler) Session(stream fleetv1.Fleet_SessionServer) error {
	srv := h.server
	slug, err := slugOf(stream.Context())
	if err != nil {
		return err
	}
	hello, err := hello(stream, srv.timing.Hello)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	s := &Session{
		agent: agentFrom(hello), host: hostOfPeer(stream.Context()), server: srv, slug: slug, stream: stream, close: cancel,
		queue: make(chan *fleetv1.FromCore, maxQueue), woken: make(chan struct{}, 1),
	}
	cluster, err := srv.join(slug, s)
	if err != nil {
		return err
	}
	return s.serve(ctx, cluster)
}

// hello waits for the first message, which must come in time.
func hello(stream fleetv1.Fleet_SessionServer, within time.Duration) (*fleetv1.Hello, error) {
	type first struct {
		m   *fleetv1.FromAgent
		err error
	}
	got := make(chan first, 1)
	go func() {
		m, err := stream.Recv()
		got <- first{m, err}
	}()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case f := <-got:
		if f.err != nil {
			return nil, f.err
		}
		if f.m.GetHello() == nil {
			return nil, status.Error(codes.InvalidArgument, "the first message must be Hello")
		}
		return f.m.GetHello(), nil
	case <-timer.C:
		return nil, status.Error(codes.DeadlineExceeded, "no Hello in time")
	}
}

// serve runs the session from Connected to Gone.
func (s *Session) serve(ctx context.Context, cluster Cluster) error {
	log := s.server.log.With("cluster", s.slug, "proxy", s.agent.Proxy, "session", s.id)
	log.Info("agent connected", "node", s.agent.Node, "confirmed", s.agent.Confirmed.Generation)
	s.heard.Store(time.Now().UnixNano())
	epoch := welcomeEpoch(cluster.Epoch(), s.agent)
	go func() { s.close(s.write(ctx, epoch)) }()
	cluster.Connected(s)
	read := make(chan struct{})
	go func() {
		defer close(read)
		s.close(s.read(cluster))
	}()
	<-ctx.Done()
	s.server.leave(s.slug, s)
	cause := context.Cause(ctx)
	log.Info("session ended", "reason", cause)
	// Gone must come last, and reading ends only when the stream does: after
	// this function returned.
	go func() {
		<-read
		cluster.Gone(s)
	}()
	return status.FromContextError(cause).Err()
}

// welcomeEpoch goes past what the agent reports: agents that outlived a restored
// Swarm must not be stranded (I14).
// What is not proved leads no further than this session, and not around to 0.
func welcomeEpoch(epoch uint64, a Agent) uint64 {
	reported := max(a.Confirmed.Epoch, a.Running.Epoch)
	if reported > epoch && reported < math.MaxUint64 {
		return reported + 1
	}
	return epoch
}

// read takes the agent's messages until the stream ends.
func (s *Session) read(cluster Cluster) error {
	for {
		m, err := s.stream.Recv()
		if err != nil {
			return err
		}
		s.heard.Store(time.Now().UnixNano())
		switch k := m.Kind.(type) {
		case *fleetv1.FromAgent_Report:
			cluster.Reported(s, reportFrom(k.Report))
		case *fleetv1.FromAgent_Endpoints:
			s.applied.Store(k.Endpoints.GetVersion())
		case *fleetv1.FromAgent_Pong:
		default:
			return status.Error(codes.InvalidArgument, "unexpected message")
		}
	}
}

// write sends what is queued, endpoints first, and asks for life signs.
func (s *Session) write(ctx context.Context, epoch uint64) error {
	welcome := &fleetv1.Welcome{Epoch: epoch, Version: s.server.version}
	if err := s.stream.Send(&fleetv1.FromCore{Kind: &fleetv1.FromCore_Welcome{Welcome: welcome}}); err != nil {
		return err
	}
	ticker := time.NewTicker(s.server.timing.Ping)
	defer ticker.Stop()
	go s.watch(ctx)
	for ping := uint64(1); ; {
		if err := s.sendEndpoints(); err != nil {
			return err
		}
		var next *fleetv1.FromCore
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.woken:
			continue
		case next = <-s.queue:
			if err := s.sendEndpoints(); err != nil {
				return err
			}
		case <-ticker.C:
			next = &fleetv1.FromCore{Kind: &fleetv1.FromCore_Ping{Ping: &fleetv1.Ping{Id: ping}}}
			ping++
		}
		if err := s.stream.Send(next); err != nil {
			return err
		}
	}
}

// watch ends the session when the agent has been silent too long, also while
// the writer is stuck in a send.
func (s *Session) watch(ctx context.Context) {
	ticker := time.NewTicker(s.server.timing.Ping)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if time.Since(time.Unix(0, s.heard.Load())) > s.server.timing.Silence {
				s.close(errSilent)
				return
			}
		}
	}
}

// sendEndpoints brings the agent from what it was told to what is true. What is
// not known, or not any more because the cluster was removed or core stops, is
// not "none" (I6).
func (s *Session) sendEndpoints() error {
	eps, version := s.server.endpoints(s.slug)
	if version == 0 || version == s.sentVersion {
		return nil
	}
	m := endpointsTo(s.sent, eps, s.sentVersion, version)
	s.sent, s.sentVersion = eps, version
	return s.stream.Send(&fleetv1.FromCore{Kind: &fleetv1.FromCore_Endpoints{Endpoints: m}})
}

// Package fleet is core's side of the contract with agents (proto/fleet/v1):
// a gRPC server on which each agent of a cluster holds one session.
//
// The cluster of an agent is in its certificate and nowhere else: a session
// belongs to that cluster's Cluster and gets nothing of another (I12). What an
// agent says is bounded before it is read. What it is sent is bounded too: a
// session that can't keep up dies whole, and the agent starts over.
//
// Endpoints go to every session at once, whatever the state of its structure:
// all of them after Welcome, then only the backends that changed. They are
// sent before any message that was queued after them, so that an offer finds
// its endpoints there.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"interlock/bundle"
	"interlock/internal/identity"
	fleetv1 "interlock/proto/fleet/v1"
	"interlock/routing"
)

// Bounds of what is taken from agents and sent to them.
const (
	maxFromAgent = 64 << 10
	// MaxMessage bounds a message to an agent: a bundle and what surrounds it.
	MaxMessage  = bundle.MaxSize + 1<<20
	maxSessions = 1024 // per cluster
	maxOfHost   = 16   // sessions of one address in a cluster
	maxQueue    = 64   // messages per session
)

// Cluster takes what the agents of one cluster say. Its methods are called from
// the goroutine of a session; while one blocks, that agent waits.
type Cluster interface {
	// Epoch of this core's leadership for the cluster.
	Epoch() uint64
	// Connected comes first and Gone last for each session.
	Connected(*Session)
	Reported(*Session, Report)
	Gone(*Session)
}

// Agent is what an agent said of itself. The texts are bounded, not escaped.
type Agent struct {
	Proxy, Node, Task              string
	Engine, EngineVersion, Version string
	Running, Confirmed             bundle.Position
	RunningDigest, ConfirmedDigest string
	// ConfirmedSignature is core's, of what was confirmed; it is not verified
	// here.
	ConfirmedSignature []byte
	Draining           bool
}

// Phase is an agent's answer.
type Phase string

// Phases; see proto/fleet/v1.
const (
	Accepted  Phase = "accepted"
	Refused   Phase = "refused"
	Unknown   Phase = "unknown"
	Applied   Phase = "applied"
	Confirmed Phase = "confirmed"
	Reverted  Phase = "reverted"
)

// Report is an agent's word on a Judge (ID is set) or an Offer.
type Report struct {
	ID       string
	Position bundle.Position
	Digest   string
	Phase    Phase
	Message  string
}

// Server is the fleet of all clusters.
type Server struct {
	identity identity.Identity
	version  string
	log      *slog.Logger
	timing   Timing

	mu       sync.Mutex
	clusters map[string]*members // by slug
	serial   int
}

// Timing of sessions; the zero value means the defaults.
type Timing struct {
	// Ping is how often an agent is asked whether it is there (default 5 s).
	Ping time.Duration
	// Silence after which a session is dead (default 20 s).
	Silence time.Duration
	// Hello is the time to say who is there: for the handshake, until a stream
	// is opened, and until its first message (default 10 s).
	Hello time.Duration
}

// members are one cluster's sessions and the endpoints they should have.
type members struct {
	cluster  Cluster
	sessions map[*Session]bool
	// endpoints are never changed in place; version 0 means not known yet.
	endpoints routing.Endpoints
	version   uint64
}

// New returns a server without clusters.
func New(id identity.Identity, version string, timing Timing, log *slog.Logger) *Server {
	if timing.Ping <= 0 {
		timing.Ping = 5 * time.Second
	}
	if timing.Silence <= 0 {
		timing.Silence = 20 * time.Second
	}
	if timing.Hello <= 0 {
		timing.Hello = 10 * time.Second
	}
	return &Server{identity: id, version: version, timing: timing, log: log, clusters: map[string]*members{}}
}

// Run serves agents on l until ctx ends. It closes l.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	srv := grpc.NewServer(
		grpc.Creds(credentials.NewTLS(s.identity.ServerTLS())),
		grpc.MaxRecvMsgSize(maxFromAgent),
		grpc.MaxSendMsgSize(MaxMessage),
		grpc.MaxConcurrentStreams(1), // an agent's connection is its session
		grpc.ConnectionTimeout(s.timing.Hello),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: s.timing.Silence, Timeout: s.timing.Silence, MaxConnectionIdle: s.timing.Hello}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}),
	)
	fleetv1.RegisterFleetServer(srv, &handler{server: s})
	stop := context.AfterFunc(ctx, srv.Stop)
	defer stop()
	if err := srv.Serve(newDoor(l, s.log)); err != nil && ctx.Err() == nil {
		return fmt.Errorf("serve agents: %w", err)
	}
	return ctx.Err()
}

// Add lets agents of the cluster in. Their sessions belong to c.
func (s *Server) Add(slug string, c Cluster) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clusters[slug] = &members{cluster: c, sessions: map[*Session]bool{}}
}

// Remove ends the cluster's sessions and lets its agents in no more.
func (s *Server) Remove(slug string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.clusters[slug]; m != nil {
		for session := range m.sessions {
			session.Close(errRemoved)
		}
	}
	delete(s.clusters, slug)
}

var (
	errRemoved  = errors.New("core ends, or starts the cluster over")
	errReplaced = errors.New("the same task opened another session")
	errSilent   = errors.New("the agent is silent")
	errSlow     = errors.New("the agent does not take its messages")
)

// SetEndpoints makes eps what all agents of the cluster should use. It must not
// be called before eps are known to be complete, and eps must not change after.
func (s *Server) SetEndpoints(slug string, eps routing.Endpoints) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.clusters[slug]
	if m == nil || m.version > 0 && equal(m.endpoints, eps) {
		return
	}
	m.endpoints, m.version = eps, m.version+1
	for session := range m.sessions {
		session.wake()
	}
}

// Drain asks the proxy of a task to become a lame duck. It does nothing when
// that proxy has no session here.
func (s *Server) Drain(slug, task, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.clusters[slug]
	if m == nil {
		return
	}
	for session := range m.sessions {
		if session.agent.Task == task {
			session.Drain(reason)
		}
	}
}

// join admits a session; an older one of the same task and address ends. A task
// has one address on the control network, and another's can't end its session.
func (s *Server) join(slug string, session *Session) (Cluster, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.clusters[slug]
	if m == nil {
		return nil, status.Errorf(codes.PermissionDenied, "there is no cluster %q here", slug)
	}
	if len(m.sessions) >= maxSessions {
		return nil, status.Error(codes.ResourceExhausted, "too many sessions")
	}
	if m.of(session.host) >= maxOfHost {
		return nil, status.Error(codes.ResourceExhausted, "too many sessions of this address")
	}
	for other := range m.sessions {
		if session.replaces(other) {
			other.Close(errReplaced)
		}
	}
	s.serial++
	session.id = fmt.Sprintf("s%d", s.serial)
	m.sessions[session] = true
	return m.cluster, nil
}

// of is how many sessions an address has.
func (m *members) of(host netip.Addr) int {
	n := 0
	for session := range m.sessions {
		if session.host == host {
			n++
		}
	}
	return n
}

func (s *Server) leave(slug string, session *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.clusters[slug]; m != nil {
		delete(m.sessions, session)
	}
}

// endpoints are the cluster's; version 0 when they are not known.
func (s *Server) endpoints(slug string) (routing.Endpoints, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.clusters[slug]; m != nil {
		return m.endpoints, m.version
	}
	return nil, 0
}

// hostOfPeer is where the peer's connection comes from.
func hostOfPeer(ctx context.Context) netip.Addr {
	if p, ok := peer.FromContext(ctx); ok {
		return hostOf(p.Addr)
	}
	return netip.Addr{}
}

// slugOf is the cluster in the certificate of the peer.
func slugOf(ctx context.Context) (string, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return "", status.Error(codes.Unauthenticated, "no peer")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return "", status.Error(codes.Unauthenticated, "no TLS")
	}
	uri, err := identity.PeerURI(info.State)
	if err != nil {
		return "", status.Error(codes.Unauthenticated, err.Error())
	}
	slug, ok := identity.ClusterOf(uri)
	if !ok {
		return "", status.Errorf(codes.PermissionDenied, "%s is not an agent", uri)
	}
	return slug, nil
}

package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"interlock/bundle"
	"interlock/internal/identity"
	fleetv1 "interlock/proto/fleet/v1"
	"interlock/routing"
)

const (
	// maxFromCore bounds a message: a bundle and what surrounds it.
	maxFromCore = bundle.MaxSize + 1<<20
	// maxQueue is how many messages may wait for core before the session dies.
	maxQueue = 64
	// maxWords bounds the engine's words in a report, in bytes.
	maxWords = 4 << 10
)

var (
	errSilent  = errors.New("core is silent")
	errSlow    = errors.New("core does not take our messages")
	errVersion = errors.New("endpoints do not fit to what came before")
	errRunning = errors.New("the engine runs another bundle than core was told")
)

// session is one stream to one core. It dies whole, by end. epoch is set before
// the loop hears of the session; eps and version are the loop's.
type session struct {
	address string
	epoch   uint64
	out     chan *fleetv1.FromAgent
	end     context.CancelCauseFunc

	eps     routing.Endpoints // nil until core has sent all of them
	version uint64
	// since orders sessions of one epoch: the latest counts.
	since time.Time
}

// send queues a message; a session that can't keep up dies.
func (s *session) send(m *fleetv1.FromAgent) {
	select {
	case s.out <- m:
	default:
		s.end(errSlow)
	}
}

func (s *session) report(id string, b bundle.Signed, phase fleetv1.Phase, words string) {
	s.send(reportOf(id, b, phase, words))
}

func (s *session) reportAt(at bundle.Position, phase fleetv1.Phase, words string) {
	s.report("", bundle.Signed{Position: at}, phase, words)
}

// converse holds one session with the core at address until it breaks.
func (a *Agent) converse(ctx context.Context, address string) error {
	conn, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(credentials.NewTLS(a.Identity.ClientTLS(identity.CoreURI))),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxFromCore)))
	if err != nil {
		return fmt.Errorf("session with %s: %w", address, err)
	}
	defer conn.Close()
	outer := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &session{address: address, out: make(chan *fleetv1.FromAgent, maxQueue), end: cancel, since: time.Now()}
	silence := time.AfterFunc(a.Timing.Silence, func() { cancel(errSilent) })
	defer silence.Stop()
	stream, err := fleetv1.NewFleetClient(conn).Session(ctx)
	if err == nil {
		err = a.greet(ctx, s, stream)
	}
	if err != nil {
		return fmt.Errorf("session with %s: %w", address, because(ctx, err))
	}
	a.tell(ctx, up{s})
	defer func() { a.tell(outer, down{s}) }()
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.receive(gctx, s, stream, silence) })
	g.Go(func() error { return transmit(gctx, s, stream) })
	return fmt.Errorf("session with %s: %w", address, because(ctx, g.Wait()))
}

// because prefers our own reason to the broken stream that follows from it.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// greet says what the agent has and hears which epoch this core is of.
func (a *Agent) greet(ctx context.Context, s *session, stream fleetv1.Fleet_SessionClient) error {
	reply := make(chan *fleetv1.Hello, 1)
	a.tell(ctx, helloRequest{reply})
	select {
	case <-ctx.Done():
		return ctx.Err()
	case hello := <-reply:
		if err := stream.Send(&fleetv1.FromAgent{Kind: &fleetv1.FromAgent_Hello{Hello: hello}}); err != nil {
			_, err = stream.Recv() // the stream's own reason
			return err
		}
	}
	m, err := stream.Recv()
	if err != nil {
		return err
	}
	if m.GetWelcome() == nil {
		return errors.New("the first message is no welcome")
	}
	s.epoch = m.GetWelcome().GetEpoch()
	return nil
}

func (a *Agent) receive(ctx context.Context, s *session, stream fleetv1.Fleet_SessionClient, silence *time.Timer) error {
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		silence.Reset(a.Timing.Silence)
		if ping := m.GetPing(); ping != nil {
			s.send(&fleetv1.FromAgent{Kind: &fleetv1.FromAgent_Pong{Pong: &fleetv1.Pong{Id: ping.GetId()}}})
			continue
		}
		if e := eventOf(s, m); e != nil {
			a.tell(ctx, e)
		}
	}
}

func transmit(ctx context.Context, s *session, stream fleetv1.Fleet_SessionClient) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case m := <-s.out:
			if err := stream.Send(m); err != nil {
				return err
			}
		}
	}
}

// up and down are the first and the last the loop hears of a session.
type up struct{ session *session }

func (e up) on(_ context.Context, l *loop) {
	l.sessions[e.session] = true
	if e.session.epoch > l.epoch {
		l.epoch = e.session.epoch
	}
	l.Log.Info("session with core", "core", e.session.address, "epoch", e.session.epoch)
}

type down struct{ session *session }

func (e down) on(ctx context.Context, l *loop) {
	delete(l.sessions, e.session)
	if l.leader() == nil && e.session.eps != nil {
		l.lostCore = time.Now()
		l.followed = follow{}
		l.Log.Warn("core is gone, its endpoints stay", "then_dns_after", l.Timing.CoreHold)
	}
	if next := l.leader(); next != nil {
		l.use(ctx, next)
	}
}

// leader is the session whose endpoints count: of the highest epoch that was
// ever heard, the latest that has sent them. Nil if there is none.
func (l *loop) leader() *session {
	var best *session
	for s := range l.sessions {
		if s.epoch == l.epoch && s.eps != nil && (best == nil || best.since.Before(s.since)) {
			best = s
		}
	}
	return best
}

// reportAll tells every core of the highest epoch.
func (l *loop) reportAll(b bundle.Signed, phase fleetv1.Phase, words string) {
	for s := range l.sessions {
		if s.epoch == l.epoch {
			s.report("", b, phase, words)
		}
	}
}

// startOver ends all sessions, so that core hears anew what the agent has.
func (l *loop) startOver(why error) {
	for s := range l.sessions {
		s.end(why)
	}
}

// helloRequest asks the loop what the agent has.
type helloRequest struct{ reply chan *fleetv1.Hello }

func (e helloRequest) on(_ context.Context, l *loop) {
	h := &fleetv1.Hello{
		Proxy: l.Proxy, Node: l.Node, Task: l.Task,
		Engine: l.EngineName, EngineVersion: l.EngineVersion, Version: l.Version,
		Draining: l.draining,
	}
	if l.running != nil {
		h.Running, h.RunningDigest = positionTo(l.running.Signed.Position), l.running.Signed.Digest
	}
	if l.confirmed != nil {
		h.Confirmed, h.ConfirmedDigest = positionTo(l.confirmed.Signed.Position), l.confirmed.Signed.Digest
		h.ConfirmedSignature = l.confirmed.Signed.Signature
	}
	e.reply <- h
}

// drain is core's word that this task is about to be stopped. There is no way
// back: Swarm's desired states have none.
type drain struct{ reason string }

func (e drain) on(ctx context.Context, l *loop) {
	l.Log.Info("core asks to drain", "reason", e.reason)
	l.draining = true
	if err := l.Folder.SetDraining(); err != nil {
		l.Log.Error("another agent would not know that we drain", "error", err)
	}
	l.setHealth(ctx)
}

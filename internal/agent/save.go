package agent

import (
	"context"

	"interlock/bundle"
	fleetv1 "interlock/proto/fleet/v1"
)

// saver brings confirmed bundles to the disk beside the loop: a slow disk must
// not hold endpoints up. It is the loop's.
type saver struct {
	busy bool
	next *bundle.Signed // confirmed, not on disk yet
}

func (s *saver) pending(p bundle.Position) bool { return s.next != nil && s.next.Position == p }

func (s *saver) want(ctx context.Context, a *Agent, b bundle.Signed) {
	s.next = &b
	s.start(ctx, a)
}

func (s *saver) start(ctx context.Context, a *Agent) {
	if s.busy || s.next == nil {
		return
	}
	s.busy = true
	b := *s.next
	go func() { a.tell(ctx, saved{b, a.Store.Save(b)}) }()
}

// saved is the end of one attempt.
type saved struct {
	signed bundle.Signed
	err    error
}

func (e saved) on(ctx context.Context, l *loop) {
	l.save.busy = false
	if e.err != nil {
		// It runs and is confirmed; the next reconciliation tries again.
		l.Log.Error("a confirmed bundle is not on disk", "error", e.err)
		l.reportAll(e.signed, fleetv1.Phase_PHASE_UNKNOWN, "confirmed, but not on disk: "+e.err.Error())
		return
	}
	if l.save.pending(e.signed.Position) {
		l.save.next = nil
	}
	l.reportAll(e.signed, fleetv1.Phase_PHASE_CONFIRMED, "")
	l.save.start(ctx, l.Agent)
}

func (l *loop) retrySave(ctx context.Context) { l.save.start(ctx, l.Agent) }

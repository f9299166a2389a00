package agent

import (
	"context"
	"maps"

	fleetv1 "interlock/proto/fleet/v1"
	"interlock/routing"
)

// received are endpoints from a core: all of them, or those of the backends
// that changed since base.
type received struct {
	from          *session
	version, base uint64
	full          bool
	changed       routing.Endpoints
}

func (e received) on(ctx context.Context, l *loop) {
	if !l.sessions[e.from] {
		return
	}
	if !e.full && (e.from.eps == nil || e.base != e.from.version) {
		e.from.end(errVersion)
		return
	}
	e.from.eps, e.from.version = merge(e.from.eps, e), e.version
	if l.leader() == e.from {
		l.use(ctx, e.from)
	}
}

// merge returns new endpoints; have stays as it is.
func merge(have routing.Endpoints, e received) routing.Endpoints {
	next := routing.Endpoints{}
	if !e.full {
		maps.Copy(next, have)
	}
	for id, list := range e.changed {
		if next[id] = list; len(list) == 0 {
			delete(next, id)
		}
	}
	return next
}

// use makes a core's endpoints those in use and acknowledges them. What could
// not be set is tried again with the next reconciliation, without a word.
func (l *loop) use(ctx context.Context, s *session) {
	l.lostCore, l.followed, l.blindUntil = zeroTime, follow{}, zeroTime
	if l.setEndpoints(ctx, s.eps) {
		s.send(&fleetv1.FromAgent{Kind: &fleetv1.FromAgent_Endpoints{Endpoints: &fleetv1.EndpointsApplied{Version: s.version}}})
	}
}

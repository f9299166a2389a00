package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"interlock/bundle"
	"interlock/internal/engine"
	"interlock/internal/lkg"
	"interlock/internal/runfolder"
	"interlock/routing"
)

// crashLoop is how many quick deaths of the engine in a row cost a confirmed
// bundle its place.
const crashLoop = 3

// patience is how many reconciliations in a row may find no engine before its
// bundle is applied again: it may lack the file to start with.
const patience = 3

// loop is the agent's state. Only its goroutine touches it.
type loop struct {
	*Agent
	// confirmed is the greatest confirmed bundle, older those before it on
	// disk, newest first.
	confirmed *lkg.Entry
	older     []lkg.Entry
	// running is what the engine should be running: confirmed, the trial's
	// bundle, or an older one when confirmed made the engine crash.
	running   *lkg.Entry
	candidate *candidate
	trial     *trial
	// reverting is a trial that could not be taken back yet.
	reverting *reverting

	// eps are in use. followed is what DNS has said so far.
	eps      routing.Endpoints
	followed follow

	sessions map[*session]bool
	epoch    uint64
	// lostCore is when the last session that gave endpoints ended; zero while
	// there is one.
	lostCore time.Time
	// blindUntil bounds how long the agent may not know any endpoint; zero once
	// it has known one, or a core has said that there is none.
	blindUntil time.Time

	save     saver
	judging  int
	draining bool
	health   engine.Health
	life     runfolder.Life

	lastReload, lastReconcile, lastLookup time.Time
	lookingUp                             bool
	unheard                               int // reconciliations without an answer of the engine
}

func newLoop(a *Agent) *loop {
	l := &loop{Agent: a, sessions: map[*session]bool{}, lostCore: time.Now().Add(-a.Timing.CoreHold),
		blindUntil: time.Now().Add(a.Timing.Blind)}
	life, err := a.Folder.Life()
	if err != nil {
		a.Log.Warn("the engine's life is not known", "error", err)
	}
	l.life = life
	return l
}

func revision(p bundle.Position) string { return fmt.Sprintf("%d-%d", p.Epoch, p.Generation) }

// boot applies the newest confirmed bundle that the engine takes. An engine
// that an earlier agent left running it goes on without a reload.
func (l *loop) boot(ctx context.Context) {
	entries, err := l.Store.Load(l.Identity.VerifyKey(), l.Cluster)
	if err != nil {
		l.Log.Warn("some last known good is not usable", "error", err)
	}
	if l.eps, err = l.Folder.Endpoints(); err != nil {
		l.Log.Warn("the endpoints of before are not usable", "error", err)
	}
	l.checkDraining()
	for i := range entries {
		e := &entries[i]
		if l.eps == nil {
			l.firstLookup(ctx, e.Bundle)
		}
		if err := l.apply(ctx, e); err != nil {
			l.Log.Error("a last known good does not run", "revision", revision(e.Signed.Position), "error", err)
			continue
		}
		l.confirmed, l.older = e, entries[i+1:]
		l.Log.Info("booted from last known good", "revision", revision(e.Signed.Position))
		break
	}
	if l.confirmed == nil && len(entries) > 0 {
		// None runs now, but the newest may with the next reconciliation.
		l.confirmed, l.older, l.running = &entries[0], entries[1:], &entries[0]
	}
	if l.setHealth(ctx); l.confirmed != nil && l.blind() {
		l.Log.Warn("no endpoint is known: neither a core nor DNS has named one; not ready until one does",
			"names", len(l.running.Bundle.Backends), "at most", l.Timing.Blind)
	}
}

// apply makes the engine run e with the present endpoints.
func (l *loop) apply(ctx context.Context, e *lkg.Entry) error {
	if err := l.Engine.Apply(ctx, e.Bundle, revision(e.Signed.Position), l.eps); err != nil {
		return err
	}
	l.running = e
	l.lastReload = time.Now()
	return nil
}

// tick looks at all that happens by time passing.
func (l *loop) tick(ctx context.Context, now time.Time) {
	l.checkDraining()
	l.watchLife(ctx)
	if l.trial != nil && now.After(l.trial.deadline) {
		l.takeBack(ctx, "it was not confirmed in time")
	}
	if l.reverting != nil && now.After(l.reverting.again) {
		l.revert(ctx)
	}
	l.applyCandidate(ctx, now)
	l.followDNS(ctx, now)
	if now.Sub(l.lastReconcile) >= l.Timing.Reconcile {
		l.lastReconcile = now
		l.reconcile(ctx)
		l.retrySave(ctx)
	}
	l.setHealth(ctx)
}

func (l *loop) checkDraining() {
	if !l.draining && l.Folder.Draining() {
		l.draining = true
		l.Log.Info("draining")
	}
}

// watchLife reacts to the engine's deaths: one ends a trial, several in a row
// end the use of a confirmed bundle.
func (l *loop) watchLife(ctx context.Context) {
	life, err := l.Folder.Life()
	if err != nil || life == l.life {
		return
	}
	died := life.Deaths > l.life.Deaths
	l.life = life
	switch {
	case died && l.trial != nil:
		l.takeBack(ctx, "the engine died")
	case died && life.QuickDeaths >= crashLoop:
		l.fallBack(ctx)
	}
}

// fallBack runs the next older confirmed bundle. The confirmed one keeps its
// place in the order; core is told that something else runs.
func (l *loop) fallBack(ctx context.Context) {
	i := slices.IndexFunc(l.older, func(e lkg.Entry) bool {
		return l.running != nil && e.Signed.Position.Less(l.running.Signed.Position)
	})
	if i < 0 {
		return
	}
	next := l.older[i]
	l.Log.Error("the engine keeps dying, going back to an older bundle", "revision", revision(next.Signed.Position))
	l.running = &next
	if err := l.apply(ctx, &next); err != nil {
		l.Log.Error("the older bundle does not run yet", "error", err)
	}
	l.startOver(errRunning)
}

// reconcile brings the engine back to what it should be: a revision that is
// not ours costs a reload, servers that could not be deleted are tried again.
func (l *loop) reconcile(ctx context.Context) {
	if l.running == nil || l.reverting != nil {
		return
	}
	running, err := l.Engine.Running(ctx)
	if l.unheard++; err == nil {
		l.unheard = 0
	} else if l.unheard < patience {
		return // being started, which is the supervisor's to do
	}
	if want := revision(l.running.Signed.Position); running != want {
		l.unheard = 0
		l.Log.Warn("the engine runs something else", "running", running, "want", want, "error", err)
		if err := l.apply(ctx, l.running); err != nil {
			l.Log.Error("the engine could not be brought back", "error", err)
		}
		return
	}
	l.setEndpoints(ctx, l.eps)
	l.health = "" // say it again
}

// setHealth says what the state calls for, when that is news.
func (l *loop) setHealth(ctx context.Context) {
	h := l.wantedHealth()
	if h == l.health {
		return
	}
	if err := l.Engine.SetHealth(ctx, h); err != nil {
		l.Log.Error("health could not be set", "health", string(h), "error", err)
		return
	}
	l.health = h
	// The supervisor may have begun to drain in between.
	if l.checkDraining(); l.draining && h != engine.Drain {
		l.health = ""
	}
}

// wantedHealth is ready while requests are served by a confirmed bundle. A
// trial on top of one changes nothing; the first trial of an empty proxy must
// be confirmed before requests come.
func (l *loop) wantedHealth() engine.Health {
	switch {
	case l.draining:
		return engine.Drain
	case l.confirmed != nil && l.running != nil && !l.blind():
		return engine.Ready
	default:
		return engine.NotReady
	}
}

// blind says that the proxy would answer every request with 503, not because
// there are no tasks but because it has not heard of any: on a node that is new
// or back, Docker's DNS knew no names for up to a minute. Others know better, so
// the load balancer should use them; but not for ever, as perhaps nobody does.
func (l *loop) blind() bool {
	if l.blindUntil.IsZero() {
		return false
	}
	for _, list := range l.eps {
		if len(list) > 0 {
			l.blindUntil = zeroTime
		}
	}
	named := slices.ContainsFunc(l.running.Bundle.Backends, func(b bundle.Backend) bool { return b.DNS != "" })
	return named && time.Now().Before(l.blindUntil)
}

// setEndpoints makes eps what the engine uses and says whether it does.
func (l *loop) setEndpoints(ctx context.Context, eps routing.Endpoints) bool {
	if !maps.EqualFunc(l.eps, eps, slices.Equal) || l.eps == nil {
		l.eps = eps
		if err := l.Folder.SetEndpoints(eps); err != nil {
			l.Log.Error("endpoints are not kept for the next agent", "error", err)
		}
	}
	if l.running == nil {
		return true // they will be part of the first bundle's start
	}
	err := l.Engine.SetEndpoints(ctx, eps)
	if err != nil && !errors.Is(err, context.Canceled) {
		l.Log.Error("endpoints could not be set", "error", err)
	}
	return err == nil
}

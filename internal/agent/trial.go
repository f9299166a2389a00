package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"interlock/bundle"
	"interlock/internal/engine"
	"interlock/internal/lkg"
	fleetv1 "interlock/proto/fleet/v1"
)

const (
	// confirmWithin is for an offer that names no time, and minConfirm the
	// least that is believed.
	confirmWithin = time.Minute
	minConfirm    = 100 * time.Millisecond

	// revertAgain is the wait after a failed attempt to take a trial back.
	revertAgain = time.Second

	// maxJudging bounds the verdicts under way: core asks for one at a time.
	maxJudging = 4
)

// candidate is an offered bundle before it runs.
type candidate struct {
	entry   *lkg.Entry
	from    *session
	within  time.Duration
	checked bool
	cancel  context.CancelFunc
}

// trial is an applied bundle before it is confirmed; before is what ran until
// then and is gone back to, nil on an empty proxy.
type trial struct {
	entry, before *lkg.Entry
	deadline      time.Time
}

type reverting struct {
	signed bundle.Signed
	to     *lkg.Entry
	reason string
	again  time.Time
}

// offered is an Offer.
type offered struct {
	from   *session
	signed bundle.Signed
	within time.Duration
}

func (o offered) on(ctx context.Context, l *loop) {
	o.signed.Cluster = l.Cluster // ours, whatever core thinks: the signature covers it
	answer, why := l.place(o)
	if answer != fleetv1.Phase_PHASE_UNSPECIFIED {
		o.from.report("", o.signed, answer, why)
		return
	}
	l.dropCandidate("a newer bundle was offered")
	checking, cancel := context.WithCancel(ctx)
	within := max(o.within, minConfirm)
	if o.within == 0 {
		within = confirmWithin
	}
	c := &candidate{entry: &lkg.Entry{Signed: o.signed}, from: o.from, within: within, cancel: cancel}
	l.candidate = c
	go func() {
		b, err := l.judge(checking, o.signed.Encoded)
		l.tell(ctx, checked{c, b, err})
	}()
}

// place finds an offer's answer from what is known already, or none if the
// bundle has to be judged.
func (l *loop) place(o offered) (fleetv1.Phase, string) {
	at := o.signed.Position
	if err := o.signed.Verify(l.Identity.VerifyKey(), l.Cluster); err != nil {
		l.Log.Error("an offered bundle is not signed by our core", "revision", revision(at), "error", err)
		return fleetv1.Phase_PHASE_UNKNOWN, err.Error()
	}
	if o.from.epoch < l.epoch {
		return fleetv1.Phase_PHASE_UNKNOWN, fmt.Sprintf("a core of epoch %d was heard", l.epoch)
	}
	if c := l.confirmed; c != nil {
		switch {
		case at == c.Signed.Position && o.signed.Digest == c.Signed.Digest && l.running == c:
			return fleetv1.Phase_PHASE_CONFIRMED, ""
		case at == c.Signed.Position && o.signed.Digest == c.Signed.Digest:
			// It is confirmed, but something else runs: run it again, on trial.
		case !c.Signed.Position.Less(at):
			return fleetv1.Phase_PHASE_UNKNOWN, fmt.Sprintf("%s is confirmed already", revision(c.Signed.Position))
		}
	}
	if t := l.trial; t != nil {
		switch {
		case at == t.entry.Signed.Position && o.signed.Digest == t.entry.Signed.Digest:
			return fleetv1.Phase_PHASE_APPLIED, ""
		case !t.entry.Signed.Position.Less(at):
			return fleetv1.Phase_PHASE_UNKNOWN, fmt.Sprintf("%s is on trial", revision(t.entry.Signed.Position))
		}
	}
	return fleetv1.Phase_PHASE_UNSPECIFIED, ""
}

// judge decodes a bundle and has the engine check it.
func (a *Agent) judge(ctx context.Context, encoded []byte) (bundle.Bundle, error) {
	b, err := bundle.Decode(encoded)
	if err != nil {
		return b, &engine.Refusal{Words: err.Error()}
	}
	if b.Cluster != a.Cluster || b.Engine != a.EngineName {
		return b, &engine.Refusal{Words: fmt.Sprintf("the bundle is for cluster %q and engine %q", b.Cluster, b.Engine)}
	}
	return b, a.Engine.Check(ctx, b)
}

// phaseOf tells the check's own answer from none.
func phaseOf(err error, good fleetv1.Phase) (fleetv1.Phase, string) {
	var refusal *engine.Refusal
	switch {
	case err == nil:
		return good, ""
	case errors.As(err, &refusal):
		return fleetv1.Phase_PHASE_REFUSED, refusal.Words
	default:
		return fleetv1.Phase_PHASE_UNKNOWN, err.Error()
	}
}

// checked is the end of a candidate's check.
type checked struct {
	candidate *candidate
	bundle    bundle.Bundle
	err       error
}

func (e checked) on(ctx context.Context, l *loop) {
	c := e.candidate
	c.cancel()
	if l.candidate != c {
		return // it was superseded, and said so
	}
	if e.err != nil {
		l.candidate = nil
		phase, words := phaseOf(e.err, 0)
		c.from.report("", c.entry.Signed, phase, words)
		return
	}
	c.entry.Bundle, c.checked = e.bundle, true
	l.applyCandidate(ctx, time.Now())
}

func (l *loop) dropCandidate(why string) {
	if c := l.candidate; c != nil {
		c.cancel()
		l.candidate = nil
		c.from.report("", c.entry.Signed, fleetv1.Phase_PHASE_UNKNOWN, why)
	}
}

// applyCandidate starts the trial of a checked candidate once a reload is due.
func (l *loop) applyCandidate(ctx context.Context, now time.Time) {
	c := l.candidate
	if c == nil || !c.checked || l.reverting != nil || now.Sub(l.lastReload) < l.Timing.ReloadInterval {
		return
	}
	l.candidate = nil
	before := l.running
	if l.trial != nil {
		before = l.trial.before
	}
	if err := l.apply(ctx, c.entry); err != nil {
		l.lastReload = now
		phase, words := phaseOf(err, 0)
		c.from.report("", c.entry.Signed, phase, words)
		return
	}
	l.trial = &trial{entry: c.entry, before: before, deadline: time.Now().Add(c.within)}
	l.Log.Info("on trial", "revision", revision(c.entry.Signed.Position), "confirm_within", c.within)
	c.from.report("", c.entry.Signed, fleetv1.Phase_PHASE_APPLIED, "")
}

// confirm is a Confirm.
type confirm struct {
	from *session
	at   bundle.Position
}

func (e confirm) on(ctx context.Context, l *loop) {
	switch t := l.trial; {
	case e.from.epoch < l.epoch:
		e.from.reportAt(e.at, fleetv1.Phase_PHASE_UNKNOWN, fmt.Sprintf("a core of epoch %d was heard", l.epoch))
	case t != nil && t.entry.Signed.Position == e.at:
		l.trial = nil
		l.remember(t.entry)
		l.setHealth(ctx)
		l.Log.Info("confirmed", "revision", revision(e.at))
		l.save.want(ctx, l.Agent, t.entry.Signed)
	case l.confirmed != nil && l.confirmed.Signed.Position == e.at && !l.save.pending(e.at):
		e.from.report("", l.confirmed.Signed, fleetv1.Phase_PHASE_CONFIRMED, "")
	case l.confirmed != nil && l.confirmed.Signed.Position == e.at:
		// The report comes when it is on disk.
	default:
		e.from.reportAt(e.at, fleetv1.Phase_PHASE_UNKNOWN, "it is not on trial")
	}
}

// remember makes e the last known good in memory.
func (l *loop) remember(e *lkg.Entry) {
	if c := l.confirmed; c != nil && c.Signed.Position != e.Signed.Position {
		l.older = append([]lkg.Entry{*c}, l.older[:min(len(l.older), lkg.Keep-2)]...)
	}
	l.confirmed = e
}

// withdraw is a Withdraw.
type withdraw struct {
	from   *session
	at     bundle.Position
	reason string
}

func (e withdraw) on(ctx context.Context, l *loop) {
	switch {
	case e.from.epoch < l.epoch:
	case l.trial != nil && l.trial.entry.Signed.Position == e.at:
		l.takeBack(ctx, e.reason)
	case l.candidate != nil && l.candidate.entry.Signed.Position == e.at:
		l.candidate.cancel()
		l.candidate = nil
		e.from.reportAt(e.at, fleetv1.Phase_PHASE_REVERTED, "it was not applied yet")
	case l.confirmed != nil && l.confirmed.Signed.Position == e.at:
		e.from.reportAt(e.at, fleetv1.Phase_PHASE_CONFIRMED, "it was confirmed before")
	case l.reverting == nil:
		e.from.reportAt(e.at, fleetv1.Phase_PHASE_REVERTED, "it is not applied")
	}
}

// takeBack ends the trial.
func (l *loop) takeBack(ctx context.Context, reason string) {
	l.Log.Warn("taking a trial back", "revision", revision(l.trial.entry.Signed.Position), "reason", reason)
	l.reverting = &reverting{signed: l.trial.entry.Signed, to: l.trial.before, reason: reason}
	l.trial = nil
	l.revert(ctx)
}

// revert goes back to the bundle of before, and is tried again until it did.
// An empty proxy has nothing to go back to: it stays as it is, not ready.
func (l *loop) revert(ctx context.Context) {
	r := l.reverting
	if r.to == nil {
		l.running = nil
		r.reason += "; there is no confirmed bundle to go back to"
	} else if err := l.apply(ctx, r.to); err != nil {
		l.Log.Error("a trial could not be taken back yet", "error", err)
		l.running = r.to
		r.again = time.Now().Add(revertAgain)
		return
	}
	l.reverting = nil
	l.setHealth(ctx)
	l.reportAll(r.signed, fleetv1.Phase_PHASE_REVERTED, r.reason)
}

// judgeRequest is a Judge.
type judgeRequest struct {
	from    *session
	id      string
	encoded []byte
}

func (e judgeRequest) on(ctx context.Context, l *loop) {
	digest := bundle.Signed{Digest: bundle.Digest(e.encoded)}
	if l.judging >= maxJudging {
		e.from.report(e.id, digest, fleetv1.Phase_PHASE_UNKNOWN, "too many verdicts are under way")
		return
	}
	l.judging++
	go func() {
		_, err := l.judge(ctx, e.encoded)
		phase, words := phaseOf(err, fleetv1.Phase_PHASE_ACCEPTED)
		e.from.report(e.id, digest, phase, words)
		l.tell(ctx, judged{})
	}()
}

// judged is the end of a verdict.
type judged struct{}

func (judged) on(_ context.Context, l *loop) { l.judging-- }

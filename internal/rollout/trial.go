package rollout

import (
	"time"

	"interlock/bundle"
)

// holdTime is how long content that was accepted by the check but failed on
// trial is left alone, unless it changes.
const holdTime = 5 * time.Minute

// maxTrials failed trials of one content end the attempt.
const maxTrials = 3

// maxLater bounds the published generations that nobody confirmed: as many as
// the store keeps.
const maxLater = 9

// publish gives the accepted variant the next number.
func (m *Machine) publish(now time.Time) {
	m.state = Publishing
	if now.Before(m.nextPublish) {
		m.attempt.retryAt = m.nextPublish
		return
	}
	m.last++
	m.nextPublish = now.Add(m.cfg.Interval)
	m.attempt.retryAt = time.Time{}
	m.attempt.position = bundle.Position{Epoch: m.epoch, Generation: m.last}
	m.do(Publish{Position: m.attempt.position, Candidate: m.attempt.candidate.ID, Variant: m.attempt.variant})
}

func (m *Machine) published(now time.Time, e Published) {
	if m.state != Publishing || e.Position != m.attempt.position {
		return
	}
	m.later = append(m.later[max(0, len(m.later)-maxLater):], Generation{Position: e.Position, Key: m.attempt.key, Digest: e.Digest})
	m.attempt.unknowns, m.taken = 0, 0
	m.state = Trying
	m.try(now)
}

// publishFailed takes another number: the failed one may be stored after all.
// Content that can't be stored again and again gives way to newer: it may be
// its size.
func (m *Machine) publishFailed(now time.Time, e PublishFailed) {
	if m.state != Publishing || e.Position != m.attempt.position {
		return
	}
	m.attempt.unknowns++
	m.attempt.position = bundle.Position{}
	if e.Taken {
		m.pass()
	}
	m.nextPublish = now.Add(max(m.cfg.Interval, backoff(m.attempt.unknowns)))
	m.attempt.retryAt = m.nextPublish
	if m.attempt.unknowns >= maxUnknown {
		m.idle()
		m.pending, m.askAt = true, m.nextPublish
	}
}

// pass leaves numbers out after one that is taken, ever more of them, so that a
// row of taken ones is soon behind us.
func (m *Machine) pass() {
	m.last += min(1<<min(m.taken, 40)-1, maxNumber-min(m.last, maxNumber))
	m.taken++
	m.attempt.unknowns = min(m.attempt.unknowns, 1)
}

// maxNumber is the greatest number of a generation; the store takes no other.
const maxNumber = 1 << 62

// try offers the published bundle to one agent, or waits for one. When an agent
// that came in the meantime is past its number, it needs another.
func (m *Machine) try(now time.Time) {
	at := &m.attempt
	if m.outrun(at.position) {
		m.publish(now)
		return
	}
	at.retryAt = now
	a := m.eligible(now, at.trial)
	if a == nil {
		return
	}
	at.trial, at.retryAt = a.ID, time.Time{}
	m.offer(now, a, at.position)
	at.deadline = a.deadline
}

// outrun says that an agent confirmed p's number or a greater one.
func (m *Machine) outrun(p bundle.Position) bool {
	for _, a := range m.agents {
		if !a.Confirmed.Less(p) {
			return true
		}
	}
	return false
}

func (m *Machine) offer(now time.Time, a *agent, p bundle.Position) {
	a.offered = p
	a.deadline = now.Add(m.cfg.ApplyWithin + m.cfg.ConfirmWithin)
	m.do(Offer{Agent: a.ID, Position: p, ConfirmWithin: m.cfg.ApplyWithin})
}

// report is one agent's word; what is not about its present offer is old.
func (m *Machine) report(now time.Time, r Report) {
	a := m.agents[r.Agent]
	if a != nil && r.Phase == Confirmed && r.Position != a.offered {
		m.confirmedLate(a, r.Position)
		return
	}
	if a == nil || a.offered == (bundle.Position{}) || r.Position != a.offered {
		return
	}
	trial := m.onTrial(a)
	switch r.Phase {
	case Applied:
		if trial {
			m.state = Confirming
			m.attempt.deadline = now.Add(m.cfg.ConfirmWithin)
		}
		a.deadline = now.Add(m.cfg.ConfirmWithin)
		m.do(Confirm{Agent: a.ID, Position: r.Position})
	case Confirmed:
		a.Confirmed, a.offered = r.Position, bundle.Position{}
		a.failures, a.words, a.retryAt = 0, "", time.Time{}
		if g, ok := m.known(r.Position); ok {
			a.Digest = g.Digest
			m.confirm(g)
		} else {
			a.Digest = m.confirmed.Digest
		}
	case Refused, Unknown, Reverted:
		m.offerFailed(now, a, r.Phase, r.Words)
	}
}

// confirmedLate takes a confirmation that came after we gave up on it, of what
// we have published. Others don't count: they would move our numbers.
func (m *Machine) confirmedLate(a *agent, p bundle.Position) {
	if p.Epoch > m.epoch || p.Generation > m.last {
		return
	}
	if a.Confirmed.Less(p) {
		a.Confirmed = p
	}
	if g, ok := m.known(p); ok {
		a.Digest = g.Digest
		m.confirm(g)
	} else if p == m.confirmed.Position {
		a.Digest = m.confirmed.Digest
	}
}

// known is the generation stored at p after the confirmed one.
func (m *Machine) known(p bundle.Position) (Generation, bool) {
	for _, g := range m.later {
		if g.Position == p {
			return g, true
		}
	}
	return Generation{}, false
}

// onTrial says whether a's outstanding offer is the attempt's trial.
func (m *Machine) onTrial(a *agent) bool {
	return (m.state == Trying || m.state == Confirming) && m.attempt.trial == a.ID && a.offered == m.attempt.position
}

// offerFailed ends an offer. A trial that was refused is judged again by that
// very agent: only a refusal of the check may begin a taking apart.
func (m *Machine) offerFailed(now time.Time, a *agent, phase Phase, words string) {
	trial := m.onTrial(a)
	m.agentFailed(now, a.ID, words)
	if !trial {
		return
	}
	at := &m.attempt
	at.failures++
	if at.failures >= maxTrials {
		m.holdKey, m.holdUntil = at.key, now.Add(holdTime)
		m.nextPublish = now.Add(MaxBackoff)
		m.idle()
		m.pending, m.askAt = true, m.holdUntil
		return
	}
	if phase == Refused && at.variant.Kind == Partial && len(at.variant.Hold) == 0 {
		failures := at.failures
		a.retryAt = time.Time{}
		m.start(now, at.candidate, a.ID)
		m.attempt.failures = failures
		return
	}
	m.state = Trying
	at.retryAt = now.Add(backoff(at.failures))
}

// agentFailed puts an agent into back-off and forgets its offer.
func (m *Machine) agentFailed(now time.Time, id, words string) {
	a := m.agents[id]
	if a == nil {
		return
	}
	a.offered = bundle.Position{}
	a.failures++
	a.words = words
	a.retryAt = now.Add(backoff(a.failures))
}

// confirm makes g the cluster's generation. Nothing else does. An attempt at
// something else is begun anew from there.
func (m *Machine) confirm(g Generation) {
	if m.state != Idle && m.attempt.position != g.Position {
		m.pending = true
	}
	m.confirmed = g
	m.later = nil
	m.do(Adopt{Generation: g})
	m.idle()
}

package rollout

import (
	"fmt"
	"time"

	"interlock/bundle"
)

// connected takes up an agent that says what it has. One that confirmed a
// generation that we only know as published tells us that it is confirmed; one
// that is ahead of all we know, or has something else under our number, makes
// us go past it (I14): its store outlived ours. One that is where nobody could
// have got to counts as empty.
func (m *Machine) connected(now time.Time, e Connected) {
	if p := e.Agent.Confirmed; max(p.Epoch, p.Generation) >= maxNumber {
		e.Agent.Confirmed, e.Agent.Digest = bundle.Position{}, ""
		e.Agent.Doubt = fmt.Sprintf("it says that it confirmed %d-%d, which can't be", p.Epoch, p.Generation)
	}
	m.agents[e.Agent.ID] = &agent{Agent: e.Agent, words: e.Agent.Doubt}
	at, digest := e.Agent.Confirmed, e.Agent.Digest
	if at.Less(m.confirmed.Position) || at == (bundle.Position{}) || at == m.confirmed.Position && same(digest, m.confirmed.Digest) {
		return
	}
	if g, ok := m.known(at); ok && same(digest, g.Digest) {
		m.confirm(g)
		return
	}
	m.epoch = max(m.epoch, at.Epoch+1)
	m.last = max(m.last, at.Generation)
}

// overtaken says that a connected agent confirmed something that is not behind
// what we have confirmed: our content needs a number past it.
func (m *Machine) overtaken() bool {
	if m.confirmed.Key == "" {
		return false
	}
	for _, a := range m.agents {
		other := a.Confirmed == m.confirmed.Position && !same(a.Digest, m.confirmed.Digest)
		if !a.Draining && (other || m.confirmed.Position.Less(a.Confirmed)) {
			return true
		}
	}
	return false
}

// same compares digests as far as both are known.
func same(a, b string) bool { return a == b || a == "" || b == "" }

func (m *Machine) gone(now time.Time, id string) {
	a := m.agents[id]
	delete(m.agents, id)
	at := &m.attempt
	if at.judgement != "" && at.asked == id {
		at.judgement = ""
		m.judgeUnknown(now, "the session ended")
	}
	switch {
	case a == nil || !m.onTrial(a):
	case a.Draining: // it was meant to go
		m.state = Trying
		at.retryAt = now.Add(backoff(1))
	default: // a bundle that ends its proxy must not go round all of them
		m.offerFailed(now, a, Unknown, "the session ended")
	}
}

func (m *Machine) draining(id string) {
	if a := m.agents[id]; a != nil {
		a.Draining = true
	}
}

// expire ends what was not answered in time.
func (m *Machine) expire(now time.Time) {
	at := &m.attempt
	if at.judgement != "" && !now.Before(at.deadline) {
		at.judgement = ""
		m.judgeUnknown(now, "no answer in time")
	}
	for _, a := range m.sorted() {
		if a.offered != (bundle.Position{}) && !now.Before(m.offerDeadline(a)) {
			m.do(Withdraw{Agent: a.ID, Position: a.offered, Reason: "not confirmed in time"})
			m.offerFailed(now, a, Unknown, "no answer in time")
		}
	}
}

func (m *Machine) offerDeadline(a *agent) time.Time {
	if m.onTrial(a) {
		return m.attempt.deadline
	}
	return a.deadline
}

// resume takes up what waited for the time or an agent.
func (m *Machine) resume(now time.Time) {
	at := &m.attempt
	if at.retryAt.IsZero() || now.Before(at.retryAt) {
		return
	}
	switch m.state {
	case Judging:
		m.judge(now)
	case Publishing:
		m.publish(now)
	case Trying:
		m.try(now)
	}
}

// republishConfirmed gives what is confirmed a number past an agent that is
// ahead of us; it is tried like any other generation.
func (m *Machine) republishConfirmed(now time.Time) {
	if m.state != Idle || !m.overtaken() || m.eligible(now, "") == nil {
		return
	}
	m.attempt = attempt{variant: Variant{Kind: ConfirmedOne}, key: m.confirmed.Key}
	m.publish(now)
}

// spread offers what is confirmed to every agent behind it: to empty ones at
// once, to those that serve at most Parallelism at a time.
func (m *Machine) spread(now time.Time) {
	if m.confirmed.Key == "" {
		return
	}
	busy := m.offers()
	for _, a := range m.sorted() {
		if !m.behind(a) || a.offered != (bundle.Position{}) || now.Before(a.retryAt) {
			continue
		}
		serves := a.Confirmed != (bundle.Position{})
		if serves && (busy >= m.cfg.Parallelism || now.Before(m.nextSpread)) {
			continue
		}
		if serves {
			busy++
			m.nextSpread = now.Add(m.cfg.Delay)
		}
		m.offer(now, a, m.confirmed.Position)
	}
}

// behind says that a should get the confirmed generation. It is not so while a
// tries a newer one, and not when it is ahead of us.
func (m *Machine) behind(a *agent) bool {
	return !a.Draining && a.Confirmed.Less(m.confirmed.Position)
}

func (m *Machine) offers() int {
	n := 0
	for _, a := range m.agents {
		if a.offered != (bundle.Position{}) {
			n++
		}
	}
	return n
}

// spreading says that a proxy is still being brought to what is confirmed. One
// in back-off is not waited for: it is Degraded, and the rest goes on.
func (m *Machine) spreading() bool {
	if m.confirmed.Key == "" {
		return false
	}
	for _, a := range m.agents {
		if m.behind(a) && a.failures == 0 {
			return true
		}
	}
	return false
}

package rollout

import (
	"fmt"
	"slices"
	"time"
)

// step is where a judging is in the order of suspicion.
type step int

const (
	stepWhole     step = iota // the candidate as it is
	stepBase                  // refused: the cluster's base without services
	stepConfirmed             // not the base: what is confirmed
	stepHeld                  // nor that: the candidate with all changes held
	stepHalves                // the changes come back in halves
)

// judge asks for a verdict on the attempt's variant, or waits for an agent.
func (m *Machine) judge(now time.Time) {
	at := &m.attempt
	at.retryAt = now
	a := m.judgeAgent(now)
	if a == nil {
		return
	}
	m.serial++
	at.judgement = fmt.Sprintf("j%d", m.serial)
	at.asked, at.retryAt = a.ID, time.Time{}
	at.deadline = now.Add(m.cfg.JudgeWithin)
	m.do(Judge{ID: at.judgement, Agent: a.ID, Candidate: at.candidate.ID, Variant: at.variant})
}

// judgeAgent stays with the agent that judged before, so that one taking apart
// is one agent's word, unless that one did not know.
func (m *Machine) judgeAgent(now time.Time) *agent {
	at := &m.attempt
	if a := m.agents[at.asked]; a != nil && at.unknowns == 0 && at.denied != a.ID && !a.Draining && !now.Before(a.retryAt) {
		return a
	}
	return m.eligible(now, at.asked)
}

// verdict moves the judging on.
func (m *Machine) verdict(now time.Time, v Verdict) {
	at := &m.attempt
	if m.state != Judging || v.ID == "" || v.ID != at.judgement {
		return
	}
	at.judgement = ""
	if v.Phase != Accepted && v.Phase != Refused {
		m.judgeUnknown(now, v.Words)
		return
	}
	at.unknowns = 0
	refused := v.Phase == Refused
	switch at.step {
	case stepWhole:
		m.judgedWhole(now, v, refused)
	case stepBase, stepConfirmed:
		m.judgedSuspect(now, v, refused)
	case stepHeld:
		m.judgedHeld(now, v, refused)
	case stepHalves:
		at.halves.answer(refused, v.Words)
		if !refused {
			at.key = v.Key
		}
		m.nextHalf(now)
	}
}

func (m *Machine) judgedWhole(now time.Time, v Verdict, refused bool) {
	if !refused {
		m.attempt.key = v.Key
		m.publish(now)
		return
	}
	m.attempt.words = v.Words
	m.suspect(now, stepBase)
}

// suspect judges the base or the confirmed structure.
func (m *Machine) suspect(now time.Time, s step) {
	at := &m.attempt
	at.step, at.denied = s, ""
	at.variant = Variant{Kind: BaseOnly}
	if s == stepConfirmed {
		at.variant = Variant{Kind: ConfirmedOne}
	}
	m.judge(now)
}

// judgedSuspect freezes the cluster when a suspect is refused by two agents, or
// by the only one: a single agent that refuses everything is itself at fault.
func (m *Machine) judgedSuspect(now time.Time, v Verdict, refused bool) {
	at := &m.attempt
	if refused {
		if second := m.eligible(now, at.asked); at.denied == "" && second != nil && second.ID != at.asked {
			at.denied = at.asked
			m.judge(now)
			return
		}
		m.freeze(now, v.Words)
		return
	}
	if at.denied != "" {
		m.agentFailed(now, at.denied, "refuses what another proxy of the cluster accepts")
		m.start(now, at.candidate, at.asked)
		return
	}
	m.suspectCleared(now)
}

// suspectCleared goes on to the next suspect, then to the changes.
func (m *Machine) suspectCleared(now time.Time) {
	at := &m.attempt
	if at.step == stepBase && m.confirmed.Key != "" {
		m.suspect(now, stepConfirmed)
		return
	}
	if m.frozen.is {
		m.thaw()
		at.step, at.variant = stepWhole, Variant{Kind: Partial}
		m.judge(now)
		return
	}
	at.step, at.variant = stepHeld, Variant{Kind: Partial, Hold: slices.Clone(at.candidate.Changes)}
	m.judge(now)
}

// judgedHeld begins the halves, from the ground of all changes held.
func (m *Machine) judgedHeld(now time.Time, v Verdict, refused bool) {
	at := &m.attempt
	if refused || len(at.candidate.Changes) == 0 {
		m.freeze(now, v.Words)
		return
	}
	at.key = v.Key
	at.step, at.halves = stepHalves, newHalves(at.candidate.Changes, at.words)
	m.nextHalf(now)
}

// nextHalf judges the next set, or ends the taking apart: the guilty are
// quarantined, the good are published. Those that the budget left unknown stay
// held without blame and are a candidate of their own again.
func (m *Machine) nextHalf(now time.Time) {
	at := &m.attempt
	try, more := at.halves.next()
	if more && at.judged < m.cfg.Budget {
		at.judged++
		at.variant = Variant{Kind: Partial, Hold: without(at.candidate.Changes, try)}
		m.judge(now)
		return
	}
	at.variant = Variant{Kind: Partial, Hold: at.halves.held(at.candidate.Changes)}
	if len(at.halves.guilty) > 0 {
		m.do(Quarantine{Services: at.halves.guilty})
	}
	if more {
		m.pending, m.askAt = true, now.Add(m.cfg.Interval)
	}
	if at.key == m.confirmed.Key && at.key != "" {
		m.idle()
		return
	}
	m.publish(now)
}

// judgeUnknown asks again later, of another agent where there is one.
func (m *Machine) judgeUnknown(now time.Time, words string) {
	at := &m.attempt
	at.unknowns++
	if a := m.agents[at.asked]; a != nil {
		a.words = words
	}
	if at.unknowns >= maxUnknown {
		m.idle()
		m.pending, m.askAt = true, now.Add(MaxBackoff)
		return
	}
	at.retryAt = now.Add(backoff(at.unknowns))
}

// freeze stops the cluster's structure: its own part is refused.
func (m *Machine) freeze(now time.Time, words string) {
	if words == "" {
		words = m.attempt.words
	}
	tries := m.frozen.tries + 1
	m.frozen = frozen{is: true, base: m.attempt.candidate.Base, reason: words, tries: tries, until: now.Add(backoff(tries + 3))}
	m.do(Freeze{Reason: words})
	m.idle()
	m.pending, m.askAt = true, m.frozen.until
}

func (m *Machine) thaw() {
	if m.frozen.is {
		m.frozen = frozen{}
		m.do(Thaw{})
	}
}

// without is the elements of all that are not in some.
func without(all, some []string) []string {
	in := make(map[string]bool, len(some))
	for _, s := range some {
		in[s] = true
	}
	var out []string
	for _, s := range all {
		if !in[s] {
			out = append(out, s)
		}
	}
	return out
}

package rollout

import (
	"time"

	"interlock/bundle"
)

// View is what can be told about a Machine.
type View struct {
	State     State
	Epoch     uint64
	Confirmed Generation
	// Position is of the attempt under way, zero when there is none.
	Position bundle.Position
	Frozen   bool
	Reason   string
	Agents   []AgentView
}

// AgentView is one connected agent. Synced: it confirmed what the cluster
// confirmed. Words are of its last failure.
type AgentView struct {
	Agent  Agent
	Synced bool
	Words  string
}

// View returns the present state.
func (m *Machine) View() View {
	v := View{
		State: m.state, Epoch: m.epoch, Confirmed: m.confirmed,
		Position: m.attempt.position, Frozen: m.frozen.is, Reason: m.frozen.reason,
	}
	for _, a := range m.sorted() {
		synced := m.confirmed.Key != "" && a.Confirmed == m.confirmed.Position && same(a.Digest, m.confirmed.Digest)
		v.Agents = append(v.Agents, AgentView{Agent: a.Agent, Synced: synced, Words: a.words})
	}
	return v
}

// Next is when a Tick is due, zero when nothing waits for the time alone. It
// is after the last Step: what was due then waits for something else too.
func (m *Machine) Next() time.Time {
	var next time.Time
	due := func(t time.Time) {
		if t.After(m.now) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	at := m.attempt
	if at.judgement != "" {
		due(at.deadline)
	}
	due(at.retryAt)
	for _, a := range m.agents {
		if a.offered != (bundle.Position{}) {
			due(m.offerDeadline(a))
		}
		due(a.retryAt)
	}
	if m.pending {
		due(m.askAt)
	}
	if m.spreading() {
		due(m.nextSpread)
	}
	return next
}

// Package rollout brings a cluster's structure to its proxies: judged, tried on
// one of them, confirmed, brought to the rest; or taken apart until the guilty
// services are known. It is pure: events and the time go in, actions come out.
//
//	          candidate            accepted             stored           applied            confirmed
//	Idle ───────────────► Judging ──────────► Publishing ──────► Trying ──────────► Confirming ────────► Idle
//	 ▲ ▲                   │ ▲  │ unknown        │ failed         │ unknown,          │ silent          (spread to
//	 │ └── all quarantined ┘ │  └─► later ◄──────┴────────────────┴─ reverted ◄───────┘                  the rest)
//	 │                       └── refused: base, confirmed, all held, halves (order of suspicion)
//	 └─────── Frozen: base or confirmed structure refused, nobody is blamed
//
// Judgements are by an agent of the cluster: Refused is an answer of the check
// and blames the content; Unknown says nothing about it and is asked again,
// of another agent where there is one.
//
// A monitor with probes, history and pinning will sit between Confirming and
// the spread: a generation becomes the cluster's in confirm, nowhere else.
package rollout

import (
	"slices"
	"strings"
	"time"

	"interlock/bundle"
)

// State of a Machine.
type State string

// States; see the diagram of the package.
const (
	Idle       State = "idle"
	Judging    State = "judging"
	Publishing State = "publishing"
	Trying     State = "trying"
	Confirming State = "confirming"
)

// Config of a Machine. All durations are observed time.
type Config struct {
	// Parallelism is how many proxies that already serve are changed at once
	// after the first; at least 1. Empty proxies do not count.
	Parallelism int
	// Budget bounds the judgements of one taking apart.
	Budget int
	// JudgeWithin, ApplyWithin and ConfirmWithin bound the wait for an agent's
	// answer. ApplyWithin is also the time after which an agent takes an
	// unconfirmed bundle back.
	JudgeWithin, ApplyWithin, ConfirmWithin time.Duration
	// Interval is the least time between two publications.
	Interval time.Duration
	// Delay is between two proxies of the spread.
	Delay time.Duration
}

// Default values for what Config leaves at zero.
const (
	DefaultBudget        = 64
	DefaultJudgeWithin   = 45 * time.Second
	DefaultApplyWithin   = 45 * time.Second
	DefaultConfirmWithin = 15 * time.Second
	DefaultInterval      = 2 * time.Second
)

// MaxBackoff bounds the wait before something unknown is asked again.
const MaxBackoff = 30 * time.Second

// maxUnknown unknown answers in a row end an attempt; the candidate is asked
// for anew, so that one nobody can judge does not stand in the way of a newer.
const maxUnknown = 6

func (c Config) withDefaults() Config {
	c.Parallelism = max(c.Parallelism, 1)
	orDefault(&c.Budget, DefaultBudget)
	orDefault(&c.JudgeWithin, DefaultJudgeWithin)
	orDefault(&c.ApplyWithin, DefaultApplyWithin)
	orDefault(&c.ConfirmWithin, DefaultConfirmWithin)
	orDefault(&c.Interval, DefaultInterval)
	return c
}

func orDefault[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// Generation is a published bundle and the key of its content.
type Generation struct {
	Position bundle.Position
	// Key names content before it is rendered: equal keys, equal structure.
	Key string
	// Digest is of the bundle: a store that was lost may have given the same
	// number to something else.
	Digest string
}

// Restored is what the store knows when core starts.
type Restored struct {
	// Epoch of this core: greater than all stored.
	Epoch uint64
	// Confirmed is the zero Generation when there is none.
	Confirmed Generation
	// Later are generations stored after Confirmed, oldest first: published,
	// and perhaps confirmed by an agent without us hearing it.
	Later []Generation
}

// Machine is the rollout of one cluster. It is not safe for concurrent use.
type Machine struct {
	cfg       Config
	epoch     uint64
	last      uint64 // greatest generation number stored or reported
	taken     int    // numbers in a row that somebody else's objects have
	confirmed Generation
	later     []Generation
	agents    map[string]*agent

	state State
	// pending: a newer candidate came while this one is under way.
	pending bool
	// askAt is the earliest time to ask for it.
	askAt   time.Time
	attempt attempt
	frozen  frozen
	// nextPublish is the earliest time for the next publication.
	nextPublish time.Time
	nextSpread  time.Time
	// holdKey is content that failed on trial again and again; it is left
	// alone until holdUntil.
	holdKey   string
	holdUntil time.Time
	serial    int
	now       time.Time // of the last Step
	out       []Action
}

// attempt is the candidate under way.
type attempt struct {
	candidate Candidate
	variant   Variant
	key       string // of variant, once it is judged
	step      step
	halves    *halves
	words     string // of the refusal that began the taking apart
	judgement string // id of the outstanding judgement, "" for none
	asked     string // the agent that judges
	denied    string // the agent whose refusal of a suspect is asked of a second
	position  bundle.Position
	trial     string // the agent that tries
	failures  int    // trials of this content that failed
	unknowns  int    // in a row
	judged    int    // sets judged by the halves
	deadline  time.Time
	retryAt   time.Time // zero when something is outstanding
}

// frozen is why the cluster's structure stands still.
type frozen struct {
	is     bool
	base   string // Candidate.Base it was frozen with
	reason string
	tries  int
	until  time.Time
}

// agent is a connected agent. Invariant: offered is zero, or an offer is
// outstanding since offeredAt.
type agent struct {
	Agent
	offered  bundle.Position
	deadline time.Time
	failures int
	retryAt  time.Time
	words    string // of the last failure
}

// New returns the machine of a cluster without agents.
func New(cfg Config, r Restored) *Machine {
	m := &Machine{
		cfg: cfg.withDefaults(), epoch: r.Epoch, confirmed: r.Confirmed, later: r.Later,
		last: r.Confirmed.Position.Generation, agents: map[string]*agent{}, state: Idle,
	}
	for _, g := range r.Later {
		m.last = max(m.last, g.Position.Generation)
	}
	return m
}

// Step takes one event and returns what is to be done, in order.
func (m *Machine) Step(now time.Time, ev Event) []Action {
	m.now, m.out = now, nil
	switch e := ev.(type) {
	case Candidate:
		m.candidate(now, e)
	case Connected:
		m.connected(now, e)
	case Gone:
		m.gone(now, e.Agent)
	case Draining:
		m.draining(e.Agent)
	case Verdict:
		m.verdict(now, e)
	case Published:
		m.published(now, e)
	case PublishFailed:
		m.publishFailed(now, e)
	case Report:
		m.report(now, e)
	case Tick:
	}
	m.advance(now)
	return m.out
}

// advance does all that waits for nothing but the time or an agent.
func (m *Machine) advance(now time.Time) {
	m.expire(now)
	m.resume(now)
	m.republishConfirmed(now)
	m.spread(now)
	m.ask(now)
}

// ask wants the present candidate when nothing is under way.
func (m *Machine) ask(now time.Time) {
	if m.pending && !now.Before(m.askAt) && m.ready(now) {
		m.pending = false
		m.do(Ask{})
	}
}

// ready says whether a candidate could be taken up now.
func (m *Machine) ready(now time.Time) bool {
	return m.state == Idle && !m.overtaken() && !m.spreading() && m.eligible(now, "") != nil
}

// candidate starts an attempt, or remembers to ask for one later.
func (m *Machine) candidate(now time.Time, c Candidate) {
	switch {
	case c.Key == m.confirmed.Key && (m.state == Idle || m.superseded()):
		m.pending = false
		m.thaw()
		m.idle()
	case m.held(now, c):
		m.pending, m.askAt = true, m.heldUntil(c)
	case m.superseded(), m.ready(now):
		m.start(now, c, "")
	default:
		m.pending, m.askAt = true, now
	}
}

// superseded says that what is under way only waits to be asked again.
func (m *Machine) superseded() bool {
	return m.state == Judging && m.attempt.step == stepWhole && m.attempt.judgement == ""
}

// held says whether c is known to lead nowhere for now.
func (m *Machine) held(now time.Time, c Candidate) bool {
	if m.frozen.is && m.frozen.base == c.Base && now.Before(m.frozen.until) {
		return true
	}
	return m.holdKey == c.Key && c.Key != "" && now.Before(m.holdUntil)
}

func (m *Machine) heldUntil(c Candidate) time.Time {
	if m.holdKey == c.Key && m.holdUntil.After(m.frozen.until) {
		return m.holdUntil
	}
	return m.frozen.until
}

// start begins an attempt; asked is the agent that should judge, if any.
func (m *Machine) start(now time.Time, c Candidate, asked string) {
	c.Changes = slices.Sorted(slices.Values(c.Changes))
	m.pending = false
	m.state = Judging
	m.attempt = attempt{candidate: c, variant: Variant{Kind: Partial}, asked: asked}
	if m.frozen.is {
		m.suspect(now, stepBase)
		return
	}
	m.judge(now)
}

func (m *Machine) idle() {
	m.state = Idle
	m.attempt = attempt{}
}

func (m *Machine) do(a Action) { m.out = append(m.out, a) }

// sorted are the agents by name, then id: the order of every choice.
func (m *Machine) sorted() []*agent {
	list := make([]*agent, 0, len(m.agents))
	for _, a := range m.agents {
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b *agent) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return list
}

// eligible is the first agent that may judge or try: not draining, not in
// back-off, not busy; not the one named by but when there is another.
func (m *Machine) eligible(now time.Time, but string) *agent {
	var second *agent
	for _, a := range m.sorted() {
		if a.Draining || now.Before(a.retryAt) || a.offered != (bundle.Position{}) {
			continue
		}
		if a.ID != but {
			return a
		}
		second = a
	}
	return second
}

func backoff(n int) time.Duration {
	return min(time.Second<<min(max(n-1, 0), 10), MaxBackoff)
}

// Configure replaces the configuration; what is outstanding keeps its deadlines.
func (m *Machine) Configure(cfg Config) { m.cfg = cfg.withDefaults() }

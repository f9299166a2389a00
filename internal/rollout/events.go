package rollout

import (
	"time"

	"interlock/bundle"
)

// Event is what a Machine is told.
type Event interface{ event() }

// Phase is an agent's answer.
type Phase string

// Phases; see proto/fleet/v1.
const (
	Accepted  Phase = "accepted"
	Refused   Phase = "refused"
	Unknown   Phase = "unknown"
	Applied   Phase = "applied"
	Confirmed Phase = "confirmed"
	Reverted  Phase = "reverted"
)

// Candidate is a structure that should be live. ID is the caller's name for
// what it was compiled from; Base identifies the operator's part; Changes are
// the services whose part differs from the confirmed structure.
type Candidate struct {
	ID      uint64
	Key     string
	Base    string
	Changes []string
}

// Agent is what a connected agent said of itself.
type Agent struct {
	// ID is of the session; Name is the proxy's, for order and for people.
	ID, Name  string
	Confirmed bundle.Position
	// Digest is of what it confirmed.
	Digest   string
	Draining bool
	// Doubt is what it said and was not believed, in words for people. What it
	// is said to have confirmed must be proved: it moves the cluster's numbers.
	Doubt string
}

// Connected is an agent with a new session.
type Connected struct{ Agent Agent }

// Gone is an agent whose session ended.
type Gone struct{ Agent string }

// Draining is an agent whose proxy is about to be stopped.
type Draining struct{ Agent string }

// Verdict answers a Judge: Accepted, Refused or Unknown. Key is of the content
// that was judged; it is empty when it could not be built.
type Verdict struct {
	ID    string
	Phase Phase
	Words string
	Key   string
}

// Published says that a Publish is durable.
type Published struct {
	Position bundle.Position
	Digest   string
}

// PublishFailed says that a Publish is not durable, or that we can't know.
// Taken says that it never will be: somebody else's object has its number.
type PublishFailed struct {
	Position bundle.Position
	Words    string
	Taken    bool
}

// Report is an agent's word on an Offer, Confirm or Withdraw.
type Report struct {
	Agent    string
	Position bundle.Position
	Phase    Phase
	Words    string
}

// Tick is the passing of time alone.
type Tick struct{}

func (Candidate) event()     {}
func (Connected) event()     {}
func (Gone) event()          {}
func (Draining) event()      {}
func (Verdict) event()       {}
func (Published) event()     {}
func (PublishFailed) event() {}
func (Report) event()        {}
func (Tick) event()          {}

// Kind of a Variant.
type Kind string

// Kinds of a Variant.
const (
	// Partial is the candidate with Hold's services at their last known good.
	Partial Kind = "partial"
	// BaseOnly is the candidate's operator part without any service.
	BaseOnly Kind = "base"
	// ConfirmedOne is the confirmed structure, byte for byte.
	ConfirmedOne Kind = "confirmed"
)

// Variant says which content of an attempt is meant.
type Variant struct {
	Kind Kind
	Hold []string
}

// Action is what a Machine wants done.
type Action interface{ action() }

// Judge asks for a verdict on a variant of candidate by an agent. What can't be
// built because of its content is Refused, other failures are Unknown.
type Judge struct {
	ID        string
	Agent     string
	Candidate uint64
	Variant   Variant
}

// Publish asks to sign and store a variant at a position, with the state that
// it was compiled with: durable first, offered second.
type Publish struct {
	Position  bundle.Position
	Candidate uint64
	Variant   Variant
}

// Offer sends a published bundle to an agent.
type Offer struct {
	Agent         string
	Position      bundle.Position
	ConfirmWithin time.Duration
}

// Confirm tells an agent to keep what it applied.
type Confirm struct {
	Agent    string
	Position bundle.Position
}

// Withdraw tells an agent to take back what it applied.
type Withdraw struct {
	Agent    string
	Position bundle.Position
	Reason   string
}

// Adopt makes a published generation the cluster's confirmed one.
type Adopt struct{ Generation Generation }

// Quarantine blames services for a refusal, by id, with the engine's words.
type Quarantine struct{ Services []Blame }

// Blame is one service and the words of the check that refused it.
type Blame struct {
	Service string
	Words   string
}

// Freeze says that the cluster itself is at fault: nothing is published until
// its base changes or is accepted.
type Freeze struct{ Reason string }

// Thaw ends a Freeze.
type Thaw struct{}

// Ask wants the present candidate.
type Ask struct{}

func (Judge) action()      {}
func (Publish) action()    {}
func (Offer) action()      {}
func (Confirm) action()    {}
func (Withdraw) action()   {}
func (Adopt) action()      {}
func (Quarantine) action() {}
func (Freeze) action()     {}
func (Thaw) action()       {}
func (Ask) action()        {}

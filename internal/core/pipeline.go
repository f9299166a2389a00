package core

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"interlock/bundle"
	"interlock/internal/compile"
	"interlock/internal/config"
	"interlock/internal/fleet"
	"interlock/internal/rollout"
	"interlock/internal/swarm"
	"interlock/routing"
)

// facts are what a pipeline is told of the world: its cluster's part of one
// admission. Nothing in them changes after.
type facts struct {
	cluster  config.Cluster
	admitted []swarm.Service
	holding  []swarm.Service
	snapshot swarm.Snapshot
	problems []routing.Problem // of admission
}

// link is an agent's session; *fleet.Session is one.
type link interface {
	ID() string
	Agent() fleet.Agent
	Judge(id string, encoded []byte)
	Offer(b bundle.Signed, confirmWithin time.Duration)
	Confirm(p bundle.Position)
	Withdraw(p bundle.Position, reason string)
}

// Events of a pipeline besides facts.
type (
	linked   struct{ link link }
	unlinked struct{ id string }
	reported struct {
		id     string
		report fleet.Report
	}
	// built is the end of rendering a variant for a judgement.
	built struct {
		judgement, agent string
		content          content
		err              error
	}
	// published is the end of storing a generation.
	published struct {
		record record
		lost   shed
		err    error
	}
	// saved is the end of storing the state.
	saved struct {
		lost    shed
		amended uint64
		err     error
	}
)

// content is a structure before it has a number.
type content struct {
	variant string
	key     string
	table   routing.Table
	present map[string]compile.Labels
	encoded []byte
}

// pipeline is one cluster's. Its fields belong to the goroutine of Run, but for
// the channels and what Status reads.
type pipeline struct {
	slug    string
	cluster config.Cluster // of config.toml; fixed
	options Options
	log     *slog.Logger

	facts chan facts // capacity 1: the latest
	// amendments are of the operator. amendedNow counts them, amendedStored is
	// how many are stored.
	amendments    chan amendment
	amendedNow    uint64
	amendedStored atomic.Uint64
	life          *life

	machine *rollout.Machine
	memory  memory
	records map[bundle.Position]record // confirmed and in flight
	links   map[string]link

	have     bool // facts were given
	now      facts
	compiled compile.Output
	key      string // of compiled.Table
	lastRun  time.Time
	crashed  string
	// storeError is of the last write, "" when it worked.
	storeError string
	// silent are the words of an extension that rendered nothing, "" once it did.
	silent string
	// lost is what the state that was stored last is without.
	lost shed

	// changed and since are when structure last and first changed without
	// having become a candidate; zero when there is nothing to propose.
	changed, since time.Time
	serial         uint64
	wanted         compile.Input   // what compiled came from
	drained        map[string]bool // tasks of proxies that were told to drain
	latest, active attempt
	judging        map[string]content // by judgement, what was sent
	accepted       content            // last accepted candidate's variant

	dirty    bool // memory is not stored
	saving   bool
	saveFrom time.Time

	leadership uint64 // epoch of this core
	loads      int    // failed in a row
	epoch      atomic.Uint64
	status     atomic.Pointer[view]
	counts     counts
}

// attempt is what a candidate was compiled from.
type attempt struct {
	id    uint64
	input compile.Input
}

func newPipeline(c config.Cluster, o Options) *pipeline {
	return &pipeline{
		slug: c.Slug(), cluster: c, options: o, log: o.Log.With("cluster", c.Slug()), now: facts{cluster: c},
		facts: make(chan facts, 1), amendments: make(chan amendment), drained: map[string]bool{},
		records: map[bundle.Position]record{}, links: map[string]link{}, judging: map[string]content{},
	}
}

// give replaces the facts that the pipeline has not taken yet. It is called
// from one goroutine.
func (p *pipeline) give(f facts) { replace(p.facts, f) }

// life is one life of the pipeline as its agents' sessions and its own workers
// see it: what they say to a life that ended is dropped.
type life struct {
	ctx    context.Context
	epoch  *atomic.Uint64
	events chan any
}

func (l *life) post(event any) {
	select {
	case l.events <- event:
	case <-l.ctx.Done():
	}
}

// Epoch of this core's leadership for the cluster.
func (l *life) Epoch() uint64 { return l.epoch.Load() }

// Connected takes a new session.
func (l *life) Connected(s *fleet.Session) { l.post(linked{s}) }

// Reported takes an agent's word.
func (l *life) Reported(s *fleet.Session, r fleet.Report) { l.post(reported{s.ID(), r}) }

// Gone takes the end of a session.
func (l *life) Gone(s *fleet.Session) { l.post(unlinked{s.ID()}) }

// run serves the cluster until ctx ends. After a panic it starts over from what
// is stored: its agents connect anew.
func (p *pipeline) run(ctx context.Context) error {
	pause := time.Second
	for {
		began := time.Now()
		err := p.live(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Since(began) > longLife {
			pause = time.Second
		}
		p.counts.restarts.Add(1)
		p.log.Error("the cluster's pipeline starts over", "error", err, "in", pause)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, time.Minute)
	}
}

// longLife is a life after whose end the pipeline starts over without delay.
const longLife = 5 * time.Minute

// live is one life of the pipeline: load, let agents in, loop.
func (p *pipeline) live(ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
			p.log.Error("panic in the cluster's pipeline", "panic", r, "stack", string(debug.Stack()))
		}
	}()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := p.load(ctx); err != nil {
		return err
	}
	p.life = &life{ctx: ctx, epoch: &p.epoch, events: make(chan any, 256)}
	p.options.Fleet.Add(p.slug, p.life)
	defer p.options.Fleet.Remove(p.slug)
	if p.have {
		p.take(time.Now(), p.now) // what a former life knew
	}
	return p.loop(ctx)
}

// maxLoads lives may fail to load the state alone; after that it counts as
// lost, and is rebuilt from labels and from what agents report.
const maxLoads = 5

// load restores what is stored. A store that does not answer ends this life.
func (p *pipeline) load(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.options.Timing.Work)
	defer cancel()
	generations, err := p.options.Store.LoadGenerations(ctx, p.slug)
	if err != nil && generations == nil && p.loads < maxLoads {
		p.loads++
		return fmt.Errorf("load generations: %w", err)
	}
	state, stateErr := p.options.Store.LoadState(ctx, p.slug)
	if stateErr != nil && state == nil && (err != nil || p.loads < maxLoads) {
		p.loads++
		return fmt.Errorf("load state: %w", stateErr)
	}
	p.loads = 0
	r := restore(state, generations, p.leadership, p.verifyKey(), p.cluster.Name)
	for _, err := range append(r.damaged, err, stateErr) {
		if err != nil {
			p.log.Warn("stored state is left out", "error", err)
		}
	}
	p.reset(r)
	p.log.Info("state loaded", "epoch", r.epoch, "generation", r.memory.Confirmed.Generation, "claims", len(r.memory.Compile.Claims))
	return nil
}

func (p *pipeline) verifyKey() ed25519.PublicKey {
	return p.options.SigningKey.Public().(ed25519.PublicKey)
}

// reset makes r what the pipeline starts from.
func (p *pipeline) reset(r restored) {
	p.memory = r.memory
	p.memory.Origins = nil
	clear(p.records)
	clear(p.links)
	clear(p.judging)
	for _, rec := range append(r.later, r.confirmed) {
		if rec.Key != "" {
			p.records[rec.Position] = rec
		}
	}
	p.machine = rollout.New(rolloutConfig(p.now.cluster), r.machine())
	p.epoch.Store(r.epoch)
	p.key, p.accepted, p.active, p.latest = "", content{}, attempt{}, attempt{}
	p.changed, p.since, p.lastRun = time.Time{}, time.Time{}, time.Time{}
	p.dirty, p.saving = false, false
}

// loop is where one of three things can happen: facts, an event, the time.
func (p *pipeline) loop(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var now time.Time
		select {
		case <-ctx.Done():
			return ctx.Err()
		case f := <-p.facts:
			now = time.Now()
			p.take(now, f)
		case a := <-p.amendments:
			now = time.Now()
			p.amend(now, a)
		case e := <-p.life.events:
			now = time.Now()
			p.handle(now, e)
		case <-timer.C:
			now = time.Now()
			p.step(now, rollout.Tick{})
		}
		p.propose(now)
		p.save(now)
		p.publishStatus(now)
		timer.Reset(p.wait(now))
	}
}

// wait is how long nothing is due.
func (p *pipeline) wait(now time.Time) time.Duration {
	next := now.Add(time.Minute)
	due := func(t time.Time) {
		if t.After(now) && t.Before(next) {
			next = t
		}
	}
	due(p.machine.Next())
	if !p.changed.IsZero() {
		due(p.settled())
	}
	if p.dirty {
		due(p.saveFrom)
	}
	return next.Sub(now)
}

// handle takes one event.
func (p *pipeline) handle(now time.Time, event any) {
	switch e := event.(type) {
	case linked:
		p.connected(now, e.link)
	case unlinked:
		delete(p.links, e.id)
		p.step(now, rollout.Gone{Agent: e.id})
	case reported:
		p.reported(now, e.id, e.report)
	case built:
		p.built(now, e)
	case published:
		p.published(now, e)
	case saved:
		p.savedState(now, e)
	}
}

// connected takes up an agent.
func (p *pipeline) connected(now time.Time, l link) {
	a := l.Agent()
	p.links[l.ID()] = l
	agent := rollout.Agent{ID: l.ID(), Name: a.Proxy, Draining: a.Draining}
	if err := p.proved(a); err == nil {
		agent.Confirmed, agent.Digest = a.Confirmed, a.ConfirmedDigest
	} else {
		agent.Doubt = fmt.Sprintf("it says that it confirmed %d-%d and can't prove it", a.Confirmed.Epoch, a.Confirmed.Generation)
		p.log.Warn("an agent counts as empty", "session", l.ID(), "proxy", a.Proxy, "confirmed", a.Confirmed, "error", err)
	}
	p.step(now, rollout.Connected{Agent: agent})
}

// proved checks that we signed what the agent says that it confirmed. Else one
// proxy that was broken into could name a number past all that are left to us.
func (p *pipeline) proved(a fleet.Agent) error {
	if a.Confirmed == (bundle.Position{}) {
		return nil
	}
	claim := bundle.Signed{Cluster: p.cluster.Name, Position: a.Confirmed, Digest: a.ConfirmedDigest, Signature: a.ConfirmedSignature}
	return claim.VerifyClaim(p.verifyKey(), p.cluster.Name)
}

// drain tells proxies whose task is meant to stop: seconds before the signal.
func (p *pipeline) drain(now time.Time) {
	drained := map[string]bool{}
	for _, t := range proxyTasks(p.now.cluster, p.now.snapshot) {
		if t.State == swarm.TaskRunning && t.Desired != swarm.TaskRunning {
			if drained[t.ID] = true; !p.drained[t.ID] {
				p.drainTask(now, t.ID)
			}
		}
	}
	p.drained = drained
}

func (p *pipeline) drainTask(now time.Time, task string) {
	p.log.Info("a proxy's task is about to be stopped", "task", task)
	p.options.Fleet.Drain(p.slug, task, "the task is about to be stopped")
	for id, l := range p.links {
		if l.Agent().Task == task {
			p.step(now, rollout.Draining{Agent: id})
		}
	}
}

func (p *pipeline) reported(now time.Time, id string, r fleet.Report) {
	p.log.Info("agent reports", "session", id, "phase", r.Phase, "generation", r.Position.Generation, "judgement", r.ID, "message", r.Message)
	if r.ID == "" {
		p.step(now, rollout.Report{Agent: id, Position: r.Position, Phase: rollout.Phase(r.Phase), Words: r.Message})
		return
	}
	c, ok := p.judging[r.ID]
	if !ok {
		return
	}
	delete(p.judging, r.ID)
	if r.Phase == fleet.Accepted && c.variant != "" {
		p.accepted = c
	}
	if r.Phase == fleet.Refused {
		p.counts.refusals.Add(1)
	}
	p.step(now, rollout.Verdict{ID: r.ID, Phase: rollout.Phase(r.Phase), Words: r.Message, Key: c.key})
}

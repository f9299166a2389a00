package core

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"interlock/bundle"
	"interlock/extension"
	"interlock/internal/compile"
	"interlock/internal/label"
	"interlock/internal/rollout"
	"interlock/internal/store"
	"interlock/internal/swarm"
)

// step gives the machine an event and carries out what it wants. Whatever
// leaves the process is done elsewhere and comes back as an event.
func (p *pipeline) step(now time.Time, ev rollout.Event) {
	for _, a := range p.machine.Step(now, ev) {
		p.act(now, a)
	}
}

func (p *pipeline) act(now time.Time, a rollout.Action) {
	switch a := a.(type) {
	case rollout.Judge:
		p.counts.judgements.Add(1)
		p.judge(a)
	case rollout.Publish:
		p.publish(now, a)
	case rollout.Offer:
		p.withLink(a.Agent, func(l link) { l.Offer(p.records[a.Position].signed, a.ConfirmWithin) })
	case rollout.Confirm:
		p.withLink(a.Agent, func(l link) { l.Confirm(a.Position) })
	case rollout.Withdraw:
		p.withLink(a.Agent, func(l link) { l.Withdraw(a.Position, a.Reason) })
	case rollout.Adopt:
		p.adopt(now, a.Generation)
	case rollout.Quarantine:
		p.quarantine(now, a.Services)
	case rollout.Freeze:
		p.log.Error("the cluster's own structure is refused: frozen", "words", a.Reason)
	case rollout.Thaw:
		p.log.Info("the cluster is no longer frozen")
	case rollout.Ask:
		p.candidate(now)
	}
}

func (p *pipeline) withLink(id string, do func(link)) {
	if l := p.links[id]; l != nil {
		do(l)
	}
}

// judge builds what is to be judged, away from the loop.
func (p *pipeline) judge(a rollout.Judge) {
	if a.Variant.Kind == rollout.ConfirmedOne {
		rec := p.records[p.machine.View().Confirmed.Position]
		p.built(time.Now(), built{judgement: a.ID, agent: a.Agent, content: content{key: rec.Key, encoded: rec.signed.Encoded}})
		return
	}
	if p.latest.id == a.Candidate {
		p.active = p.latest
	}
	in := variantInput(p.active.input, a.Variant)
	name := ""
	if a.Variant.Kind == rollout.Partial {
		name = variantName(a.Candidate, a.Variant)
	}
	life := p.life
	go func() {
		ctx, cancel := context.WithTimeout(life.ctx, p.options.Timing.Work)
		defer cancel()
		c, err := build(ctx, p.options.Renderer, in)
		c.variant = name
		life.post(built{judgement: a.ID, agent: a.Agent, content: c, err: err})
	}()
}

// variantInput is the input that compiles to a variant of in.
func variantInput(in compile.Input, v rollout.Variant) compile.Input {
	if v.Kind == rollout.BaseOnly {
		in.Admitted, in.Holding, in.State = nil, nil, compile.State{}
		return in
	}
	in.Hold = make(map[string]bool, len(v.Hold))
	for _, id := range v.Hold {
		in.Hold[id] = true
	}
	return in
}

func variantName(candidate uint64, v rollout.Variant) string {
	return fmt.Sprintf("%d %s", candidate, strings.Join(v.Hold, " "))
}

// build compiles and renders. Its error is an *extension.Refusal when the
// content is at fault.
func build(ctx context.Context, r Renderer, in compile.Input) (content, error) {
	out, err := compileSafely(in)
	if err != nil {
		return content{}, err
	}
	c := content{key: keyOf(in.Cluster.Engine, out.Table), table: out.Table, present: out.Present}
	b, err := r.Render(ctx, in.Cluster, out.Table)
	if err != nil {
		return c, err
	}
	if b.Cluster != in.Cluster.Name || b.Engine != in.Cluster.Engine {
		return c, fmt.Errorf("the extension rendered for cluster %.40q and engine %.40q", b.Cluster, b.Engine)
	}
	c.encoded, err = bundle.Encode(b)
	if err != nil {
		return c, &extension.Refusal{Words: err.Error()}
	}
	// What can't be stored can't be published: the services that make it so
	// large are found like those that an engine refuses.
	if err := store.Fits(c.encoded); errors.Is(err, store.ErrTooLarge) {
		return c, &extension.Refusal{Words: "the configuration would exceed the store's 250 kB"}
	}
	return c, nil
}

// built sends what was built to the judge, or is the verdict itself.
func (p *pipeline) built(now time.Time, e built) {
	if e.err == nil {
		p.silent = ""
		clear(p.judging) // one judgement is outstanding at a time
		p.judging[e.judgement] = e.content
		p.withLink(e.agent, func(l link) { l.Judge(e.judgement, e.content.encoded) })
		return
	}
	v := rollout.Verdict{ID: e.judgement, Phase: rollout.Unknown, Words: e.err.Error(), Key: e.content.key}
	var refusal *extension.Refusal
	if p.silent = e.err.Error(); errors.As(e.err, &refusal) {
		v.Phase, v.Words = rollout.Refused, refusal.Words
		p.silent = ""
	}
	p.log.Warn("the extension rendered nothing", "judgement", e.judgement, "verdict", v.Phase, "error", e.err)
	p.step(now, v)
}

// publish signs and stores: durable first, offered second.
func (p *pipeline) publish(now time.Time, a rollout.Publish) {
	rec, err := p.record(a)
	if err != nil {
		p.step(now, rollout.PublishFailed{Position: a.Position, Words: err.Error()})
		return
	}
	records := maps.Clone(p.records)
	records[rec.Position] = rec
	state := p.memory.with(records)
	p.dirty = false
	life := p.life
	go func() {
		work, cancel := context.WithTimeout(life.ctx, p.options.Timing.Work)
		defer cancel()
		lost, err := persist(work, p.options.Store, p.slug, state, rec.signed)
		life.post(published{rec, lost, err})
	}()
}

// record is the generation that a wants, from what was judged good.
func (p *pipeline) record(a rollout.Publish) (record, error) {
	c := p.accepted
	if a.Variant.Kind == rollout.ConfirmedOne {
		rec := p.records[p.machine.View().Confirmed.Position]
		c = content{key: rec.Key, table: rec.Table, present: rec.Present, encoded: rec.signed.Encoded}
	} else if c.variant != variantName(a.Candidate, a.Variant) {
		return record{}, errors.New("what is to be published is not what was judged last")
	}
	signed := bundle.Sign(p.options.SigningKey, p.now.cluster.Name, a.Position, c.encoded)
	present := unsaid(c.present, p.memory.Compile.Good)
	return record{origin{Position: a.Position, Key: c.key, Table: c.table, Present: present}, signed}, nil
}

func (p *pipeline) published(now time.Time, e published) {
	at := e.record.Position
	if e.err != nil {
		p.dirty = true
		p.storeError = e.err.Error()
		p.log.Error("a generation could not be stored", "generation", at.Generation, "error", e.err)
		p.step(now, rollout.PublishFailed{Position: at, Words: e.err.Error(), Taken: errors.Is(e.err, store.ErrTaken)})
		return
	}
	p.stored(e.lost)
	p.counts.published.Add(1)
	p.records[at] = e.record
	p.boundRecords()
	p.log.Info("published", "epoch", at.Epoch, "generation", at.Generation, "routes", len(e.record.Table.Routes), "digest", e.record.signed.Digest)
	p.refreshEndpoints()
	p.step(now, rollout.Published{Position: at, Digest: e.record.signed.Digest})
}

// maxRecords bounds what is kept of generations that nobody confirmed.
const maxRecords = 10

// boundRecords forgets the oldest generations beside the confirmed one.
func (p *pipeline) boundRecords() {
	positions := slices.SortedFunc(maps.Keys(p.records), func(a, b bundle.Position) int {
		if a.Less(b) {
			return -1
		}
		return 1
	})
	for _, at := range positions[:max(0, len(positions)-maxRecords)] {
		if at != p.memory.Confirmed {
			delete(p.records, at)
		}
	}
}

// adopt makes a generation the cluster's: what it was made of becomes the last
// known good of its services.
func (p *pipeline) adopt(now time.Time, g rollout.Generation) {
	rec := p.records[g.Position]
	for at := range p.records {
		if at != g.Position {
			delete(p.records, at)
		}
	}
	p.counts.confirmed.Add(1)
	p.memory.Confirmed = g.Position
	p.memory.Compile = compile.Confirm(p.memory.Compile, rec.Present)
	p.dirty, p.saveFrom = true, now
	p.log.Info("confirmed", "epoch", g.Position.Epoch, "generation", g.Position.Generation)
	if p.have && p.now.cluster.Unusable == "" {
		p.compile(now)
	}
}

// quarantine blames services: their present labels count no more until they
// change.
func (p *pipeline) quarantine(now time.Time, blames []rollout.Blame) {
	q := maps.Clone(p.memory.Compile.Quarantine)
	if q == nil {
		q = map[string]compile.Quarantine{}
	}
	for _, b := range blames {
		p.counts.quarantined.Add(1)
		s := p.blamed(b.Service)
		p.log.Warn("quarantined", "service", s.Name, "id", b.Service, "words", b.Words)
		q[b.Service] = compile.Quarantine{Digest: label.Digest(s.Labels), Message: b.Words}
	}
	p.memory.Compile.Quarantine = q
	p.dirty, p.saveFrom = true, now
	p.compile(now)
}

// save stores the state when it is due and nothing else is being stored.
func (p *pipeline) save(now time.Time) {
	if !p.dirty || p.saving || now.Before(p.saveFrom) || p.machine.View().State == rollout.Publishing {
		return
	}
	state, amended := p.memory.with(p.records), p.amendedNow
	p.dirty, p.saving = false, true
	p.saveFrom = now.Add(saveInterval)
	life := p.life
	go func() {
		work, cancel := context.WithTimeout(life.ctx, p.options.Timing.Work)
		defer cancel()
		lost, err := saveState(work, p.options.Store, p.slug, state)
		life.post(saved{lost, amended, err})
	}()
}

// saveInterval is the least time between two writes of the state alone: the
// Swarm's store is everybody's.
const saveInterval = 5 * time.Second

func (p *pipeline) savedState(now time.Time, e saved) {
	p.saving = false
	if e.err != nil {
		p.dirty, p.saveFrom = true, now.Add(saveInterval)
		p.storeError = e.err.Error()
		p.log.Error("the state could not be stored", "error", e.err)
		return
	}
	p.amendedStored.Store(e.amended)
	p.stored(e.lost)
}

// stored takes note of a write that worked, and of what it was without.
func (p *pipeline) stored(lost shed) {
	if len(lost.good)+lost.claims > 0 && (len(lost.good) != len(p.lost.good) || lost.claims != p.lost.claims) {
		p.log.Warn("the stored state is incomplete: it would be too large", "services", len(lost.good), "claims", lost.claims)
	}
	p.storeError, p.lost = "", lost
}

// refreshEndpoints sends the endpoints of what is served now.
func (p *pipeline) refreshEndpoints() {
	if p.have && !p.lastRun.IsZero() {
		p.options.Fleet.SetEndpoints(p.slug, p.endpoints(p.compiled))
	}
}

// blamed is a service as it was in the candidate that was taken apart.
func (p *pipeline) blamed(id string) swarm.Service {
	for _, list := range [][]swarm.Service{p.active.input.Admitted, p.active.input.Holding} {
		for _, s := range list {
			if s.ID == id {
				return s
			}
		}
	}
	return swarm.Service{}
}

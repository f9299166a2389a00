package core

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"interlock/bundle"
	"interlock/internal/compile"
	"interlock/internal/rollout"
	"interlock/routing"
)

// memory is what a cluster's state object holds.
type memory struct {
	Schema int `json:"schema"`
	// Confirmed is the place of the confirmed generation, zero when there is none.
	Confirmed bundle.Position `json:"confirmed"`
	Compile   compile.State   `json:"compile"`
	// Origins tell of the generations that matter now (the confirmed one, one
	// in flight) what their bundles do not.
	Origins []origin `json:"origins,omitempty"`
}

// origin is what a generation came from.
type origin struct {
	Position bundle.Position `json:"position"`
	Key      string          `json:"key"`
	// Table is empty when it was too large to be kept: then every service
	// counts as changed.
	Table routing.Table `json:"table"`
	// Present are the labels that become last known good when the generation
	// is confirmed, as far as they were not before.
	Present map[string]compile.Labels `json:"present,omitempty"`
}

// record is one published generation: all that is needed to offer it again and
// to compare with it.
type record struct {
	origin
	signed bundle.Signed
}

const schema = 1

func (r record) generation() rollout.Generation {
	return rollout.Generation{Position: r.signed.Position, Key: r.Key, Digest: r.signed.Digest}
}

// with is the state that is stored beside these records.
func (m memory) with(records map[bundle.Position]record) memory {
	m.Schema, m.Origins = schema, nil
	for _, r := range records {
		m.Origins = append(m.Origins, r.origin)
	}
	return m
}

func (m memory) encode() ([]byte, error) {
	data, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode state: %w", err)
	}
	return data, nil
}

// keyOf names a structure before it is rendered.
func keyOf(engine string, t routing.Table) string { return hash(engine, t) }

// baseKey names the operator's part of a structure.
func baseKey(engine string, b routing.Base) string { return hash(engine, b) }

// hash encodes plain values of ours, which can't fail.
func hash(engine string, v any) string {
	data, _ := json.Marshal(v)
	sum := sha256.Sum256(append([]byte(engine+"\n"), data...))
	return hex.EncodeToString(sum[:16])
}

// unsaid are the labels of present that are not last known good already.
func unsaid(present map[string]compile.Labels, good map[string]compile.Labels) map[string]compile.Labels {
	out := map[string]compile.Labels{}
	for id, l := range present {
		if good[id].Digest != l.Digest {
			out[id] = l
		}
	}
	return out
}

// restored is a cluster's stored state as the machine and the pipeline need it.
type restored struct {
	memory    memory
	confirmed record // zero Key when there is none
	later     []record
	epoch     uint64
	// damaged are things that could not be read: they are said and left out.
	damaged []error
}

// restore reads what was stored; generations are newest first. It never fails:
// what is lost is rebuilt from labels and from what agents report. epoch is
// that of this leadership. A generation that key did not sign for the cluster
// does not count: core would sign its content anew when it publishes it again.
func restore(state []byte, generations []bundle.Signed, epoch uint64, key ed25519.PublicKey, cluster string) restored {
	r := restored{epoch: epoch}
	if len(state) > 0 {
		if err := json.Unmarshal(state, &r.memory); err != nil || r.memory.Schema != schema {
			r.damaged = append(r.damaged, fmt.Errorf("decode state of schema %d: %w", r.memory.Schema, err))
			r.memory = memory{}
		}
	}
	r.epoch = max(r.epoch, r.memory.Confirmed.Epoch+1)
	origins := map[bundle.Position]origin{}
	for _, o := range r.memory.Origins {
		origins[o.Position] = o
	}
	for i := len(generations) - 1; i >= 0; i-- {
		signed := generations[i]
		if err := signed.Verify(key, cluster); err != nil {
			r.damaged = append(r.damaged, fmt.Errorf("generation %d: %w", signed.Position.Generation, err))
			continue
		}
		rec := record{origins[signed.Position], signed}
		rec.Position = signed.Position
		if rec.Key == "" {
			rec.Key = signed.Digest
		}
		r.take(rec)
	}
	return r
}

func (r *restored) take(rec record) {
	at := rec.Position
	r.epoch = max(r.epoch, at.Epoch+1)
	switch {
	case at == r.memory.Confirmed:
		r.confirmed = rec
	case r.memory.Confirmed.Less(at):
		r.later = append(r.later, rec)
	}
}

// machine is what rollout.New needs of it.
func (r restored) machine() rollout.Restored {
	m := rollout.Restored{Epoch: r.epoch, Confirmed: rollout.Generation{Position: r.memory.Confirmed}}
	if r.confirmed.Key != "" {
		m.Confirmed = r.confirmed.generation()
	}
	for _, rec := range r.later {
		m.Later = append(m.Later, rec.generation())
	}
	return m
}

package core

import (
	"encoding/json"
	"testing"
	"time"

	"interlock/bundle"
	"interlock/internal/identity"
	"interlock/internal/rollout"
	"interlock/internal/store"
)

// TestForeignGenerationIsNotSigned: what another key signed is not restored, so
// that core can't come to publish it under its own signature.
func TestForeignGenerationIsNotSigned(t *testing.T) {
	w := newWorld(t)
	other, err := identity.NewCore(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	evil, err := bundle.Encode(bundle.Bundle{Cluster: "dev", Engine: bundle.Embedded, Files: []bundle.File{{Path: "table.json", Data: "evil"}}})
	if err != nil {
		t.Fatal(err)
	}
	at := bundle.Position{Epoch: 1, Generation: 999}
	state, err := json.Marshal(memory{Schema: schema, Confirmed: at})
	if err != nil {
		t.Fatal(err)
	}
	key := w.identity.SigningKey()
	for name, forged := range map[string]bundle.Signed{
		"by another key":      bundle.Sign(other.SigningKey(), "dev", at, evil),
		"for another cluster": bundle.Sign(key, "prod", at, evil),
		"of other content":    {Cluster: "dev", Position: at, Digest: bundle.Digest(nil), Signature: bundle.Sign(key, "dev", at, nil).Signature, Encoded: evil},
	} {
		r := restore(state, []bundle.Signed{forged}, 8, w.identity.VerifyKey(), "dev")
		if r.confirmed.Key != "" || len(r.later) != 0 || len(r.damaged) != 1 {
			t.Errorf("%s: restored %+v", name, r)
		}
		m := rollout.New(rollout.Config{}, r.machine())
		ahead := rollout.Agent{ID: "honest", Confirmed: bundle.Position{Epoch: 7, Generation: 1000}, Digest: "d"}
		for _, a := range m.Step(testNow, rollout.Connected{Agent: ahead}) {
			if p, ok := a.(rollout.Publish); ok {
				t.Errorf("%s: published at %v", name, p.Position)
			}
		}
	}
}

// TestForeignStateAtStart: a config that only looks like state changes nothing
// of what a new core begins with, is said, and stays.
func TestForeignStateAtStart(t *testing.T) {
	w := newWorld(t)
	b := &store.Memory{}
	w.store = store.New(b, w.identity.SigningKey(), w.log)
	w.start()
	dev := w.agent("dev", "dev.1", nil)
	w.give(snapshot(web))
	w.until("first generation", w.confirmed("dev", 1))
	w.until("the state is stored", w.stored(`"confirmed":{"epoch":1,"generation":1}`))
	w.stop()
	dev.stop()
	labels := map[string]string{store.SlugLabel: "dev", "com.docker.interlock.size": "999999999"}
	for _, name := range []string{"il.dev.state.99", "il.dev.g99", "il.epoch.18446744073709551615", "il.dev.g2"} {
		if _, err := b.CreateConfig(t.Context(), name, labels, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	w.store = store.New(b, w.identity.SigningKey(), w.log)
	w.start()
	dev.connect()
	blog := app{name: "blog", collection: "/dev", host: "blog.example.com", port: "81", address: "10.0.0.3"}
	w.give(snapshot(web, blog))
	w.until("it goes on", dev.serves("blog.example.com", "10.0.0.3:81"))
	w.until("past the name that is taken", w.confirmed("dev", 3))
	w.until("it is said", w.problem("store-foreign", ""))
}

package core

import (
	"strings"
	"testing"
	"time"

	"interlock/bundle"
	"interlock/internal/identity"
	fleetv1 "interlock/proto/fleet/v1"
)

// TestUnprovedPositionIsNotBelieved: what an agent says that it confirmed
// counts when we signed it. A proxy that was broken into would otherwise use up
// the cluster's numbers.
func TestUnprovedPositionIsNotBelieved(t *testing.T) {
	other, err := identity.NewCore(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	second := app{name: "second", collection: "/dev", host: "second.example.com", port: "80", address: "10.0.0.9"}
	far := bundle.Position{Epoch: 1 << 40, Generation: 1 << 61}
	w := newWorld(t)
	prod := bundle.Sign(w.identity.SigningKey(), "prod", far, nil)
	for name, signature := range map[string][]byte{
		"nothing":             nil,
		"another core's":      bundle.Sign(other.SigningKey(), "dev", far, nil).Signature,
		"of another cluster":  prod.Signature,
		"of another position": bundle.Sign(w.identity.SigningKey(), "dev", bundle.Position{Epoch: 1, Generation: 1}, nil).Signature,
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{t: t, identity: w.identity, log: w.log, config: w.config}
			w.store = w.emptyStore()
			w.start()
			w.agent("dev", "dev.1", nil)
			w.give(snapshot(web))
			w.until("first generation", w.confirmed("dev", 1))
			liar := &agent{w: w, slug: "dev", id: "dev.2", confirmed: &fleetv1.Signed{
				Position: &fleetv1.Position{Epoch: far.Epoch, Generation: far.Generation}, Digest: prod.Digest, Signature: signature,
			}}
			liar.connect()
			w.until("the liar is told on", func() bool {
				for _, p := range w.cluster("dev").Proxies {
					if p.Name == "dev.2" && strings.Contains(p.Message, "confirmed") {
						return true
					}
				}
				return false
			})
			w.give(snapshot(web, second))
			w.until("the next generation", func() bool { return w.cluster("dev").Generation == bundle.Position{Epoch: 1, Generation: 2} })
		})
	}
}

// TestProof: what we signed is believed.
func TestProof(t *testing.T) {
	at := bundle.Position{Epoch: 9, Generation: 40}
	w := newWorld(t)
	w.start()
	signed := bundle.Sign(w.identity.SigningKey(), "dev", at, nil)
	a := &agent{w: w, slug: "dev", id: "dev.1", confirmed: &fleetv1.Signed{
		Position: &fleetv1.Position{Epoch: at.Epoch, Generation: at.Generation}, Digest: signed.Digest, Signature: signed.Signature,
	}}
	a.connect()
	w.give(snapshot(web))
	w.until("a generation past it", func() bool { return w.cluster("dev").Generation == bundle.Position{Epoch: 10, Generation: 41} })
}

package core

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"interlock/bundle"
	"interlock/internal/compile"
	"interlock/internal/policy"
	"interlock/internal/problems"
	"interlock/routing"
)

// noise is text that hardly compresses.
type noise struct{ *rand.Rand }

func newNoise() noise { return noise{rand.New(rand.NewPCG(1, 2))} }

func (n noise) text(length int) string {
	var b strings.Builder
	for range length {
		b.WriteByte("abcdefghijklmnopqrstuvwxyz0123456789"[n.IntN(36)])
	}
	return b.String()
}

// host is a name of nearly the greatest length.
func (n noise) host() string {
	return strings.Join([]string{n.text(60), n.text(60), n.text(60), n.text(50), "example.com"}, ".")
}

// TestTooLargeConfiguration: a change that makes the configuration larger than
// what can be stored costs only the services of the change that do not fit.
func TestTooLargeConfiguration(t *testing.T) {
	w := newWorld(t)
	padding := newNoise().text(900_000)
	w.renderer.pad = func(t routing.Table) string {
		huge := 0
		for _, r := range t.Routes {
			if strings.HasPrefix(r.Host, "huge") {
				huge++
			}
		}
		return padding[:huge*150_000]
	}
	w.start()
	dev := w.agent("dev", "dev.1", nil)
	w.give(snapshot(web))
	w.until("first generation", w.confirmed("dev", 1))
	apps := []app{web, {name: "small", collection: "/dev", host: "small.example.com", port: "80", address: "10.0.0.5"}}
	for i := range 4 {
		name := fmt.Sprint("huge", i)
		apps = append(apps, app{name: name, collection: "/dev", host: name + ".example.com", port: "80", address: fmt.Sprint("10.0.2.", i)})
	}
	w.give(snapshot(apps...))
	w.until("what fits is live", w.confirmed("dev", 2))
	blamed := 0
	for _, p := range w.core.Problems() {
		if p.Code == problems.QuarantinedByEngine && strings.Contains(p.Message, "would exceed the store's 250 kB") {
			blamed++
			if !strings.HasPrefix(p.Service, "huge") {
				t.Errorf("%s is blamed", p.Service)
			}
		}
	}
	if blamed != 2 {
		t.Errorf("%d of 4 services are blamed, 2 fit", blamed)
	}
	for host, target := range map[string]string{"web.example.com": "10.0.0.2:80", "small.example.com": "10.0.0.5:80"} {
		w.until(host+" is served", dev.serves(host, target))
	}
}

// TestIncompleteStateIsSaid, with the names of those who would lose something.
func TestIncompleteStateIsSaid(t *testing.T) {
	v := &view{lost: shed{good: []string{"svc-web"}, claims: 3}, snapshot: snapshot(web)}
	said := slices.ContainsFunc(v.problems(), func(p routing.Problem) bool {
		return p.Code == problems.StateTooLarge && strings.Contains(p.Message, `1 services ["web"] and 3 claims`)
	})
	if !said {
		t.Error(v.problems())
	}
}

// largeMemory is a state with n services of which every tenth has large labels.
func largeMemory(n int) memory {
	random := newNoise()
	labels := func(size int) compile.Labels {
		return compile.Labels{Digest: random.text(8), Labels: map[string]string{"com.docker.lb.hosts": random.text(size)}}
	}
	m := memory{Schema: schema, Confirmed: bundle.Position{Epoch: 1, Generation: 1}}
	m.Compile.Good = map[string]compile.Labels{}
	for i := range n {
		id := fmt.Sprintf("small%03d", i)
		size := 40
		if i%10 == 0 {
			id, size = fmt.Sprintf("large%03d", i), 8000
		}
		m.Compile.Good[id] = labels(size)
		m.Compile.Claims = append(m.Compile.Claims, policy.Claim{Host: id + ".example.com", Path: "/", Service: id})
	}
	m.Origins = []origin{{Position: m.Confirmed, Key: "k", Present: map[string]compile.Labels{"large000": labels(8000)},
		Table: routing.Table{Routes: []routing.Route{{Host: random.text(100)}}}}}
	return m
}

func (w *world) storedMemory() memory {
	w.t.Helper()
	data, err := w.store.LoadState(w.t.Context(), "dev")
	if err != nil {
		w.t.Fatal(err)
	}
	var m memory
	if err := json.Unmarshal(data, &m); err != nil {
		w.t.Fatal(err)
	}
	return m
}

// TestTooLargeStateDropsTheLargest: the labels of most services and all claims
// stay, what is dropped is named, and what is in memory is as it was.
func TestTooLargeStateDropsTheLargest(t *testing.T) {
	w := newWorld(t)
	m := largeMemory(600)
	before, err := m.encode()
	if err != nil {
		t.Fatal(err)
	}
	lost, err := saveState(t.Context(), w.store, "dev", m)
	if err != nil {
		t.Fatal(err)
	}
	if len(lost.good) == 0 || lost.claims != 0 || slices.ContainsFunc(lost.good, func(id string) bool { return !strings.HasPrefix(id, "large") }) {
		t.Errorf("without %+v", lost)
	}
	stored := w.storedMemory()
	want := maps.Clone(m.Compile.Good)
	for _, id := range lost.good {
		delete(want, id)
	}
	if d := cmp.Diff(want, stored.Compile.Good); d != "" {
		t.Error(d)
	}
	if len(stored.Compile.Claims) != 600 || stored.Confirmed != m.Confirmed || len(stored.Origins) != 1 || stored.Origins[0].Key != "k" {
		t.Errorf("%d claims, confirmed %v, origins %+v", len(stored.Compile.Claims), stored.Confirmed, stored.Origins)
	}
	after, err := m.encode()
	if err != nil || string(after) != string(before) {
		t.Error("the state in memory was changed", err)
	}
}

// TestTooManyClaims: the oldest that are asked for are stored.
func TestTooManyClaims(t *testing.T) {
	w := newWorld(t)
	random, m := newNoise(), memory{Schema: schema}
	for i := range 3000 {
		m.Compile.Claims = append(m.Compile.Claims, policy.Claim{
			Host: random.host(), Path: "/", Service: "s", Since: testNow.Add(time.Duration(i) * time.Second), Idle: time.Duration(i % 2),
		})
	}
	lost, err := saveState(t.Context(), w.store, "dev", m)
	if err != nil {
		t.Fatal(err)
	}
	stored := w.storedMemory().Compile.Claims
	if len(stored)+lost.claims != 3000 || len(stored) < 700 || stored[0].Host != m.Compile.Claims[0].Host {
		t.Errorf("%d claims stored, without %d", len(stored), lost.claims)
	}
	if slices.ContainsFunc(stored, func(c policy.Claim) bool { return c.Idle > 0 }) {
		t.Error("an idle claim is stored and one that is asked for is not")
	}
}

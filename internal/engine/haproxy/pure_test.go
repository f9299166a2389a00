package haproxy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"interlock/bundle"
	"interlock/routing"
)

// TestStepsLeadThere: whatever a worker has, the steps lead to what it should
// have, and touch nobody else's servers.
func TestStepsLeadThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		section := rapid.SampledFrom([]string{"be_a", "be_b"})
		name := rapid.SampledFrom([]string{"e_1", "e_2", "e_3", "operator"})
		have := map[string]server{}
		for range rapid.IntRange(0, 8).Draw(t, "have") {
			s := server{section: section.Draw(t, "section"), name: name.Draw(t, "name"), maint: rapid.Bool().Draw(t, "maint")}
			have[s.key()] = s
		}
		want := map[string][]server{}
		for _, sec := range []string{"be_a", "be_b"} {
			for _, n := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"e_1", "e_2", "e_3"}), rapid.ID).Draw(t, "want "+sec) {
				want[sec] = append(want[sec], server{section: sec, name: n})
			}
		}
		s := stepsTo(want, have)
		after := map[string]bool{}
		for key, h := range have {
			if !h.maint {
				after[key] = true
			}
		}
		for _, x := range append(s.add, s.enable...) {
			after[x.key()] = true
		}
		for _, x := range s.remove {
			if !strings.HasPrefix(x.name, "e_") {
				t.Fatalf("%s is not ours", x.key())
			}
			delete(after, x.key())
		}
		for sec, list := range want {
			for _, w := range list {
				if !after[w.key()] {
					t.Fatalf("%s in %s is missing", w.key(), sec)
				}
				delete(after, w.key())
			}
		}
		for key := range after {
			if !strings.HasSuffix(key, "/operator") {
				t.Fatalf("%s is still used", key)
			}
		}
	})
}

func TestWithServers(t *testing.T) {
	b := bundle.Bundle{Backends: []bundle.Backend{
		{ID: "x", Sections: []string{"be_x", "pool"}, Server: "check"},
		{ID: "y", Sections: []string{"pool"}},
	}}
	sections, problems := wanted(b, routing.Endpoints{
		"x": {{Address: "10.0.0.2", Port: 80}, {Address: "10.0.0.1", Port: 80}},
		"y": {{Address: "10.0.0.1", Port: 80}, {Address: "fd00::1", Port: 81}, {Address: "web", Port: 80}, {Address: "10.0.0.9", Port: 0}},
		"z": {{Address: "10.0.0.3", Port: 80}},
	})
	got := withServers("backend be_x\n  # endpoints be_x\nbackend pool\n  # endpoints pool\nbackend empty\n  # endpoints empty\n", sections)
	want := `backend be_x
  server e_10_0_0_1_80 10.0.0.1:80 check
  server e_10_0_0_2_80 10.0.0.2:80 check
backend pool
  server e_10_0_0_1_80 10.0.0.1:80 check
  server e_10_0_0_2_80 10.0.0.2:80 check
  server e_fd00--1_81 [fd00::1]:81
backend empty
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(problems) != 2 {
		t.Errorf("problems: %v", problems)
	}
}

// FuzzEndpoint: no address, whatever it says, becomes more than one server
// line of plain words.
func FuzzEndpoint(f *testing.F) {
	f.Add("10.0.0.1", 80)
	f.Add("fd00::1%eth0\n", 80)
	f.Add("10.0.0.1 backup", 70000)
	f.Fuzz(func(t *testing.T, address string, port int) {
		s, err := newServer("be_x", bundle.Backend{ID: "x", Server: "check inter 2s"}, routing.Endpoint{Address: address, Port: port})
		if err != nil {
			return
		}
		if strings.ContainsAny(s.line(), "\n\"'\\#") || len(strings.Fields(s.line())) != 6 {
			t.Errorf("%q", s.line())
		}
		if _, err := command([]string{"add", "server", s.key(), s.address}); err != nil {
			t.Error(err)
		}
	})
}

// FuzzAccept: our judgement never panics, whatever a renderer sends.
func FuzzAccept(f *testing.F) {
	f.Add(minimal, "a.test be_a\n")
	f.Fuzz(func(_ *testing.T, config, hosts string) {
		_ = accept(bundle.Bundle{Files: []bundle.File{{Path: mainFile, Data: config}, {Path: "hosts.map", Data: hosts}}})
	})
}

// BenchmarkWithServers is the text of 10,000 services with three tasks each:
// what every change of an endpoint rewrites.
func BenchmarkWithServers(b *testing.B) {
	var config strings.Builder
	var bu bundle.Bundle
	eps := routing.Endpoints{}
	for i := range 10000 {
		id := fmt.Sprintf("be_%d", i)
		fmt.Fprintf(&config, "backend %s\n  balance roundrobin\n  # endpoints %s\n", id, id)
		bu.Backends = append(bu.Backends, bundle.Backend{ID: id, Sections: []string{id}, Server: "check inter 2s fall 2 rise 1"})
		for k := range 3 {
			eps[id] = append(eps[id], routing.Endpoint{Address: fmt.Sprintf("10.%d.%d.%d", i/250, i%250, k), Port: 80})
		}
	}
	text := config.String()
	for b.Loop() {
		sections, _ := wanted(bu, eps)
		_ = withServers(text, sections)
	}
}

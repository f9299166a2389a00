package embedded_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"interlock/bundle"
	"interlock/extension/embedded"
	"interlock/routing"
)

func table() routing.Table {
	return routing.Table{
		Cluster:  "dev",
		Base:     routing.Base{HTTPPort: 80, HealthPort: 8404},
		Routes:   []routing.Route{{Host: "a.org", Path: "/", Backends: []string{"be_a"}}, {Host: "b.org", Path: "/b", Rewrite: true, Backends: []string{"be_b"}}},
		Backends: []routing.Backend{{ID: "be_a", Service: "shop_web", Port: 8080, Network: "shop"}, {ID: "be_b", Service: "b", Port: 80, Mode: routing.ModeVIP}},
	}
}

func TestRenderAndRead(t *testing.T) {
	b, err := embedded.Render(table())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bundle.Encode(b); err != nil {
		t.Errorf("Encode: %v", err)
	}
	back, err := embedded.Table(b)
	if diff := cmp.Diff(table(), back); err != nil || diff != "" {
		t.Errorf("Table: %v (-want +got):\n%s", err, diff)
	}
	want := []bundle.Backend{
		{ID: "be_a", Sections: []string{"be_a"}, DNS: "tasks.shop_web", Port: 8080, Network: "shop"},
		{ID: "be_b", Sections: []string{"be_b"}, DNS: "b", Port: 80},
	}
	if diff := cmp.Diff(want, b.Backends); diff != "" {
		t.Errorf("Backends (-want +got):\n%s", diff)
	}
}

func TestRenderRefuses(t *testing.T) {
	bad := table()
	bad.Routes[0].Host = "a b"
	if _, err := embedded.Render(bad); err == nil {
		t.Error("Render took a host with a blank")
	}
	if _, err := embedded.Table(bundle.Bundle{Engine: bundle.HAProxy}); err == nil {
		t.Error("Table took another engine's bundle")
	}
}

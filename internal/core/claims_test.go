package core

import (
	"errors"
	"testing"

	"interlock/internal/api"
)

func (w *world) holder(cluster, host string) string {
	for _, c := range w.core.Claims() {
		if c.Cluster == cluster && c.Host == host {
			return c.Owner
		}
	}
	return ""
}

// TestClaims: the operator ends a claim or gives it to another stack, at once
// and for good.
func TestClaims(t *testing.T) {
	w := newWorld(t)
	w.start()
	dev := w.agent("dev", "dev.1", nil)
	rival := web
	rival.name, rival.address = "zebra", "10.0.0.9"
	w.give(snapshot(web, rival))
	w.until("web holds the host", dev.serves(web.host, web.address+":80"))
	if got := w.holder("dev", web.host); got != "web" {
		t.Fatalf("%q holds it", got)
	}
	order := api.ClaimOrder{Cluster: "dev", Host: web.host, Owner: "zebra"}
	for _, bad := range []api.ClaimOrder{
		{Cluster: "none", Host: web.host, Owner: "zebra"}, {Cluster: "dev", Host: "other.example.com", Owner: "zebra"},
		{Cluster: "dev", Host: web.host, Owner: "nobody"},
	} {
		if _, err := w.core.TransferClaims(t.Context(), bad); !errors.Is(err, api.ErrBadRequest) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	now, err := w.core.TransferClaims(t.Context(), order)
	if err != nil || len(now) != 1 || now[0].Owner != "zebra" {
		t.Fatal(now, err)
	}
	w.until("zebra is served", dev.serves(web.host, rival.address+":80"))

	w.stop()
	w.start()
	dev = w.agent("dev", "dev.1", nil)
	w.give(snapshot(web, rival))
	w.until("the next core has it", dev.serves(web.host, rival.address+":80"))

	if _, err := w.core.ReleaseClaims(t.Context(), api.ClaimOrder{Cluster: "dev", Host: "other.example.com"}); !errors.Is(err, api.ErrBadRequest) {
		t.Errorf("released what nobody holds: %v", err)
	}
	now, err = w.core.ReleaseClaims(t.Context(), api.ClaimOrder{Cluster: "dev", Host: web.host})
	if err != nil || len(now) != 1 || now[0].Owner != "web" {
		t.Fatalf("the oldest who asks must hold it: %+v %v", now, err)
	}
}

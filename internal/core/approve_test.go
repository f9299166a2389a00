package core

import (
	"errors"
	"testing"

	"interlock/internal/api"
	"interlock/internal/problems"
)

// TestApprove: a stack that moves to another collection waits for the operator,
// whose word outlasts core.
func TestApprove(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.agent("dev", "dev.1", nil)
	prod := w.agent("prod", "prod.1", nil)
	w.give(snapshot(web))
	w.until("at home in dev", w.confirmed("dev", 1))
	moved := web
	moved.collection = "/prod"
	w.give(snapshot(moved))
	w.until("the move waits", w.problem(problems.NotAdmittedHome, "web"))

	for _, bad := range []api.Approval{{Owner: "nobody", Collection: "/prod"}, {Owner: "web", Collection: "prod"}, {Collection: "/prod"}} {
		if _, err := w.core.Approve(t.Context(), bad); !errors.Is(err, api.ErrBadRequest) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	got, err := w.core.Approve(t.Context(), api.Approval{Owner: "web", Collection: "/prod"})
	if err != nil || got.From != "/dev" {
		t.Fatal(got, err)
	}
	w.until("it moves without another snapshot", prod.serves(moved.host, moved.address+":"+moved.port))

	w.stop()
	w.start()
	w.give(snapshot(moved))
	w.until("the next core sees it", func() bool { return w.core.seen.Load() != nil })
	if w.problem(problems.NotAdmittedHome, "web")() {
		t.Error("the approval is forgotten")
	}
}

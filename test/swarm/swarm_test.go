package swarm

import (
	"context"
	"testing"
	"time"
)

func testSwarm(t *testing.T, o Options) (context.Context, *Swarm) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	o.Fresh, o.Log = true, t.Output()
	s, err := Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Down(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	})
	return ctx, s
}

func TestThreeNodes(t *testing.T) {
	ctx, s := testSwarm(t, Options{Name: "sw3", Labels: map[int]map[string]string{1: {"zone": "a"}}})
	out, err := s.Manager().Docker(ctx, "node", "inspect", "n2", "--format", "{{.Spec.Labels.zone}} {{.Status.Addr}}")
	if err != nil || out != "a "+s.Nodes[1].Addr().String() {
		t.Errorf("n2 is %q, %v", out, err)
	}
	again, err := Start(ctx, Options{Name: "sw3"})
	if err != nil {
		t.Fatal(err)
	}
	if again.Manager().record.PID != s.Manager().record.PID {
		t.Error("a second start did not find the running Swarm")
	}
}

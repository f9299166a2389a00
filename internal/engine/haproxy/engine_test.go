package haproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"interlock/bundle"
	"interlock/internal/engine"
	"interlock/routing"
)

func TestApplyServesAndReportsRevision(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	if err := r.Check(ctx, r.bundle("")); err != nil {
		t.Fatalf("check: %v", err)
	}
	r.apply(r.bundle(""), "1-1", endpoints(origin(t, "one")))
	if code, body := r.get("a.test"); code != 200 || body != "one" {
		t.Errorf("got %d %q", code, body)
	}
	if code, _ := r.get("b.test"); code != 503 {
		t.Errorf("unknown host got %d", code)
	}
	for h, want := range map[engine.Health]int{engine.Ready: 200, engine.Drain: 503, engine.NotReady: 503} {
		if err := r.SetHealth(ctx, h); err != nil {
			t.Fatal(err)
		}
		if got := r.health(); got != want {
			t.Errorf("health %s answers %d, want %d", h, got, want)
		}
	}
	if err := r.SetHealth(ctx, engine.Ready); err != nil {
		t.Fatal(err)
	}
	r.apply(r.bundle(""), "1-2", endpoints(origin(t, "two")))
	if running, err := r.Running(ctx); running != "1-2" || err != nil {
		t.Errorf("running %q, %v", running, err)
	}
	if got := r.health(); got != 200 {
		t.Errorf("health after a reload answers %d", got)
	}
}

// TestPortsOfAnEarlierAgent: an agent that finds an engine running, of which it
// knows nothing, does not take its ports for another program's.
func TestPortsOfAnEarlierAgent(t *testing.T) {
	r := newRig(t)
	r.apply(r.bundle(""), "1-1", nil)
	if err := newEngine(t, r.run).Check(t.Context(), r.bundle("")); err != nil {
		t.Error(err)
	}
}

// TestNothingLost changes structure and endpoints under keep-alive load.
func TestNothingLost(t *testing.T) {
	r := newRig(t)
	one, two := origin(t, "one"), origin(t, "two")
	r.apply(r.bundle(""), "1-1", endpoints(one))
	stop := r.load(8)
	for i := range 6 {
		r.apply(r.bundle(fmt.Sprintf("\nbackend be_%d\n", i)), fmt.Sprintf("2-%d", i), endpoints(one))
		for _, eps := range []routing.Endpoints{endpoints(one, two), endpoints(two), endpoints(two, one), endpoints(one)} {
			if err := r.SetEndpoints(context.Background(), eps); err != nil {
				t.Fatal(err)
			}
		}
	}
	sent, failed := stop()
	t.Logf("%d requests during 6 reloads and 24 endpoint changes, %d failed", sent, len(failed))
	if len(failed) > 0 || sent < 100 {
		t.Errorf("failed: %q", failed)
	}
}

func TestSetEndpointsStopsUsingAtOnce(t *testing.T) {
	r := newRig(t)
	one, two := origin(t, "one"), origin(t, "two")
	r.apply(r.bundle(""), "1-1", endpoints(one, two))
	if err := r.SetEndpoints(context.Background(), endpoints(two)); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if _, body := r.get("a.test"); body != "two" {
			t.Fatalf("answered by %q after one was removed", body)
		}
	}
	if err := r.SetEndpoints(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	if code, _ := r.get("a.test"); code != 503 {
		t.Errorf("without endpoints: %d", code)
	}
}

// TestDriftIsRepaired changes the worker behind the engine's back.
func TestDriftIsRepaired(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	one, two := origin(t, "one"), origin(t, "two")
	r.apply(r.bundle(""), "1-1", endpoints(one))
	if err := r.SetEndpoints(ctx, endpoints(one)); err != nil {
		t.Fatal(err)
	}
	stray := fmt.Sprintf("127.0.0.1:%d", two.Port)
	if err := r.worker.expect(ctx, "New server registered.", "add", "server", "be_a/e_stray", stray); err != nil {
		t.Fatal(err)
	}
	if err := r.worker.expect(ctx, "", "set", "server", "be_a/e_stray", "state", "ready"); err != nil {
		t.Fatal(err)
	}
	if err := r.SetEndpoints(ctx, endpoints(one, two)); err != nil {
		t.Fatal(err)
	}
	list, err := r.read(ctx, "be_a")
	if err != nil || len(list) != 2 {
		t.Errorf("servers %v, %v", list, err)
	}
}

func TestEngineKilledComesBackWithPresentEndpoints(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	r.apply(r.bundle(""), "1-1", endpoints(origin(t, "one")))
	if err := r.SetHealth(ctx, engine.Ready); err != nil {
		t.Fatal(err)
	}
	if err := r.SetEndpoints(ctx, endpoints(origin(t, "two"))); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(-int(r.pid.Load()), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, "the engine serves again", func() bool { _, body := r.get("a.test"); return body == "two" })
	if got := r.health(); got != 200 {
		t.Errorf("health after a restart answers %d", got)
	}
}

// TestNewAgentAdoptsEngine shows that an agent started anew reloads nothing.
func TestNewAgentAdoptsEngine(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	one := origin(t, "one")
	r.apply(r.bundle(""), "1-1", endpoints(one))
	_, pid, err := r.info(ctx)
	if err != nil {
		t.Fatal(err)
	}
	anew := newEngine(t, r.run)
	if err := anew.Apply(ctx, r.bundle(""), "1-1", endpoints(one)); err != nil {
		t.Fatal(err)
	}
	if _, now, err := anew.info(ctx); now != pid || err != nil {
		t.Errorf("worker %s became %s, %v", pid, now, err)
	}
	if err := anew.Apply(ctx, r.bundle("\nbackend other\n"), "1-1", endpoints(one)); err != nil {
		t.Fatal(err)
	}
	if _, now, _ := anew.info(ctx); now == pid {
		t.Error("another bundle under the same revision was taken for the running one")
	}
}

func TestFailedApplyLeavesEverything(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	one := origin(t, "one")
	r.apply(r.bundle(""), "1-1", endpoints(one))
	err := r.Apply(ctx, r.bundle("\nbackend x\n  balance nonsense\n"), "1-2", endpoints(one))
	var refusal *engine.Refusal
	if !errors.As(err, &refusal) || !strings.Contains(refusal.Words, "balance only supports") {
		t.Errorf("got %v", err)
	}
	if running, err := r.Running(ctx); running != "1-1" || err != nil {
		t.Errorf("running %q, %v", running, err)
	}
	if data, err := os.ReadFile(r.file(mainFile)); err != nil || strings.Contains(string(data), "nonsense") {
		t.Errorf("the file does not agree with what runs: %v", err)
	}
	if _, body := r.get("a.test"); body != "one" {
		t.Errorf("answered %q", body)
	}
	r.apply(r.bundle(""), "1-3", endpoints(one))
}

func TestCheckRefuses(t *testing.T) {
	r := newRig(t)
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	change := func(f func(*bundle.Bundle)) bundle.Bundle { b := r.bundle(""); f(&b); return b }
	for name, c := range map[string]struct {
		bundle bundle.Bundle
		words  string
	}{
		"the engine's own alert":    {r.bundle("\nbackend x\n  balance nonsense\n"), "parsing [haproxy.cfg:"},
		"bad server option":         {change(func(b *bundle.Bundle) { b.Backends[0].Server = "check inter never" }), "inter"},
		"busy port":                 {change(func(b *bundle.Bundle) { b.Ports = append(b.Ports, busy.Addr().(*net.TCPAddr).Port) }), "in use by another program"},
		"map to nowhere":            {change(func(b *bundle.Bundle) { b.Files[1].Data += "b.test be_b\n" }), "no section"},
		"key twice":                 {change(func(b *bundle.Bundle) { b.Files[1].Data += "a.test il_none\n" }), "twice"},
		"no newline":                {change(func(b *bundle.Bundle) { b.Files[1].Data += "b.test be_a" }), "newline"},
		"too many words":            {r.bundle("\nbackend x\n  acl x src" + strings.Repeat(" 10.0.0.1", 60) + "\n"), "words"},
		"no place for endpoints":    {change(func(b *bundle.Bundle) { b.Backends[0].Sections = []string{"il_none"} }), "no place for endpoints"},
		"place in another section":  {r.bundle("\nbackend x\n  # endpoints y\n"), "a place for endpoints"},
		"section twice":             {r.bundle("\nbackend be_a\n"), "twice"},
		"control byte":              {r.bundle("\nbackend x\r\n"), "control byte"},
		"no place for the revision": {change(func(b *bundle.Bundle) { b.Files[0].Data = strings.Replace(b.Files[0].Data, "@REVISION@", "x", 1) }), "revision"},
		"another engine":            {change(func(b *bundle.Bundle) { b.Engine = "nginx" }), "engine"},
	} {
		t.Run(name, func(t *testing.T) {
			err := r.Check(context.Background(), c.bundle)
			var refusal *engine.Refusal
			if !errors.As(err, &refusal) || !strings.Contains(refusal.Words, c.words) {
				t.Fatalf("got %v, want a refusal with %q", err, c.words)
			}
			if strings.Contains(refusal.Words, r.run) {
				t.Errorf("our paths are in %q", refusal.Words)
			}
		})
	}
}

// TestJudgeHasNoMeans shows that the judge can't read what only root may, such
// as the identity secret.
func TestJudgeHasNoMeans(t *testing.T) {
	r := newRig(t)
	secret := r.file("identity")
	if err := os.WriteFile(secret, []byte("a.test be_a\n"), 0o400); err != nil {
		t.Fatal(err)
	}
	b := r.bundle("\nbackend x\n  use-server y if { str(a),map_str(" + secret + ") -m found }\n  server y 127.0.0.1:1\n")
	dir := t.TempDir()
	for parent := dir; len(parent) > len(os.TempDir()); parent = filepath.Dir(parent) {
		if err := os.Chmod(parent, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	config, err := stageForJudge(b, dir) // acceptance would refuse it before
	if err != nil {
		t.Fatal(err)
	}
	var refusal *engine.Refusal
	if err := r.ask(context.Background(), dir, config); os.Geteuid() == 0 && !errors.As(err, &refusal) {
		t.Errorf("a file of root's was read: %v", err)
	}
}

func TestCheckWithoutAnswerIsNoRefusal(t *testing.T) {
	r := newRig(t)
	r.Engine.binary = "/does/not/exist"
	err := r.Check(context.Background(), r.bundle(""))
	var refusal *engine.Refusal
	if err == nil || errors.As(err, &refusal) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r.Engine.binary = binary(t)
	if err := r.Check(ctx, r.bundle("")); err == nil || errors.As(err, &refusal) {
		t.Errorf("cancelled: got %v", err)
	}
}

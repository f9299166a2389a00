package extension_test

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"interlock/bundle"
	"interlock/extension"
	"interlock/routing"
)

// newChild builds testdata/child and returns a renderer that runs it.
func newChild(t *testing.T, limits extension.Limits) *extension.Child {
	t.Helper()
	path := filepath.Join(t.TempDir(), "child")
	if out, err := exec.Command("go", "build", "-o", path, "./testdata/child").CombinedOutput(); err != nil {
		t.Fatalf("build child: %v\n%s", err, out)
	}
	return extension.NewChild(extension.Description{Name: "test", Version: "1", Engines: []string{bundle.HAProxy}, TableSchema: 1}, limits, path)
}

// TestChildKeepsFaultsToItself: each fault ends its own render with an error
// that is no refusal, and the next table is rendered.
func TestChildKeepsFaultsToItself(t *testing.T) {
	child := newChild(t, extension.Limits{Memory: 256 << 20, Time: 30 * time.Second})
	for _, fault := range []string{"hog", "panic", "die", "chatter", "flood"} {
		_, err := child.Render(t.Context(), bundle.HAProxy, routing.Table{Cluster: fault})
		var refusal *extension.Refusal
		if err == nil || errors.As(err, &refusal) || len(err.Error()) > 400 {
			t.Errorf("%s: %.600v", fault, err)
		}
		b, err := child.Render(t.Context(), bundle.HAProxy, routing.Table{Cluster: "good"})
		if err != nil || b.Cluster != "good" {
			t.Errorf("after %s: %v", fault, err)
		}
	}
}

func TestChildRefuses(t *testing.T) {
	child := newChild(t, extension.Limits{})
	_, err := child.Render(t.Context(), bundle.HAProxy, routing.Table{Cluster: "refuse"})
	var refusal *extension.Refusal
	if !errors.As(err, &refusal) || refusal.Words != "this table is wrong" {
		t.Errorf("got %v", err)
	}
	if _, err := child.Render(t.Context(), "nginx", routing.Table{}); !errors.Is(err, extension.ErrEngine) {
		t.Errorf("another engine: %v", err)
	}
}

// TestHangingChildDelaysNobody: while one cluster's render hangs until its
// deadline, another's is answered; when no slot is free the wait is bounded too.
func TestHangingChildDelaysNobody(t *testing.T) {
	child := newChild(t, extension.Limits{Concurrent: 2, Time: time.Minute})
	ctx, cancel := context.WithCancel(t.Context())
	hung := make(chan error, 2)
	hang := func() {
		_, err := child.Render(ctx, bundle.HAProxy, routing.Table{Cluster: "hang"})
		hung <- err
	}
	go hang()
	if _, err := child.Render(t.Context(), bundle.HAProxy, routing.Table{Cluster: "good"}); err != nil {
		t.Errorf("beside a hanging one: %v", err)
	}
	go hang()
	short, stop := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer stop()
	_, _ = child.Render(short, bundle.HAProxy, routing.Table{Cluster: "hang"}) // waits for a slot or hangs: ends in either case
	cancel()
	for range 2 {
		if err := <-hung; !errors.Is(err, context.Canceled) {
			t.Errorf("the hanging one ended with %v", err)
		}
	}
	if _, err := child.Render(t.Context(), bundle.HAProxy, routing.Table{Cluster: "good"}); err != nil {
		t.Errorf("after them: %v", err)
	}
}

// TestChildHasNoEnvironment: what a service's environment holds (tokens, hosts)
// is not the renderer's business.
func TestChildHasNoEnvironment(t *testing.T) {
	t.Setenv("SECRET", "hunter2")
	child := newChild(t, extension.Limits{})
	b, err := child.Render(t.Context(), bundle.HAProxy, routing.Table{Cluster: "environment"})
	if err != nil {
		t.Fatal(err)
	}
	if env := b.Files[0].Data; strings.Contains(env, "hunter2") || strings.Contains(env, "PATH=") {
		t.Errorf("environment: %s", env)
	}
}

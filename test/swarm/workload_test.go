package swarm

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"interlock/test/image"
)

// demoImage builds the demo application's image.
func demoImage(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	binary, archive := filepath.Join(dir, "demo"), filepath.Join(dir, "demo.tar")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "interlock/test/demo")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the demo: %v: %s", err, said)
	}
	if err := image.Demo("test", binary).WriteFile(archive); err != nil {
		t.Fatal(err)
	}
	return archive
}

func get(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return string(body), err
}

// A global service with a host-mode port answers at each node, a container
// reaches tasks on other nodes by name, a cut node is seen as down and comes
// back, and a killed container is replaced.
func TestWorkload(t *testing.T) {
	ctx, s := testSwarm(t, Options{Name: "swwork"})
	if err := s.Load(ctx, demoImage(t)); err != nil {
		t.Fatal(err)
	}
	docker := func(args ...string) string {
		t.Helper()
		out, err := s.Manager().Docker(ctx, args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	docker("network", "create", "--driver", "overlay", "apps")
	docker("service", "create", "--detach", "--no-resolve-image", "--name", "web", "--mode", "global", "--network", "apps",
		"--endpoint-mode", "dnsrr", "--publish", "mode=host,published=8088,target=8080", "interlock-demo:test")
	eventually(t, ctx, "all nodes answer", func() (bool, error) {
		for _, n := range s.Nodes {
			if _, err := get(ctx, fmt.Sprintf("http://%s:8088/", n.Addr())); err != nil {
				return false, err
			}
		}
		return true, nil
	})

	last := s.Nodes[2]
	if err := last.Cut(ctx); err != nil {
		t.Fatal(err)
	}
	status := func() string { return docker("node", "inspect", last.Name(), "--format", "{{.Status.State}}") }
	eventually(t, ctx, "the cut node is down", func() (bool, error) { return status() == "down", nil })
	if err := last.Heal(ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, ctx, "the healed node is ready", func() (bool, error) { return status() == "ready", nil })

	first := s.Nodes[1]
	container := func() (string, error) { return first.Docker(ctx, "ps", "--quiet", "--no-trunc") }
	was, err := container()
	if err != nil || strings.Contains(was, "\n") {
		t.Fatalf("containers %q, %v, want one", was, err)
	}
	processes, err := first.Processes(was)
	if err != nil || len(processes) != 1 || processes[0].Name != "demo" {
		t.Fatalf("processes %v, %v, want one demo", processes, err)
	}
	if err := processes[0].Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, ctx, "another container runs", func() (bool, error) {
		is, err := container()
		return is != "" && is != was, err
	})
}

func eventually(t *testing.T, ctx context.Context, what string, done func() (bool, error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := Poll(ctx, 200*time.Millisecond, done); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

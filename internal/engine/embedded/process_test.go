package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"interlock/bundle"
	render "interlock/extension/embedded"
	"interlock/internal/engine"
	"interlock/internal/engine/embedded"
	"interlock/internal/engine/enginetest"
	"interlock/internal/runfolder"
	"interlock/routing"
)

// process is an engine's process in this one: what it shares with its Remote
// is the run folder only.
type process struct {
	t      *testing.T
	cancel context.CancelFunc
	ended  chan error
}

func startProcess(t *testing.T, folder runfolder.Folder) *process {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{t, cancel, make(chan error, 1)}
	go func() {
		p.ended <- embedded.Serve(ctx, folder, embedded.Options{Log: slog.New(slog.DiscardHandler)})
		close(p.ended)
	}()
	t.Cleanup(p.end)
	return p
}

func (p *process) end() {
	p.t.Helper()
	p.cancel()
	if err := <-p.ended; err != nil {
		p.t.Errorf("Serve: %v", err)
	}
}

func newFolder(t *testing.T) runfolder.Folder {
	t.Helper()
	dir, err := os.MkdirTemp("", "il") // short: socket paths are bounded
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return runfolder.Folder(dir)
}

// TestRemote: an engine in another process passes the suite as well.
func TestRemote(t *testing.T) {
	enginetest.Run(t, func(t *testing.T) enginetest.Harness {
		h := start(t) // for what goes with it; its engine has no bundle
		folder := newFolder(t)
		startProcess(t, folder)
		h.Engine = embedded.NewRemote(folder)
		return h
	})
}

// remote is a Remote with one route, a.test, and its ports.
type remote struct {
	*embedded.Remote
	t            *testing.T
	folder       runfolder.Folder
	port, health int
}

func newRemote(t *testing.T) *remote {
	t.Helper()
	folder := newFolder(t)
	return &remote{embedded.NewRemote(folder), t, folder, freePort(t), freePort(t)}
}

func (r *remote) bundle(host string, port int) bundle.Bundle {
	r.t.Helper()
	b, err := render.Render(routing.Table{
		Cluster:  "test",
		Base:     routing.Base{HTTPPort: port, HealthPort: r.health, GraceTimeout: 1000},
		Backends: []routing.Backend{{ID: "be_1", Service: "web", ServiceID: "s", Port: 80, Network: "n", Mode: routing.ModeTask, Algorithm: routing.RoundRobin}},
		Routes:   []routing.Route{{Host: host, Path: "/", Backends: []string{"be_1"}}},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

func (r *remote) apply(host, revision string, eps routing.Endpoints) error {
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	return r.Apply(ctx, r.bundle(host, r.port), revision, eps)
}

// serves waits until a.test is answered by name.
func (r *remote) serves(name string) {
	r.t.Helper()
	await(r.t, name, func() bool { return ask(r.port, "a.test") == "200 "+name })
}

func ask(port int, host string) string {
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	req, err := http.NewRequest("GET", fmt.Sprintf("http://127.0.0.1:%d/", port), nil)
	if err != nil {
		return err.Error()
	}
	req.Host = host
	resp, err := c.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return fmt.Sprintf("%d %s", resp.StatusCode, body)
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !done(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// freePort is outside of the range from which outgoing connections get theirs.
func freePort(t *testing.T) int {
	t.Helper()
	for range 1000 {
		port := 20000 + rand.IntN(12000)
		if ln, err := net.Listen("tcp", fmt.Sprintf(":%d", port)); err == nil {
			_ = ln.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

func origin(t *testing.T, name string) routing.Endpoints {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, name) }))
	t.Cleanup(srv.Close)
	a := srv.Listener.Addr().(*net.TCPAddr)
	return routing.Endpoints{"be_1": {{Address: a.IP.String(), Port: a.Port}}}
}

// TestStartedAnew: an engine that was away serves what was said meanwhile,
// before anybody tells it anything.
func TestStartedAnew(t *testing.T) {
	r := newRemote(t)
	p := startProcess(t, r.folder)
	if err := r.apply("a.test", "1-1", origin(t, "one")); err != nil {
		t.Fatal(err)
	}
	r.serves("one")
	p.end()
	if err := r.SetEndpoints(t.Context(), origin(t, "two")); err != nil {
		t.Errorf("endpoints while no engine runs: %v", err)
	}
	if err := r.SetHealth(t.Context(), engine.Ready); err != nil {
		t.Errorf("health while no engine runs: %v", err)
	}
	if _, err := r.Running(t.Context()); err == nil {
		t.Error("a dead engine runs something")
	}
	startProcess(t, r.folder)
	r.serves("two")
	if got := ask(r.health, "health"); got != "200 ready\n" {
		t.Errorf("health: %q", got)
	}
	if got, err := r.Running(t.Context()); got != "1-1" || err != nil {
		t.Errorf("Running = %q, %v", got, err)
	}
	info, err := os.Stat(r.folder.Path("embedded.sock"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", info.Mode(), err)
	}
}

// TestApplyWaitsForAnEngine: the supervisor starts one when the file is there.
func TestApplyWaitsForAnEngine(t *testing.T) {
	r := newRemote(t)
	applied := make(chan error, 1)
	eps := origin(t, "one")
	go func() { applied <- r.apply("a.test", "1-1", eps) }()
	await(t, "the bundle is staged", func() bool {
		_, err := os.Stat(r.folder.Path(embedded.BundleFile))
		return err == nil
	})
	startProcess(t, r.folder)
	if err := <-applied; err != nil {
		t.Fatal(err)
	}
	r.serves("one")
}

// TestFailedApply: what could not be applied is not what the next engine
// starts with.
func TestFailedApply(t *testing.T) {
	r := newRemote(t)
	p := startProcess(t, r.folder)
	eps := origin(t, "one")
	if err := r.apply("a.test", "1-1", eps); err != nil {
		t.Fatal(err)
	}
	busy, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	bad := r.bundle("b.test", busy.Addr().(*net.TCPAddr).Port)
	if err := r.Apply(t.Context(), bad, "1-2", eps); err == nil || errors.As(err, new(*engine.Refusal)) {
		t.Errorf("a busy port: %v, want an error that blames nobody", err)
	}
	if got, _ := r.Running(t.Context()); got != "1-1" {
		t.Errorf("Running = %q", got)
	}
	p.end()
	startProcess(t, r.folder)
	r.serves("one")
}

// TestUnusableFolder: a process that can't serve what it finds ends, to be
// started again.
func TestUnusableFolder(t *testing.T) {
	for name, content := range map[string]string{
		"no JSON": "{", "another form": `{"version":2,"bundle":{}}`, "no bundle": `{"version":1,"revision":"1-1","bundle":{"files":[{"path":"/x"}]}}`,
	} {
		folder := newFolder(t)
		if err := folder.Replace(embedded.BundleFile, []byte(content)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		err := embedded.Serve(ctx, folder, embedded.Options{Log: slog.New(slog.DiscardHandler)})
		if cancel(); err == nil || !strings.Contains(err.Error(), "bundle") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestHeldPorts: a new agent does not take the ports of the engine that it
// finds for another program's.
func TestHeldPorts(t *testing.T) {
	r := newRemote(t)
	startProcess(t, r.folder)
	if err := r.apply("a.test", "1-1", nil); err != nil {
		t.Fatal(err)
	}
	if err := embedded.NewRemote(r.folder).Check(t.Context(), r.bundle("b.test", r.port)); err != nil {
		t.Errorf("Check: %v", err)
	}
}

package haproxy

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"interlock/bundle"
	"interlock/internal/engine"
	"interlock/routing"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "judge" {
		fmt.Fprintln(os.Stderr, Judge(os.Args[2], os.Args[3]))
		os.Exit(JudgeFailed)
	}
	if len(os.Args) == 4 && os.Args[1] == "-c" {
		confess(os.Args[3])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// binary is the real engine; without it these tests fail, they are not skipped.
func binary(t testing.TB) string {
	t.Helper()
	path := os.Getenv("INTERLOCK_HAPROXY")
	if path == "" {
		var err error
		if path, err = filepath.Abs("../../../.run/haproxy"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("no HAProxy to test with: %v (run: make tools)", err)
	}
	return path
}

// rig is an Engine with a real HAProxy beside it that is started, and started
// again, as the supervisor does.
type rig struct {
	*Engine
	t          testing.TB
	port       int
	healthPort int
	pid        atomic.Int64
}

func newRig(t testing.TB) *rig {
	t.Helper()
	run, err := os.MkdirTemp("", "il") // short: socket paths are bounded
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(run) })
	if err := os.Chmod(run, 0o755); err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, port: freePort(t), healthPort: freePort(t)}
	r.Engine = newEngine(t, run)
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { r.supervise(ctx) })
	t.Cleanup(func() { cancel(); done.Wait() })
	return r
}

func newEngine(t testing.TB, run string) *Engine {
	t.Helper()
	e, err := New(Options{Run: run, Binary: binary(t), Judge: []string{os.Args[0], "judge"}, Log: slog.New(slog.NewTextHandler(logWriter{t}, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (r *rig) supervise(ctx context.Context) {
	for ctx.Err() == nil {
		if _, err := os.Stat(r.file(mainFile)); err == nil {
			r.runOnce(ctx)
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (r *rig) runOnce(ctx context.Context) {
	cmd := exec.Command(r.binary, "-W", "-db", "-S", r.file("master.sock")+",mode,600", "-f", r.file(mainFile))
	cmd.Stdout, cmd.Stderr = logWriter{r.t}, logWriter{r.t}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		r.t.Error(err)
		return
	}
	r.pid.Store(int64(cmd.Process.Pid))
	stop := context.AfterFunc(ctx, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	defer stop()
	cmd.Wait()
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
}

type logWriter struct{ t testing.TB }

func (w logWriter) Write(p []byte) (int, error) { w.t.Logf("%s", p); return len(p), nil }

// freePort is outside of the range that outgoing connections are given ports
// from, so that it is still free when the engine binds it.
func freePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := 20000 + rand.IntN(12000)
		if l, err := net.Listen("tcp", fmt.Sprintf(":%d", port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

// bundle is a minimal one with the places that a renderer leaves: host a.test
// goes to be_a, extra lines go to the end.
func (r *rig) bundle(extra string) bundle.Bundle {
	return bundle.Bundle{
		Cluster: "dev", Engine: bundle.HAProxy, Ports: []int{r.port, r.healthPort},
		Files: []bundle.File{
			{Path: "haproxy.cfg", Data: fmt.Sprintf(minimal, r.port, r.healthPort) + extra},
			{Path: "maps/hosts.map", Data: "a.test be_a\n"},
		},
		Backends: []bundle.Backend{{ID: "be_a", Sections: []string{"be_a"}, Server: "check inter 2s fall 2 rise 1"}},
	}
}

const minimal = `global
  description @REVISION@
  stats socket @RUN@/admin.sock mode 600 level admin
  uid 99
  gid 99
  hard-stop-after 10s

defaults
  mode http
  option idle-close-on-response
  retries 3
  option redispatch 1
  retry-on conn-failure
  timeout client 10s
  timeout server 10s
  timeout connect 1s
  timeout http-keep-alive 3s

frontend il_http
  bind 127.0.0.1:%d
  use_backend %%[req.hdr(host),map_str(@DIR@/maps/hosts.map,il_none)]

frontend il_health
  bind 127.0.0.1:%d
  http-request return status 200 if { str(state),map_str(@RUN@/health.map) -m str ready }
  http-request return status 503

backend il_none
  http-request return status 503

backend be_a
  balance roundrobin
  # endpoints be_a
`

// origin answers with its name; it is an endpoint of be_a.
func origin(t testing.TB, name string) routing.Endpoint {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, name)
	}))
	t.Cleanup(srv.Close)
	a := srv.Listener.Addr().(*net.TCPAddr)
	return routing.Endpoint{Address: a.IP.String(), Port: a.Port, Task: name}
}

func endpoints(list ...routing.Endpoint) routing.Endpoints { return routing.Endpoints{"be_a": list} }

// get asks for host over a new connection.
func (r *rig) get(host string) (int, string) {
	return request(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}, r.port, host)
}

func (r *rig) health() int {
	code, _ := request(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}, r.healthPort, "health")
	return code
}

// request returns code 0 with the error's text when there was no answer. It is
// a POST: Go's client repeats none that may have reached the server.
func request(c *http.Client, port int, host string) (int, string) {
	req, err := http.NewRequest("POST", fmt.Sprintf("http://127.0.0.1:%d/", port), strings.NewReader("hello"))
	if err != nil {
		return 0, err.Error()
	}
	req.Host = host
	resp, err := c.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(body)
}

// load sends keep-alive requests from several clients until the returned
// function is called, which says how many were sent and what went wrong.
func (r *rig) load(clients int) (stop func() (sent int64, failed []string)) {
	var (
		wg   sync.WaitGroup
		sent atomic.Int64
		mu   sync.Mutex
		bad  []string
	)
	ctx, cancel := context.WithCancel(context.Background())
	for range clients {
		wg.Go(func() {
			c := &http.Client{Transport: &http.Transport{}, Timeout: 30 * time.Second}
			tick := time.NewTicker(2 * time.Millisecond)
			defer tick.Stop()
			for ctx.Err() == nil {
				code, text := request(c, r.port, "a.test")
				sent.Add(1)
				if code != 200 {
					mu.Lock()
					bad = append(bad, fmt.Sprintf("%d %s", code, text))
					mu.Unlock()
				}
				<-tick.C
			}
		})
	}
	return func() (int64, []string) { cancel(); wg.Wait(); return sent.Load(), bad }
}

func await(t testing.TB, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for: %s", what)
		}
		<-time.After(10 * time.Millisecond)
	}
}

func (r *rig) apply(b bundle.Bundle, revision string, eps routing.Endpoints) {
	r.t.Helper()
	if err := r.Apply(context.Background(), b, revision, eps); err != nil {
		r.t.Fatalf("apply %s: %v", revision, err)
	}
}

var _ engine.Engine = (*Engine)(nil)

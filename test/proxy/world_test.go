// Package proxy tests one whole proxy: the real binary as supervisor and agent,
// each real engine, and core's own half of the contract on loopback.
package proxy

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
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"interlock/bundle"
	"interlock/extension/embedded"
	"interlock/extension/haproxy"
	"interlock/internal/fleet"
	"interlock/internal/identity"
	"interlock/internal/runfolder"
	"interlock/routing"
)

const (
	patience = time.Minute
	cluster  = "dev"
	backend  = "be_1111111111111111"
)

// program is the binary under test, built once.
var program string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "il")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "interlock")
	if out, err := exec.Command("go", "build", "-o", program, "interlock/cmd/interlock").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the program: %v\n%s", err, out)
		return 1
	}
	// The judge has no privileges and must find the program.
	if err := os.Chmod(dir, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// binary is the real engine; without it these tests fail, they are not skipped.
func binary(t testing.TB) string {
	t.Helper()
	path := os.Getenv("INTERLOCK_HAPROXY")
	if path == "" {
		var err error
		if path, err = filepath.Abs("../../.run/haproxy"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("no HAProxy to test with: %v (run: make tools)", err)
	}
	return path
}

// core is core's side: the real fleet server and what agents tell it.
type core struct {
	t        testing.TB
	id       identity.Identity
	address  string
	server   *fleet.Server
	sessions chan *fleet.Session
	reports  chan fleet.Report
	cancel   context.CancelFunc
	done     chan struct{}
}

func newCore(t testing.TB) *core {
	t.Helper()
	id, err := identity.NewCore(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	c := &core{t: t, id: id}
	c.start("127.0.0.1:0")
	t.Cleanup(c.stop)
	return c
}

func (c *core) start(address string) {
	c.t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.address, c.cancel, c.done = l.Addr().String(), cancel, make(chan struct{})
	c.sessions, c.reports = make(chan *fleet.Session, 16), make(chan fleet.Report, 64)
	c.server = fleet.New(c.id, "test", fleet.Timing{}, logger(c.t, "core"))
	c.server.Add(cluster, c)
	go func() { defer close(c.done); c.server.Run(ctx, l) }()
}

func (c *core) stop() { c.cancel(); <-c.done }

func (c *core) Epoch() uint64                             { return 3 }
func (c *core) Connected(s *fleet.Session)                { c.sessions <- s }
func (c *core) Reported(_ *fleet.Session, r fleet.Report) { c.reports <- r }
func (c *core) Gone(*fleet.Session)                       {}

func (c *core) session() *fleet.Session {
	c.t.Helper()
	select {
	case s := <-c.sessions:
		return s
	case <-time.After(patience):
		c.t.Fatal("no agent came")
		return nil
	}
}

// reported waits for a phase and fails at another one.
func (c *core) reported(phase fleet.Phase) fleet.Report {
	c.t.Helper()
	select {
	case r := <-c.reports:
		if r.Phase != phase {
			c.t.Fatalf("reported %s (%s), want %s", r.Phase, r.Message, phase)
		}
		return r
	case <-time.After(patience):
		c.t.Fatalf("%s was not reported", phase)
		return fleet.Report{}
	}
}

func (c *core) sign(generation uint64, b bundle.Bundle) bundle.Signed {
	c.t.Helper()
	data, err := bundle.Encode(b)
	if err != nil {
		c.t.Fatal(err)
	}
	return bundle.Sign(c.id.SigningKey(), cluster, bundle.Position{Epoch: 3, Generation: generation}, data)
}

// confirmed brings a bundle to a proxy all the way.
func (c *core) confirmed(s *fleet.Session, generation uint64, b bundle.Bundle) {
	c.t.Helper()
	s.Offer(c.sign(generation, b), time.Minute)
	c.reported(fleet.Applied)
	s.Confirm(bundle.Position{Epoch: 3, Generation: generation})
	c.reported(fleet.Confirmed)
}

// eachEngine runs a test once for each kind of proxy.
func eachEngine(t *testing.T, test func(t *testing.T, kind string)) {
	for _, kind := range []string{bundle.HAProxy, bundle.Embedded} {
		t.Run(kind, func(t *testing.T) { test(t, kind) })
	}
}

// proxy is one running "interlock proxy".
type proxy struct {
	t                testing.TB
	kind             string // of engine
	dir              string
	port, healthPort int
	env              []string
	cmd              *exec.Cmd
	ended            chan error
}

func newProxy(t testing.TB, c *core, kind string) *proxy {
	t.Helper()
	dir, err := os.MkdirTemp("", "il") // short: socket paths are bounded
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	id, err := c.id.Mint(identity.ClusterURI(cluster), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	data, err := id.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "identity"), data, 0o400); err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, kind: kind, dir: dir, port: freePort(t), healthPort: freePort(t)}
	p.env = []string{"PATH=" + os.Getenv("PATH"), "INTERLOCK_CLUSTER=" + cluster, "INTERLOCK_PROXY=dev.1", "INTERLOCK_TASK=t1",
		"INTERLOCK_CORE=" + c.address, "INTERLOCK_RELOAD_INTERVAL=10ms", "INTERLOCK_DRAIN_TIME=20s"}
	p.start()
	t.Cleanup(func() { p.cmd.Process.Kill(); <-p.ended })
	return p
}

func (p *proxy) folder() runfolder.Folder { return runfolder.Folder(filepath.Join(p.dir, "run")) }

func (p *proxy) start() {
	p.t.Helper()
	p.cmd = exec.Command(program, "proxy", "--run", string(p.folder()), "--state", filepath.Join(p.dir, "state"),
		"--identity", filepath.Join(p.dir, "identity"), "--engine", p.kind)
	if p.kind == bundle.HAProxy {
		p.cmd.Args = append(p.cmd.Args, "--haproxy", binary(p.t))
	}
	p.cmd.Env = p.env
	w := logWriter{p.t, "proxy"}
	p.cmd.Stdout, p.cmd.Stderr = w, w
	p.cmd.WaitDelay = 10 * time.Second
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan error, 1)
	p.ended = ended
	go func(cmd *exec.Cmd) { ended <- cmd.Wait(); close(ended) }(p.cmd)
}

// restart ends the container's processes at once and starts them anew.
func (p *proxy) restart() {
	p.t.Helper()
	p.cmd.Process.Kill()
	<-p.ended
	await(p.t, "the old engine is gone", func() bool { code, _ := p.get("a.test"); return code == 0 })
	p.start()
}

func (p *proxy) get(host string) (int, string) {
	return request(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}, p.port, host)
}

func (p *proxy) health() int {
	code, _ := request(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}, p.healthPort, "health")
	return code
}

// serves waits until host is answered by name.
func (p *proxy) serves(host, name string) {
	p.t.Helper()
	await(p.t, fmt.Sprintf("%s is answered by %s", host, name), func() bool { _, body := p.get(host); return body == name })
}

func (p *proxy) ready() {
	p.t.Helper()
	await(p.t, "the proxy is ready", func() bool { return p.health() == 200 })
}

// answers waits until the public listener says anything.
func (p *proxy) answers() {
	p.t.Helper()
	await(p.t, "the proxy answers", func() bool { code, _ := p.get("nobody.test"); return code != 0 })
}

// bundle is what the real renderer makes for these hosts, on loopback.
func (p *proxy) bundle(hosts ...string) bundle.Bundle {
	p.t.Helper()
	t := routing.Table{
		Cluster: cluster,
		Base: routing.Base{HTTPPort: p.port, HealthPort: p.healthPort, MaxConnections: 1000, MaxShare: 50,
			ConnectTimeout: 1000, ClientTimeout: 10000, ServerTimeout: 10000, KeepaliveTimeout: 3000, GraceTimeout: 10000},
		Backends: []routing.Backend{{ID: backend, Service: "web", ServiceID: "s", Port: 80, Network: "n", Mode: routing.ModeTask, Algorithm: routing.RoundRobin}},
	}
	for _, h := range hosts {
		t.Routes = append(t.Routes, routing.Route{Host: h, Path: "/", Backends: []string{backend}})
	}
	render := map[string]func(routing.Table) (bundle.Bundle, error){bundle.HAProxy: haproxy.Render, bundle.Embedded: embedded.Render}
	b, err := render[p.kind](t)
	if err != nil {
		p.t.Fatal(err)
	}
	for i := range b.Files {
		b.Files[i].Data = strings.ReplaceAll(b.Files[i].Data, "  bind :", "  bind 127.0.0.1:")
	}
	return b
}

// broken is a bundle that only the engine's own check finds out about.
func (p *proxy) broken() bundle.Bundle {
	b := p.bundle("a.test")
	for i := range b.Files {
		switch b.Files[i].Path {
		case haproxy.MainFile:
			b.Files[i].Data += "\nbackend broken\n  balance nonsense\n"
		case embedded.TableFile:
			b.Files[i].Data = strings.ReplaceAll(b.Files[i].Data, "a.test", "not a host")
		}
	}
	return b
}

// agentPID is that of this proxy's agent, by its command line; 0 for none.
func (p *proxy) agentPID() int {
	p.t.Helper()
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", p.cmd.Process.Pid, p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	all := strings.Fields(string(children))
	for _, tid := range tids(p.cmd.Process.Pid) {
		more, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", p.cmd.Process.Pid, tid))
		all = append(all, strings.Fields(string(more))...)
	}
	for _, pid := range all {
		line, _ := os.ReadFile("/proc/" + pid + "/cmdline")
		if args := strings.Split(string(line), "\x00"); len(args) > 1 && args[1] == "agent" {
			n, _ := strconv.Atoi(pid)
			return n
		}
	}
	return 0
}

func tids(pid int) []string {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func (p *proxy) enginePID() int {
	life, err := p.folder().Life()
	if err != nil {
		p.t.Fatal(err)
	}
	return life.PID
}

func kill(t testing.TB, pid int) {
	t.Helper()
	if pid == 0 {
		t.Fatal("there is nobody to kill")
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// origin answers with its name; it is an endpoint of the backend.
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

// slowOrigin says when a request has come and answers it when answer is closed.
func slowOrigin(t testing.TB) (at routing.Endpoint, began <-chan struct{}, answer chan struct{}) {
	t.Helper()
	come, answer := make(chan struct{}, 1), make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		come <- struct{}{}
		<-answer
		io.WriteString(w, "slow")
	}))
	t.Cleanup(srv.Close)
	a := srv.Listener.Addr().(*net.TCPAddr)
	return routing.Endpoint{Address: a.IP.String(), Port: a.Port, Task: "slow"}, come, answer
}

func endpoints(list ...routing.Endpoint) routing.Endpoints { return routing.Endpoints{backend: list} }

// request is a POST, which Go's client does not repeat once it may have reached
// the server. Code 0 means no answer.
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

// load sends keep-alive requests from several clients, while the proxy is
// wanted, until stop is called.
func (p *proxy) load(clients int) (stop func() (sent int64, failed []string)) {
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
				code, text := request(c, p.port, "a.test")
				sent.Add(1)
				if code != 200 {
					mu.Lock()
					bad = append(bad, fmt.Sprintf("%d %.80s", code, text))
					mu.Unlock()
				}
				<-tick.C
			}
		})
	}
	return func() (int64, []string) { cancel(); wg.Wait(); return sent.Load(), bad }
}

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

func await(t testing.TB, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !done(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

type logWriter struct {
	t    testing.TB
	name string
}

func (w logWriter) Write(p []byte) (int, error) { w.t.Logf("%s: %s", w.name, p); return len(p), nil }

func logger(t testing.TB, name string) *slog.Logger {
	return slog.New(slog.NewTextHandler(logWriter{t, name}, nil))
}

package docker_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"interlock/internal/config"
	"interlock/internal/docker"
	"interlock/internal/identity"
	"interlock/internal/problems"
	"interlock/internal/provision"
	"interlock/internal/store"
	"interlock/internal/store/storetest"
	"interlock/internal/swarm"
	lab "interlock/test/swarm"
)

// idle is an image in no registry; asking for it at a port where nothing
// listens fails at once.
const idle = "localhost:1/idle:test"

// live is the one-node Swarm that the tests below share.
var live struct {
	once  sync.Once
	swarm *lab.Swarm
	err   error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if live.swarm != nil {
		if err := live.swarm.Down(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// node returns a node with the idle image, and a client of its Engine.
func node(t *testing.T) (*lab.Node, *docker.Client) {
	t.Helper()
	live.once.Do(func() {
		ctx := context.Background()
		live.swarm, live.err = lab.Start(ctx, lab.Options{Name: "docker", Nodes: 1, Fresh: true})
		if live.err == nil {
			live.err = importIdle(ctx, live.swarm.Manager())
		}
	})
	if live.err != nil {
		t.Fatal(live.err)
	}
	n := live.swarm.Manager()
	c, err := docker.Connect(t.Context(), docker.Options{Host: n.Host()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return n, c
}

func importIdle(ctx context.Context, n *lab.Node) error {
	folder, err := os.MkdirTemp("", "idle")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	binary := filepath.Join(folder, "idle")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "interlock/test/idle")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the idle image: %w: %s", err, out)
	}
	data, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	if err := w.WriteHeader(&tar.Header{Name: "idle", Mode: 0o755, Size: int64(len(data))}); err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	_, err = n.DockerInput(ctx, &archive, "import", "-", idle)
	return err
}

func run(t *testing.T, n *lab.Node, args ...string) string {
	t.Helper()
	out, err := n.Docker(t.Context(), args...)
	if err != nil {
		t.Fatalf("docker %s: %v", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(out)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := lab.Poll(ctx, 50*time.Millisecond, func() (bool, error) { return ok(), nil })
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// TestLiveStore holds the Engine to what the store and its fake are built on.
func TestLiveStore(t *testing.T) {
	_, c := node(t)
	storetest.Run(t, c)
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	quiet := slog.New(slog.DiscardHandler)
	s := store.New(c, key, quiet)
	for i := range 3 {
		if err := s.SaveState(t.Context(), "dev", fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	if data, err := store.New(c, key, quiet).LoadState(t.Context(), "dev"); string(data) != "2" || err != nil {
		t.Errorf("loaded %q, %v", data, err)
	}
}

// TestLiveDigests: on a real Engine the templates of a service and of its tasks
// have one name, a change of labels keeps it, a change of the template does not,
// and tasks made before are told apart from those made after.
func TestLiveDigests(t *testing.T) {
	n, c := node(t)
	run(t, n, "network", "create", "-d", "overlay", "digests")
	run(t, n, "service", "create", "--detach", "--no-resolve-image", "--name", "digests", "--network", "digests",
		"--endpoint-mode", "dnsrr", "--env", "A=hush", "--stop-grace-period", "1s", "--limit-cpu", "1", "--health-cmd", "hush",
		"--no-healthcheck=false", "--constraint", "node.role==manager", "--publish", "mode=host,target=80,published=18080", idle, "/idle", "hush")
	t.Cleanup(func() {
		_, _ = n.Docker(context.Background(), "service", "rm", "digests")
	})
	first := digests(t, c)
	run(t, n, "service", "update", "--detach", "--label-add", "com.docker.lb.port=80", "digests")
	labelled := digests(t, c)
	if labelled.service != first.service || labelled.previous != first.service || !slices.Equal(labelled.tasks, first.tasks) {
		t.Errorf("a change of labels changed templates: %+v, before %+v", labelled, first)
	}
	run(t, n, "service", "update", "--detach", "--force", "digests")
	forced := digests(t, c)
	if forced.service == first.service || forced.previous != first.service || !slices.Contains(forced.tasks, forced.service) {
		t.Errorf("a forced update: %+v, before %+v", forced, first)
	}
	var out bytes.Buffer
	lists, err := c.Lists(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	if err := docker.WriteSnapshot(&out, lists); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "hush") {
		t.Error("a secret is in the snapshot")
	}
}

type seen struct {
	service, previous string
	tasks             []string
}

// digests waits until a task of the present template exists.
func digests(t *testing.T, c *docker.Client) (out seen) {
	t.Helper()
	eventually(t, "a task of the template", func() bool {
		s, err := c.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(s.Services, func(s swarm.Service) bool { return s.Name == "digests" })
		service := s.Services[i]
		out = seen{service: service.TemplateDigest}
		if service.Previous != nil {
			out.previous = service.Previous.TemplateDigest
		}
		for _, task := range s.Tasks {
			if task.ServiceID == service.ID {
				out.tasks = append(out.tasks, task.TemplateDigest)
			}
		}
		return slices.Contains(out.tasks, out.service)
	})
	return out
}

// TestLiveWatch: a service is seen from its creation to its end, and a command
// can be reached in its container.
func TestLiveWatch(t *testing.T) {
	n, c := node(t)
	run(t, n, "network", "create", "-d", "overlay", "watched")
	var mu sync.Mutex
	var last swarm.Snapshot
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	watcher := docker.NewWatcher(c, docker.WatchOptions{}, slog.New(slog.DiscardHandler))
	go func() {
		done <- watcher.Run(ctx, func(s swarm.Snapshot) {
			mu.Lock()
			defer mu.Unlock()
			last = s
		})
	}()
	serving := func() (addresses []string) {
		mu.Lock()
		defer mu.Unlock()
		for _, s := range last.Services {
			for _, task := range last.Tasks {
				if s.Name == "watched" && task.ServiceID == s.ID && task.Serving() && len(s.Networks) == 1 {
					addresses = append(addresses, task.Addresses[s.Networks[0]])
				}
			}
		}
		return addresses
	}
	run(t, n, "service", "create", "--detach", "--no-resolve-image", "--name", "watched", "--network", "watched",
		"--endpoint-mode", "dnsrr", "--replicas", "2", "--stop-grace-period", "1s", idle, "/idle")
	eventually(t, "two endpoints", func() bool { return len(serving()) == 2 && !slices.Contains(serving(), "") })

	conn, err := c.ExecPipe(t.Context(), "watched", []string{"/idle", "echo"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "hello\n"); err != nil {
		t.Error(err)
	}
	answer := make([]byte, 6)
	if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != "hello\n" {
		t.Errorf("through the pipe: %q, %v", answer, err)
	}
	conn.Close()
	if _, err := c.ExecPipe(t.Context(), "elsewhere", []string{"/idle"}); !errors.Is(err, docker.ErrNotHere) {
		t.Errorf("a service without a container here: %v", err)
	}

	run(t, n, "service", "scale", "--detach", "watched=1")
	eventually(t, "one endpoint", func() bool { return len(serving()) == 1 })
	run(t, n, "service", "rm", "watched")
	eventually(t, "no endpoint", func() bool { return len(serving()) == 0 })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestLiveProvision: what a plan makes, the next plan finds as it should be;
// a change of the configuration is an update; drift is told and left.
func TestLiveProvision(t *testing.T) {
	n, c := node(t)
	core, err := identity.NewCore(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	mint := func(uri string) ([]byte, error) {
		id, err := core.Mint(uri, time.Now())
		if err != nil {
			return nil, err
		}
		return id.Marshal()
	}
	file := func(label string) []config.Cluster {
		f := config.Parse([]byte(`
[Extensions.dev]
ServiceCluster = "dev"
Collections = ["/dev"]
PublishMode = "host"
PublishedPort = 18081
PublishedHealthPort = 18481
ProxyReplicas = 1
ProxyConstraints = ["node.role==manager"]
ProxyPlacementPreferences = ["node.labels.zone"]
ProxyLabels = { note = "`+label+`" }
ProxyContainerLabels = { note = "x" }
`), "config.toml")
		if problems.Errors(f.Problems) {
			t.Fatal(f.Problems)
		}
		return f.Clusters
	}
	settings := provision.SettingsOf("localhost:1/interlock:test", "", core.Authority())
	step := func(label string) provision.Plan {
		t.Helper()
		snapshot, err := c.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		present, err := c.Present(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		plan := provision.Make(provision.Input{Clusters: file(label), Settings: settings, Snapshot: snapshot,
			Present: present, Unready: map[string]bool{"dev": false}, Now: time.Now()})
		for _, a := range plan.Actions {
			if err := c.Apply(t.Context(), a, mint); err != nil {
				t.Fatalf("%s %s: %v", a.Kind, a.Name, err)
			}
		}
		return plan
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := c.RemoveAll(ctx, func(docker.Removed) {}); err != nil {
			t.Error(err)
		}
	})
	if plan := step("one"); len(plan.Actions) != 7 || len(plan.Problems) != 0 {
		t.Fatalf("first plan: %+v", plan)
	}
	if plan := step("one"); len(plan.Actions)+len(plan.Problems) != 0 {
		t.Fatalf("second plan: %+v", plan)
	}
	plan := step("two")
	if len(plan.Actions) != 1 || len(plan.Actions[0].Changes) != 1 || plan.Actions[0].Changes[0].Field != "labels" {
		t.Fatalf("plan after a change of config.toml: %+v", plan)
	}
	eventually(t, "nothing more to do", func() bool { return len(step("two").Actions) == 0 })
	run(t, n, "service", "update", "--detach", "--replicas", "3", "interlock-proxy-dev")
	plan = step("two")
	if len(plan.Actions) != 0 || len(plan.Problems) == 0 || plan.Problems[0].Code != problems.ProvisionDrift {
		t.Errorf("plan after a change by hand: %+v", plan)
	}
}

package core

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"interlock/bundle"
	"interlock/internal/config"
	"interlock/internal/docker"
	"interlock/internal/identity"
	"interlock/internal/problems"
	"interlock/internal/provision"
	"interlock/internal/store"
	"interlock/internal/swarm"
	"interlock/routing"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// TestUnreadableConfigLeavesTheLastGoodOne: also when core starts with it.
func TestUnreadableConfigLeavesTheLastGoodOne(t *testing.T) {
	s := newWorld(t).store
	good, err := LoadConfig(t.Context(), s, []byte(configText), quiet())
	if err != nil || len(good.Clusters) != 2 || good.Unreadable != "" {
		t.Fatal(good, err)
	}
	file, err := LoadConfig(t.Context(), s, []byte("[Extensions.dev\n"), quiet())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(good.Clusters, file.Clusters); d != "" {
		t.Error(d)
	}
	said := slices.ContainsFunc(file.Problems, func(p routing.Problem) bool { return p.Code == problems.ConfigUnreadable })
	if !said {
		t.Error("nothing is said")
	}
	again, err := LoadConfig(t.Context(), s, []byte(strings.Replace(configText, `"/prod"`, `"/production"`, 1)), quiet())
	if err != nil || again.Clusters[1].Policy.Collections[0] != "/production" {
		t.Error(again.Clusters, err)
	}
}

// engine is a Docker that does what it is told, but for what fails.
type engine struct {
	present map[string]provision.Present
	fails   string
	applied []string
}

func (e *engine) Present(context.Context) (map[string]provision.Present, error) {
	if e.fails == "present" {
		return nil, errors.New("no answer")
	}
	return e.present, nil
}

func (e *engine) Apply(_ context.Context, a provision.Action, mint docker.Mint) error {
	if a.Name == e.fails {
		return errors.New("out of disk space")
	}
	if a.Kind == provision.CreateIdentity {
		data, err := mint(a.Identity)
		if err != nil {
			return err
		}
		if _, err := identity.Parse(data); err != nil {
			return err
		}
	}
	e.applied = append(e.applied, string(a.Kind)+" "+a.Name)
	return nil
}

func provisioner(t *testing.T, e *engine) (*SwarmProvisioner, Provisioning) {
	t.Helper()
	id, err := identity.NewCore(testNow)
	if err != nil {
		t.Fatal(err)
	}
	p := &SwarmProvisioner{Engine: e, Identity: id, Settings: provision.SettingsOf("interlock:dev", "", id.Authority()), Log: quiet()}
	nodes := []swarm.Node{{ID: "n1", Hostname: "n1", Role: "manager", State: "ready", Availability: "active"}}
	return p, Provisioning{Snapshot: swarm.Snapshot{Nodes: nodes}, Config: config.Parse([]byte(configText), "config.toml")}
}

// TestProvisioningFailureConcernsItsCluster: the other one's objects are made.
func TestProvisioningFailureConcernsItsCluster(t *testing.T) {
	e := &engine{}
	p, facts := provisioner(t, e)
	e.fails = "il-dev-control"
	found := p.Provision(t.Context(), facts)
	failed := slices.ContainsFunc(found, func(f routing.Problem) bool {
		return f.Code == problems.ProvisionFailed && f.Cluster == "dev" && strings.Contains(f.Message, "out of disk space")
	})
	if !failed {
		t.Errorf("problems %v", found)
	}
	made := strings.Join(e.applied, "\n")
	if !strings.Contains(made, "create-service interlock-proxy-prod") || strings.Contains(made, "interlock-proxy-dev") {
		t.Errorf("made:\n%s", made)
	}
}

func TestProvisioningWithoutDocker(t *testing.T) {
	e := &engine{fails: "present"}
	p, facts := provisioner(t, e)
	if found := p.Provision(t.Context(), facts); len(found) != 1 || found[0].Code != problems.ProvisionFailed || len(e.applied) != 0 {
		t.Error(found, e.applied)
	}
}

// fullStore takes no state with tables in it.
type fullStore struct{ Store }

func (s fullStore) SaveState(ctx context.Context, slug string, data []byte) error {
	if bytes.Contains(data, []byte(`"routes":[{`)) {
		return store.ErrTooLarge
	}
	return s.Store.SaveState(ctx, slug, data)
}

// TestTooLargeState: what does not fit is left out, and a restart without it
// publishes nothing new.
func TestTooLargeState(t *testing.T) {
	w := newWorld(t)
	w.store = fullStore{w.store}
	w.start()
	dev := w.agent("dev", "dev.1", nil)
	w.give(snapshot(web))
	w.until("first generation", w.confirmed("dev", 1))
	w.until("the state is stored", w.stored(`"confirmed":{"epoch":1,"generation":1}`))
	w.stop()
	dev.stop()
	w.start()
	dev.connect()
	w.give(snapshot(web))
	w.until("served again", dev.serves("web.example.com", "10.0.0.2:80"))
	w.until("synced", func() bool { return w.cluster("dev").State == "ready" })
	if got := w.cluster("dev").Generation; got != (bundle.Position{Epoch: 1, Generation: 1}) {
		t.Error(got)
	}
}

// TestUnusableClusterIsFrozen: its structure stands, its endpoints follow the
// tasks, a proxy that is empty gets what is confirmed, the others go on.
func TestUnusableClusterIsFrozen(t *testing.T) {
	w := newWorld(t)
	w.start()
	dev := w.agent("dev", "dev.1", nil)
	w.give(snapshot(web))
	w.until("first generation", w.confirmed("dev", 1))
	w.until("the state is stored", w.stored(`"confirmed":{"epoch":1,"generation":1}`))
	w.stop()
	dev.stop()
	for i := range w.config.Clusters {
		if w.config.Clusters[i].Name == "dev" {
			w.config.Clusters[i].Unusable = "PublishedPort is not a number"
		}
	}
	w.start()
	empty, prod := w.agent("dev", "dev.2", nil), w.agent("prod", "prod.1", nil)
	moved, blog := web, app{name: "blog", collection: "/dev", host: "blog.example.com", port: "81", address: "10.0.0.3"}
	moved.address = "10.0.0.7"
	w.give(snapshot(moved, blog, shop))
	w.until("dev's endpoints follow", empty.serves("web.example.com", "10.0.0.7:80"))
	w.until("prod serves", prod.serves("shop.example.com", "10.0.1.2:80"))
	if c := w.cluster("dev"); c.State != "unusable" || c.Generation.Generation != 1 || empty.targets("blog.example.com") != "no route" {
		t.Errorf("%+v", c)
	}
}

// TestDoubtShrinksNothing: an answer that lacks things changes nothing (I6).
func TestDoubtShrinksNothing(t *testing.T) {
	w := newWorld(t)
	w.start()
	dev := w.agent("dev", "dev.1", nil)
	w.give(snapshot(web))
	w.until("first generation", w.confirmed("dev", 1))
	doubtful := snapshot(web)
	doubtful.Doubt.Tasks = true
	w.give(doubtful)
	w.until("it is said", w.problem("doubt-list", ""))
	if got := dev.targets("web.example.com"); got != "10.0.0.2:80" {
		t.Error(got)
	}
}

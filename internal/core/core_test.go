package core

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"interlock/bundle"
	"interlock/extension"
	"interlock/extension/embedded"
	"interlock/internal/api"
	"interlock/internal/config"
	"interlock/internal/fleet"
	"interlock/internal/identity"
	"interlock/internal/provision"
	"interlock/internal/store"
	"interlock/internal/swarm"
	fleetv1 "interlock/proto/fleet/v1"
	"interlock/routing"
)

var testNow = time.Now()

const patience = 20 * time.Second

const configText = `
ListenAddr = ":8080"
[Extensions.dev]
ServiceCluster = "dev"
Collections = ["/dev"]
PublishedPort = 8081
ProxyReplicas = 1
[Extensions.prod]
ServiceCluster = "prod"
Collections = ["/prod"]
PublishedPort = 8082
ProxyReplicas = 1
`

// world is a core with its surroundings: a scripted Swarm, a store in memory,
// the fleet on loopback, the embedded engine's renderer.
type world struct {
	t        *testing.T
	identity identity.Identity
	addr     string
	store    Store
	config   config.File
	renderer renderer
	swarm    *scriptedSwarm
	core     *Core
	stop     func()
	log      *slog.Logger
}

// scriptedSwarm gives the snapshots that a test sets.
type scriptedSwarm struct{ snapshots chan swarm.Snapshot }

func (s *scriptedSwarm) Run(ctx context.Context, give func(swarm.Snapshot)) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case snap := <-s.snapshots:
			give(snap)
		}
	}
}

// renderer renders for the embedded engine; it panics or refuses on demand.
type renderer struct {
	fault func(routing.Table) error
}

func (r renderer) Render(_ context.Context, _ config.Cluster, t routing.Table) (bundle.Bundle, error) {
	if r.fault != nil {
		if err := r.fault(t); err != nil {
			return bundle.Bundle{}, err
		}
	}
	return embedded.Render(t)
}

type nothing struct{}

func (nothing) Provision(context.Context, Provisioning) []routing.Problem { return nil }
func (nothing) Plan(context.Context, Provisioning) (provision.Plan, error) {
	return provision.Plan{}, nil
}

func newWorld(t *testing.T) *world {
	t.Helper()
	id, err := identity.NewCore(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, identity: id, store: store.New(&store.Memory{}), log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	if testing.Verbose() {
		w.log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	w.config = config.Parse([]byte(configText), "config.toml")
	for i := range w.config.Clusters {
		w.config.Clusters[i].Engine = bundle.Embedded
	}
	if len(w.config.Clusters) != 2 {
		t.Fatal(w.config.Problems)
	}
	return w
}

// start runs a core; the one before must have been stopped.
func (w *world) start() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	w.addr = l.Addr().String()
	w.swarm = &scriptedSwarm{make(chan swarm.Snapshot)}
	server := fleet.New(w.identity, "test", fleet.Timing{}, w.log)
	w.core = New(Options{
		Source: w.swarm, Renderer: w.renderer, Store: w.store, Fleet: server,
		Provisioner: nothing{}, Config: w.config,
		SigningKey: w.identity.SigningKey(), Version: "test", Log: w.log,
		Timing: Timing{Quiet: 5 * time.Millisecond, Settle: 20 * time.Millisecond},
	})
	ctx, cancel := context.WithCancel(w.t.Context())
	var running sync.WaitGroup
	running.Go(func() { server.Run(ctx, l) })
	running.Go(func() { w.core.Run(ctx) })
	w.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	w.t.Cleanup(w.stop)
}

func (w *world) give(s swarm.Snapshot) {
	select {
	case w.swarm.snapshots <- s:
	case <-time.After(patience):
		w.t.Fatal("core takes no snapshots")
	}
}

// until waits for a condition.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-ticker.C:
		case <-deadline:
			status, _ := json.MarshalIndent(w.core.Status(), "", " ")
			w.t.Fatalf("not reached: %s\n%s\n%v", what, status, w.core.Problems())
		}
	}
}

func (w *world) cluster(name string) api.Cluster {
	for _, c := range w.core.Status().Clusters {
		if c.Name == name {
			return c
		}
	}
	return api.Cluster{}
}

func (w *world) confirmed(name string, generation uint64) func() bool {
	return func() bool {
		c := w.cluster(name)
		return c.Generation.Generation == generation && c.Rollout == "idle"
	}
}

func (w *world) problem(code, service string) func() bool {
	return func() bool {
		return slices.ContainsFunc(w.core.Problems(), func(p routing.Problem) bool { return p.Code == code && p.Service == service })
	}
}

// agent is a well-behaved agent: it verifies, judges with an oracle, applies at
// once, confirms, and remembers.
type agent struct {
	w         *world
	slug, id  string
	refuse    func(routing.Table) string
	mu        sync.Mutex
	running   *fleetv1.Signed
	confirmed *fleetv1.Signed
	table     routing.Table
	endpoints routing.Endpoints
	drained   bool
	offers    int
	stop      func()
}

func (w *world) agent(slug, id string, refuse func(routing.Table) string) *agent {
	a := &agent{w: w, slug: slug, id: id, refuse: refuse}
	a.connect()
	return a
}

func (a *agent) connect() {
	t := a.w.t
	id, err := a.w.identity.Mint(identity.ClusterURI(a.slug), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(a.w.addr, grpc.WithTransportCredentials(credentials.NewTLS(id.ClientTLS(identity.CoreURI))))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	a.stop = sync.OnceFunc(func() { cancel(); conn.Close(); <-done })
	t.Cleanup(a.stop)
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			a.session(ctx, fleetv1.NewFleetClient(conn), id.VerifyKey())
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
}

func (a *agent) session(ctx context.Context, client fleetv1.FleetClient, key ed25519.PublicKey) {
	stream, err := client.Session(ctx)
	if err != nil {
		return
	}
	a.mu.Lock()
	hello := &fleetv1.Hello{Proxy: a.id, Task: a.id, Node: "n1"}
	if a.confirmed != nil {
		hello.Confirmed, hello.ConfirmedDigest = a.confirmed.Position, a.confirmed.Digest
	}
	a.mu.Unlock()
	stream.Send(&fleetv1.FromAgent{Kind: &fleetv1.FromAgent_Hello{Hello: hello}})
	for {
		m, err := stream.Recv()
		if err != nil {
			return
		}
		if r := a.take(m, key); r != nil {
			stream.Send(&fleetv1.FromAgent{Kind: &fleetv1.FromAgent_Report{Report: r}})
		}
	}
}

// take does what a message asks and returns the report on it.
func (a *agent) take(m *fleetv1.FromCore, key ed25519.PublicKey) *fleetv1.Report {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch k := m.Kind.(type) {
	case *fleetv1.FromCore_Judge:
		_, words := a.judge(k.Judge.Encoded)
		return &fleetv1.Report{Id: k.Judge.Id, Phase: phase(words, fleetv1.Phase_PHASE_ACCEPTED), Message: words}
	case *fleetv1.FromCore_Offer:
		return a.offer(k.Offer.Bundle, key)
	case *fleetv1.FromCore_Confirm:
		a.confirmed = a.running
		return &fleetv1.Report{Position: k.Confirm.Position, Phase: fleetv1.Phase_PHASE_CONFIRMED}
	case *fleetv1.FromCore_Endpoints:
		a.setEndpoints(k.Endpoints)
	case *fleetv1.FromCore_Drain:
		a.drained = true
	}
	return nil
}

func phase(words string, good fleetv1.Phase) fleetv1.Phase {
	if words != "" {
		return fleetv1.Phase_PHASE_REFUSED
	}
	return good
}

func (a *agent) judge(encoded []byte) (routing.Table, string) {
	b, err := bundle.Decode(encoded)
	if err != nil {
		return routing.Table{}, err.Error()
	}
	t, err := embedded.Table(b)
	if err != nil {
		return t, err.Error()
	}
	if a.refuse != nil {
		return t, a.refuse(t)
	}
	return t, ""
}

func (a *agent) offer(b *fleetv1.Signed, key ed25519.PublicKey) *fleetv1.Report {
	at := bundle.Position{Epoch: b.Position.Epoch, Generation: b.Position.Generation}
	signed := bundle.Signed{Cluster: a.slug, Position: at, Digest: b.Digest, Signature: b.Signature, Encoded: b.Encoded}
	report := &fleetv1.Report{Position: b.Position, Phase: fleetv1.Phase_PHASE_APPLIED}
	if err := signed.Verify(key, a.slug); err != nil {
		report.Phase, report.Message = fleetv1.Phase_PHASE_UNKNOWN, err.Error()
		return report
	}
	if a.confirmed != nil && at.Less(bundle.Position{Epoch: a.confirmed.Position.Epoch, Generation: a.confirmed.Position.Generation}) {
		report.Phase, report.Message = fleetv1.Phase_PHASE_UNKNOWN, "older than what is confirmed"
		return report
	}
	t, words := a.judge(b.Encoded)
	if report.Phase, report.Message = phase(words, report.Phase), words; words == "" {
		a.running, a.table = b, t
		a.offers++
	}
	return report
}

func (a *agent) setEndpoints(m *fleetv1.Endpoints) {
	if m.Full || a.endpoints == nil {
		a.endpoints = routing.Endpoints{}
	}
	for _, b := range m.Backends {
		delete(a.endpoints, b.Id)
		for _, e := range b.Endpoints {
			a.endpoints[b.Id] = append(a.endpoints[b.Id], routing.Endpoint{Address: e.Address, Port: int(e.Port), Task: e.Task})
		}
	}
}

// targets are the addresses behind a host as the agent would serve it now.
func (a *agent) targets(host string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.table.Routes {
		if r.Host == host {
			var at []string
			for _, id := range r.Backends {
				for _, e := range a.endpoints[id] {
					at = append(at, fmt.Sprintf("%s:%d", e.Address, e.Port))
				}
			}
			return strings.Join(at, " ")
		}
	}
	return "no route"
}

func (a *agent) serves(host, targets string) func() bool {
	return func() bool { return a.targets(host) == targets }
}

// app is a service with one task.
type app struct {
	name, collection, host, port, address string
	labels                                map[string]string
}

// snapshot is a Swarm with these services, all on the clusters' own networks.
func snapshot(apps ...app) swarm.Snapshot {
	s := swarm.Snapshot{
		Nodes: []swarm.Node{{ID: "n1", Hostname: "node1"}},
		Networks: []swarm.Network{
			{ID: "net-dev", Name: "il-dev", Driver: "overlay"},
			{ID: "net-prod", Name: "il-prod", Driver: "overlay"},
		},
	}
	for _, a := range apps {
		network := "net" + strings.ReplaceAll(a.collection, "/", "-")
		labels := map[string]string{
			swarm.CollectionLabel: a.collection, swarm.StackLabel: a.name,
			"com.docker.lb.hosts": a.host, "com.docker.lb.port": a.port,
		}
		for k, v := range a.labels {
			labels[k] = v
		}
		id := "svc-" + a.name
		s.Services = append(s.Services, swarm.Service{ID: id, Name: a.name, Labels: labels, Networks: []string{network}, TemplateDigest: "t", Replicas: 1})
		s.Tasks = append(s.Tasks, swarm.Task{
			ID: "task-" + a.name + "-" + a.address, ServiceID: id, NodeID: "n1", Slot: 1, State: "running", Desired: "running",
			TemplateDigest: "t", Addresses: map[string]string{network: a.address},
		})
	}
	slices.SortFunc(s.Services, func(a, b swarm.Service) int { return strings.Compare(a.ID, b.ID) })
	return s
}

var (
	web  = app{name: "web", collection: "/dev", host: "web.example.com", port: "80", address: "10.0.0.2"}
	shop = app{name: "shop", collection: "/prod", host: "shop.example.com", port: "80", address: "10.0.1.2"}
)

func TestFromSwarmToProxies(t *testing.T) {
	w := newWorld(t)
	w.start()
	dev, prod := w.agent("dev", "dev.1", nil), w.agent("prod", "prod.1", nil)
	w.give(snapshot(web, shop))
	w.until("dev serves web", dev.serves("web.example.com", "10.0.0.2:80"))
	w.until("prod serves shop", prod.serves("shop.example.com", "10.0.1.2:80"))
	w.until("both are ready", func() bool { return w.core.Status().Ready() })
	if dev.targets("shop.example.com") != "no route" {
		t.Error("dev serves a prod host")
	}
	if got := w.core.Routes(); len(got) != 2 || !got[0].Live {
		t.Errorf("routes %+v", got)
	}

	// An endpoint moves: no generation is needed for that.
	moved := web
	moved.address = "10.0.0.9"
	w.give(snapshot(moved, shop))
	w.until("dev follows", dev.serves("web.example.com", "10.0.0.9:80"))
	if got := w.cluster("dev").Generation.Generation; got != 1 {
		t.Errorf("generation %d", got)
	}

	// Structure changes in dev only.
	blog := app{name: "blog", collection: "/dev", host: "blog.example.com", port: "81", address: "10.0.0.3"}
	w.give(snapshot(moved, blog, shop))
	w.until("dev serves blog", dev.serves("blog.example.com", "10.0.0.3:81"))
	w.until("dev's second generation", w.confirmed("dev", 2))
	if prod.offers != 1 || w.cluster("prod").Generation.Generation != 1 {
		t.Error("prod was touched")
	}
}

// poison is what an engine refuses although everything before accepts it.
func poison(t routing.Table) string {
	for _, b := range t.Backends {
		if strings.Contains(b.Service, "poison") {
			return "[ALERT] in backend of " + b.Service
		}
	}
	return ""
}

// TestRefusedChangeIsTakenApart: the guilty service is quarantined with the
// engine's words, the rest of the change goes live.
func TestRefusedChangeIsTakenApart(t *testing.T) {
	w := newWorld(t)
	w.start()
	dev := w.agent("dev", "dev.1", poison)
	w.give(snapshot(web))
	w.until("first generation", w.confirmed("dev", 1))
	apps := []app{web}
	for i := range 6 {
		apps = append(apps, app{name: fmt.Sprintf("a%d", i), collection: "/dev", host: fmt.Sprintf("a%d.example.com", i), port: "80", address: fmt.Sprintf("10.0.0.%d", 10+i)})
	}
	bad := app{name: "poison", collection: "/dev", host: "bad.example.com", port: "80", address: "10.0.0.66"}
	w.give(snapshot(append(apps, bad)...))
	w.until("the rest is live", dev.serves("a5.example.com", "10.0.0.15:80"))
	w.until("the guilty one is named", w.problem("quarantined-by-engine", "poison"))
	w.until("second generation", w.confirmed("dev", 2))
	if dev.targets("bad.example.com") != "no route" {
		t.Error("the guilty one is served")
	}
	// It ends when the labels change.
	bad.name, bad.host = "cured", "cured.example.com"
	w.give(snapshot(append(apps, bad)...))
	w.until("the cured one is live", dev.serves("cured.example.com", "10.0.0.66:80"))
}

// TestQuarantinedServiceKeepsItsLastGoodRoute, also over a restart of core.
func TestQuarantinedServiceKeepsItsLastGoodRoute(t *testing.T) {
	w := newWorld(t)
	w.start()
	refuse := func(t routing.Table) string {
		for _, r := range t.Routes {
			if r.Host == "evil.example.com" {
				return "[ALERT] evil"
			}
		}
		return ""
	}
	dev := w.agent("dev", "dev.1", refuse)
	w.give(snapshot(web))
	w.until("first generation", w.confirmed("dev", 1))
	changed := web
	changed.host, changed.address = "evil.example.com", "10.0.0.7"
	w.give(snapshot(changed))
	w.until("it is quarantined", w.problem("quarantined-by-engine", "web"))
	w.until("its endpoint is followed", dev.serves("web.example.com", "10.0.0.7:80"))
	w.until("the state is stored", w.stored("quarantine"))

	w.stop()
	w.start()
	dev.stop()
	dev.connect()
	changed.address = "10.0.0.8"
	w.give(snapshot(changed))
	w.until("its endpoint is followed", dev.serves("web.example.com", "10.0.0.8:80"))
	w.until("it is still quarantined", w.problem("quarantined-by-engine", "web"))
	if got := w.cluster("dev"); got.Generation.Generation != 1 {
		t.Errorf("generation %v", got.Generation)
	}
}

func (w *world) stored(word string) func() bool {
	return func() bool {
		data, _ := w.store.LoadState(w.t.Context(), "dev")
		return bytes.Contains(data, []byte(word))
	}
}

// TestRestart: core loads what it confirmed, publishes nothing new, and brings a
// proxy that is empty to it without asking anybody.
func TestRestart(t *testing.T) {
	w := newWorld(t)
	w.start()
	dev := w.agent("dev", "dev.1", nil)
	w.give(snapshot(web))
	w.until("first generation", w.confirmed("dev", 1))
	w.until("the state is stored", w.stored(`"confirmed":{"epoch":1,"generation":1}`))
	w.stop()
	dev.stop()

	w.start()
	empty := w.agent("dev", "dev.2", nil)
	w.until("the empty proxy has the routes before anything is seen", func() bool { return empty.targets("web.example.com") == "" })
	half := snapshot()
	half.Doubt.Services = true
	w.give(half)
	w.give(snapshot(web))
	w.until("and the endpoints after", empty.serves("web.example.com", "10.0.0.2:80"))
	dev.connect()
	w.until("the old one is synced", func() bool { return len(w.cluster("dev").Proxies) == 2 && w.cluster("dev").State == api.Ready })
	if got := w.cluster("dev").Generation; got != (bundle.Position{Epoch: 1, Generation: 1}) || dev.offers != 1 {
		t.Errorf("generation %v, %d offers", got, dev.offers)
	}
}

// TestLostStore: agents that outlived the store are not stranded.
func TestLostStore(t *testing.T) {
	w := newWorld(t)
	w.start()
	dev := w.agent("dev", "dev.1", nil)
	w.give(snapshot(web))
	w.until("first generation", w.confirmed("dev", 1))
	w.stop()
	dev.stop()
	w.store = store.New(&store.Memory{})
	w.start()
	dev.connect()
	w.give(snapshot(web))
	w.until("a generation past the agent's", func() bool {
		c := w.cluster("dev")
		return c.State == api.Ready && c.Generation == bundle.Position{Epoch: 2, Generation: 2}
	})
}

// TestClusterAtFault: a base that the engine refuses freezes its cluster and
// blames nobody; the others go on (I1).
func TestClusterAtFault(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.agent("dev", "dev.1", func(routing.Table) string { return "[ALERT] in global" })
	prod := w.agent("prod", "prod.1", nil)
	w.give(snapshot(web, shop))
	w.until("dev is frozen", func() bool { return w.cluster("dev").State == api.Frozen })
	w.until("prod serves", prod.serves("shop.example.com", "10.0.1.2:80"))
	if w.problem("quarantined-by-engine", "web")() {
		t.Error("a service is blamed")
	}
	if !w.problem("cluster-frozen", "")() {
		t.Error("nothing is said")
	}
}

// TestPanicConcernsItsCluster: what kills a pipeline leaves the others alone,
// and it comes back.
func TestPanicConcernsItsCluster(t *testing.T) {
	w := newWorld(t)
	w.start()
	dev, prod := w.agent("dev", "dev.1", nil), w.agent("prod", "prod.1", nil)
	w.give(snapshot(web, shop))
	w.until("both serve", func() bool { return w.confirmed("dev", 1)() && w.confirmed("prod", 1)() })
	w.core.pipelines["dev"].life.post(linked{nil}) // a nil session: as wrong as can be
	moved := shop
	moved.address = "10.0.1.3"
	w.give(snapshot(web, moved))
	w.until("prod follows", prod.serves("shop.example.com", "10.0.1.3:80"))
	moved2 := web
	moved2.address = "10.0.0.5"
	w.give(snapshot(moved2, moved))
	w.until("dev is back", dev.serves("web.example.com", "10.0.0.5:80"))
	w.until("dev is ready", func() bool { return w.cluster("dev").State == api.Ready })
	if dev.offers != 1 {
		t.Errorf("%d offers to dev", dev.offers)
	}
}

// TestDrain: a proxy whose task is meant to stop is told at once.
func TestDrain(t *testing.T) {
	w := newWorld(t)
	w.start()
	dev := w.agent("dev", "proxytask", nil)
	s := snapshot(web)
	s.Services = append(s.Services, swarm.Service{ID: "zz", Name: "interlock-proxy-dev"})
	s.Tasks = append(s.Tasks, swarm.Task{ID: "proxytask", ServiceID: "zz", Slot: 1, State: "running", Desired: "running"})
	w.give(s)
	w.until("ready", w.confirmed("dev", 1))
	s.Tasks = slices.Clone(s.Tasks)
	s.Tasks[1].Desired = "shutdown"
	w.give(s)
	w.until("it drains", func() bool {
		dev.mu.Lock()
		defer dev.mu.Unlock()
		return dev.drained
	})
}

// refusingStore can't be written while down is set.
type refusingStore struct {
	Store
	mu   sync.Mutex
	down bool
}

func (s *refusingStore) set(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

func (s *refusingStore) SaveState(ctx context.Context, slug string, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return errors.New("no quorum")
	}
	return s.Store.SaveState(ctx, slug, data)
}

// TestStoreDown: structure stands, endpoints flow, and it is said.
func TestStoreDown(t *testing.T) {
	w := newWorld(t)
	s := &refusingStore{Store: w.store}
	w.store = s
	w.start()
	dev := w.agent("dev", "dev.1", nil)
	w.give(snapshot(web))
	w.until("first generation", w.confirmed("dev", 1))
	w.until("the state is stored", w.stored(`"confirmed":{"epoch":1`))
	s.set(true)
	moved := web
	moved.address = "10.0.0.7"
	blog := app{name: "blog", collection: "/dev", host: "blog.example.com", port: "81", address: "10.0.0.3"}
	w.give(snapshot(moved, blog))
	w.until("endpoints flow", dev.serves("web.example.com", "10.0.0.7:80"))
	w.until("it is said", w.problem("store-unwritable", ""))
	if dev.targets("blog.example.com") != "no route" {
		t.Error("published without being stored")
	}
	s.set(false)
	w.until("it is made up for", dev.serves("blog.example.com", "10.0.0.3:81"))
}

// TestExtensionRefuses: a table that the extension refuses is taken apart like
// one that the engine refuses; an extension that does not answer blames nobody.
func TestExtensionRefuses(t *testing.T) {
	w := newWorld(t)
	w.renderer.fault = func(t routing.Table) error {
		if words := poison(t); words != "" {
			return &extension.Refusal{Words: words}
		}
		return nil
	}
	w.start()
	dev := w.agent("dev", "dev.1", nil)
	w.give(snapshot(web, app{name: "poison", collection: "/dev", host: "bad.example.com", port: "80", address: "10.0.0.66"}))
	w.until("web is live", dev.serves("web.example.com", "10.0.0.2:80"))
	w.until("the guilty one is named", w.problem("quarantined-by-engine", "poison"))
}

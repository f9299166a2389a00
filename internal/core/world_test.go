package core

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
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

const patience = time.Minute

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

// renderer renders for the embedded engine; it panics or refuses on demand, or
// makes its file larger.
type renderer struct {
	fault func(routing.Table) error
	pad   func(routing.Table) string
}

func (r renderer) Render(_ context.Context, _ config.Cluster, t routing.Table) (bundle.Bundle, error) {
	if r.fault != nil {
		if err := r.fault(t); err != nil {
			return bundle.Bundle{}, err
		}
	}
	if r.pad != nil {
		t.Base.GlobalOptions = []string{r.pad(t)}
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
	w := &world{t: t, identity: id, log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	if testing.Verbose() {
		w.log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	w.store = w.emptyStore()
	w.config = config.Parse([]byte(configText), "config.toml")
	for i := range w.config.Clusters {
		w.config.Clusters[i].Engine = bundle.Embedded
	}
	if len(w.config.Clusters) != 2 {
		t.Fatal(w.config.Problems)
	}
	return w
}

func (w *world) emptyStore() *store.Store {
	return store.New(&store.Memory{}, w.identity.SigningKey(), w.log)
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
		Timing: Timing{Quiet: 5 * time.Millisecond, Settle: 20 * time.Millisecond, Provision: 100 * time.Millisecond},
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
		hello.ConfirmedSignature = a.confirmed.Signature
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

func (w *world) stored(word string) func() bool {
	return func() bool {
		data, _ := w.store.LoadState(w.t.Context(), "dev")
		return bytes.Contains(data, []byte(word))
	}
}

package compile_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"interlock/internal/compile"
	"interlock/internal/config"
	"interlock/internal/label"
	"interlock/internal/problems"
	"interlock/internal/swarm"
	"interlock/routing"
)

// encoded is everything that X's proxies and operators see of a compilation.
func encoded(t *rapid.T, out compile.Output) string {
	data, err := json.MarshalIndent(out, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// settled is a Swarm that was compiled once and confirmed.
type settled struct {
	snap     swarm.Snapshot
	clusters []config.Cluster
	all      compile.AllOutput
	states   map[string]compile.State
}

func settle(t *rapid.T) settled {
	s := settled{snap: genSnapshot(t, 1, 8), clusters: genClusters(t), states: map[string]compile.State{}}
	s.all = compile.All(compile.AllInput{Snapshot: s.snap, Clusters: s.clusters})
	for name, out := range s.all.Clusters {
		s.states[name] = compile.Confirm(out.State, out.Present)
	}
	return s
}

// next compiles another snapshot with what was settled.
func (s settled) next(snap swarm.Snapshot, clusters []config.Cluster) compile.AllOutput {
	return compile.All(compile.AllInput{Snapshot: snap, Clusters: clusters, Homes: s.all.Homes, States: s.states, Elapsed: time.Second})
}

// TestBulkhead is I1: whatever changes outside of dev, dev's table, endpoints,
// problems and state are the same bytes.
func TestBulkhead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := settle(t)
		before := s.next(s.snap, s.clusters).Clusters["dev"]
		snap := outside(t, s, before)
		clusters := []config.Cluster{genCluster("other", "/dev").Draw(t, "other"), s.clusters[0]}
		if rapid.Bool().Draw(t, "with prod") {
			clusters = append(clusters, genCluster("prod", "/prod").Draw(t, "prod"))
		}
		after := s.next(snap, clusters).Clusters["dev"]
		if diff := cmp.Diff(encoded(t, before), encoded(t, after)); diff != "" {
			t.Fatalf("dev changed:\n%s", diff)
		}
	})
}

// outside changes the snapshot where it does not concern dev: services that
// dev neither admitted nor holds come, go and change, with their tasks.
func outside(t *rapid.T, s settled, dev compile.Output) swarm.Snapshot {
	snap := s.snap
	snap.Services, snap.Tasks = nil, nil
	stranger := map[string]bool{}
	for _, service := range s.snap.Services {
		if !swarm.InCollection(service.Collection(), "/dev") && service.Collection() != "" && !ofDev(dev, service.ID) {
			stranger[service.ID] = true
			continue
		}
		snap.Services = append(snap.Services, service)
	}
	for _, task := range s.snap.Tasks {
		if !stranger[task.ServiceID] {
			snap.Tasks = append(snap.Tasks, task)
		}
	}
	for i := range rapid.IntRange(0, 4).Draw(t, "strangers") {
		s := addService(t, &snap, fmt.Sprint(100+i))
		s.Labels[swarm.CollectionLabel] = rapid.SampledFrom([]string{"/prod", "/test", "/development"}).Draw(t, "theirs")
	}
	snap.Networks = append(slices.Clone(snap.Networks), swarm.Network{ID: "new", Name: "new", Driver: "overlay"})
	return shuffled(t, snap)
}

func ofDev(dev compile.Output, id string) bool {
	_, good := dev.State.Good[id]
	return good || inTable(dev.Table, id)
}

// TestOwnFaultOwnLoss is I2: one more service with any labels takes no request
// from another stack, and changes none of its options. The default backend is
// there for what nobody claims.
func TestOwnFaultOwnLoss(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := settle(t)
		before := s.next(s.snap, s.clusters).Clusters["dev"]
		snap := s.snap
		snap.Services = slices.Clone(snap.Services)
		guilty := addService(t, &snap, "99")
		if rapid.Bool().Draw(t, "any labels") {
			stack, collection := guilty.Labels[swarm.StackLabel], guilty.Labels[swarm.CollectionLabel]
			clear(guilty.Labels)
			maps.Copy(guilty.Labels, rapid.MapOf(genLabelName(), rapid.String()).Draw(t, "labels"))
			guilty.Labels[swarm.StackLabel], guilty.Labels[swarm.CollectionLabel] = stack, collection
		}
		after := s.next(snap, s.clusters).Clusters["dev"]
		sameForOthers(t, guilty.Owner(), before, after)
	})
}

func genLabelName() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		names := []string{"hosts", "port", "network", "context_root", "service_cluster", "default_backend", "backend_mode", "algorithm"}
		return label.Prefix + rapid.OneOf(rapid.SampledFrom(names), rapid.String()).Draw(t, "name")
	})
}

// requests are enough to ask for every host and path of the pools.
func requests() []routing.Request {
	var all []routing.Request
	for _, host := range []string{"x.example.com", "y.example.com", "q.example.com", "z.sub.example.com", "q.sub.example.com", "other.test", "deep.z.sub.example.com", "nowhere.test"} {
		for _, target := range []string{"/", "/app", "/app/x", "/apple"} {
			all = append(all, routing.Request{Method: "GET", Target: target, Proto: "HTTP/1.1", Hosts: []string{host}})
		}
	}
	return all
}

func sameForOthers(t *rapid.T, guilty string, before, after compile.Output) {
	was, is := routing.NewResolver(before.Table), routing.NewResolver(after.Table)
	for _, req := range requests() {
		d, e := was.Resolve(req), is.Resolve(req)
		if d.Route == nil || d.Route.Host == routing.DefaultHost || ownerOf(before.Table, d.Route.Backends[0]) == guilty {
			continue
		}
		if diff := cmp.Diff(answer(before, d), answer(after, e)); diff != "" {
			t.Fatalf("%s%s changed:\n%s", req.Hosts[0], req.Target, diff)
		}
	}
}

func ownerOf(t routing.Table, id string) string {
	for _, b := range t.Backends {
		if b.ID == id && b.Stack != "" {
			return b.Stack
		} else if b.ID == id {
			return "service:" + b.Service
		}
	}
	return ""
}

// answered is all that matters for one request.
type answered struct {
	Decision  routing.Decision
	Backends  []routing.Backend
	Endpoints [][]routing.Endpoint
}

func answer(out compile.Output, d routing.Decision) answered {
	a := answered{Decision: d}
	if d.Route == nil {
		return a
	}
	for _, id := range d.Route.Backends {
		for _, b := range out.Table.Backends {
			if b.ID == id {
				a.Backends = append(a.Backends, b)
			}
		}
		a.Endpoints = append(a.Endpoints, out.Endpoints[id])
	}
	return a
}

// TestMistakeKeepsRoutes: a service whose new labels are not accepted keeps
// every route it had, whatever the mistake.
func TestMistakeKeepsRoutes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := settle(t)
		before := s.next(s.snap, s.clusters).Clusters["dev"]
		snap := s.snap
		snap.Services = slices.Clone(snap.Services)
		i := rapid.IntRange(0, len(snap.Services)-1).Draw(t, "guilty")
		guilty := &snap.Services[i]
		guilty.Labels = maps.Clone(guilty.Labels)
		mistake := rapid.SampledFrom([]string{"hosts=http://x", "port=0", "prot=80", "context_root=/../x", "network=nowhere", "service_cluster=nowhere", "ip_hash=yes"}).Draw(t, "mistake")
		name, value, _ := strings.Cut(mistake, "=")
		guilty.Labels[label.Prefix+name] = value
		after := s.next(snap, s.clusters).Clusters["dev"]
		if diff := cmp.Diff(before.Table, after.Table); diff != "" && inTable(before.Table, guilty.ID) {
			t.Fatalf("%s: %s changed the table:\n%s", guilty.Name, mistake, diff)
		}
	})
}

func inTable(t routing.Table, service string) bool {
	return slices.ContainsFunc(t.Backends, func(b routing.Backend) bool { return b.ServiceID == service })
}

// TestTotalAndDeterministic is I4: the same bytes and the same next state
// whatever the order, the table always valid.
func TestTotalAndDeterministic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := settle(t)
		snap := s.snap
		if rapid.Bool().Draw(t, "changed") {
			snap = genSnapshot(t, 3, 8)
		}
		one := s.next(snap, s.clusters)
		two := s.next(shuffled(t, snap), rapid.Permutation(s.clusters).Draw(t, "clusters"))
		if diff := cmp.Diff(one, two); diff != "" {
			t.Fatalf("order matters:\n%s", diff)
		}
		for name, out := range one.Clusters {
			if err := out.Table.Validate(); err != nil {
				t.Fatalf("cluster %s: %v", name, err)
			}
		}
	})
}

// TestStoredState: what comes back from the store has the same effect.
func TestStoredState(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := settle(t)
		snap := genSnapshot(t, 3, 8)
		for name, state := range s.states {
			state.Seen = nil // never stored
			s.states[name] = state
		}
		before := s.next(snap, s.clusters)
		data, err := json.Marshal(s.states)
		if err != nil {
			t.Fatal(err)
		}
		s.states = nil
		if err := json.Unmarshal(data, &s.states); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, s.next(snap, s.clusters)); diff != "" {
			t.Fatalf("the store matters:\n%s", diff)
		}
	})
}

// TestRememberedLabelsAreBounded: a service with large labels is served and has
// no last known good, so that it can't fill what the cluster stores.
func TestRememberedLabelsAreBounded(t *testing.T) {
	for padding, remembered := range map[int]bool{4 << 10: true, 60 << 10: false} {
		s := swarm.Service{ID: "s", Name: "s", Networks: []string{"n"}, Labels: map[string]string{
			"com.docker.lb.hosts": "a.example.com", "com.docker.lb.port": "80",
			"com.docker.lb.routes.x.hosts": strings.Repeat("x", padding),
		}}
		out := compile.Compile(compile.Input{Admitted: []swarm.Service{s}, Networks: []swarm.Network{{ID: "n", Name: "n"}}, ProxyNetworks: []string{"n"}})
		if _, ok := out.Present["s"]; ok != remembered || len(out.Table.Routes) != 1 {
			t.Errorf("%d bytes: remembered is %v, %d routes", padding, ok, len(out.Table.Routes))
		}
		said := slices.ContainsFunc(out.Problems, func(p routing.Problem) bool { return p.Code == problems.LabelsNotRemembered && p.Service == "s" })
		if said == remembered {
			t.Errorf("%d bytes: %v", padding, out.Problems)
		}
	}
}

// TestHostsOfOneServiceAreBounded: a thousand refused hosts fill no report.
func TestHostsOfOneServiceAreBounded(t *testing.T) {
	var hosts []string
	for i := range 1000 {
		hosts = append(hosts, fmt.Sprintf("h%d.example.com", i))
	}
	out := compile.Compile(compile.Input{
		Cluster:       config.Cluster{Name: "dev", Policy: config.Policy{Hosts: []string{"*.test"}}},
		ProxyNetworks: []string{"web"}, Networks: []swarm.Network{{ID: "web", Name: "web"}},
		Admitted: []swarm.Service{{ID: "s", Name: "s", Networks: []string{"web"}, Labels: map[string]string{
			label.Prefix + "hosts": strings.Join(hosts, ","), label.Prefix + "port": "80",
		}}},
	})
	if len(out.Problems) > 80 || len(out.Lost) > 80 || len(out.Problems) == 0 {
		t.Errorf("%d problems, %d losses", len(out.Problems), len(out.Lost))
	}
}

// TestIncumbentFirst is I5: over any changes a host keeps its owner as long as
// the owner asks for it.
func TestIncumbentFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := settle(t)
		later := genSnapshot(t, 50, 6)
		asking := map[string]bool{}
		for _, service := range s.snap.Services {
			if ofDev(s.all.Clusters["dev"], service.ID) {
				later.Services = append(later.Services, service)
				asking[service.ID] = true
			}
		}
		for _, task := range s.snap.Tasks {
			if asking[task.ServiceID] {
				later.Tasks = append(later.Tasks, task)
			}
		}
		before, after := s.all.Clusters["dev"], s.next(later, s.clusters).Clusters["dev"]
		for _, r := range before.Table.Routes {
			if got := holderOf(after.Table, r); got != ownerOf(before.Table, r.Backends[0]) {
				t.Fatalf("%s%s went from %s to %q", r.Host, r.Path, ownerOf(before.Table, r.Backends[0]), got)
			}
		}
	})
}

func holderOf(t routing.Table, r routing.Route) string {
	for _, other := range t.Routes {
		if other.Host == r.Host && other.Path == r.Path {
			return ownerOf(t, other.Backends[0])
		}
	}
	return ""
}

// TestNeverShrinksOnDoubt is I6: tasks that vanish from the snapshot stay
// endpoints unless there is a reason, and what has ended is gone at once.
func TestNeverShrinksOnDoubt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := settle(t)
		dev := s.all.Clusters["dev"]
		snap := s.snap
		snap.Tasks = nil
		ended, vanished := map[string]bool{}, map[string]bool{}
		for _, task := range s.snap.Tasks {
			switch rapid.IntRange(0, 2).Draw(t, "fate of "+task.ID) {
			case 0:
				vanished[task.ID] = true
				continue
			case 1:
				task.Desired = "shutdown"
				ended[task.ID] = true
			}
			snap.Tasks = append(snap.Tasks, task)
		}
		for i := range snap.Services {
			snap.Services[i].Replicas = 9 // so that no task is superfluous
		}
		after := s.next(snap, s.clusters).Clusters["dev"]
		for id, endpoints := range dev.Endpoints {
			if _, routed := backendOf(after.Table, id); !routed {
				continue // its service was placed out of the cluster
			}
			for _, e := range endpoints {
				present := slices.Contains(after.Endpoints[id], e)
				if ended[e.Task] && present || vanished[e.Task] && !present {
					t.Fatalf("endpoint %v: ended %v, vanished %v, present %v", e, ended[e.Task], vanished[e.Task], present)
				}
			}
		}
	})
}

func backendOf(t routing.Table, id string) (routing.Backend, bool) {
	i := slices.IndexFunc(t.Backends, func(b routing.Backend) bool { return b.ID == id })
	if i < 0 {
		return routing.Backend{}, false
	}
	return t.Backends[i], true
}

// FuzzCompile is I4 for label text.
func FuzzCompile(f *testing.F) {
	for _, v := range append(hostile, hostPool...) {
		f.Add("hosts", v, "/app")
		f.Add("network", v, v)
	}
	f.Fuzz(func(t *testing.T, name, value, root string) {
		service := swarm.Service{ID: "1", Name: "s", Networks: []string{"web"}, Labels: map[string]string{
			label.Prefix + "hosts": "x.example.com", label.Prefix + "port": "80", label.Prefix + name: value, label.Prefix + "context_root": root,
			swarm.CollectionLabel: "/dev",
		}}
		in := compile.AllInput{
			Snapshot: swarm.Snapshot{Services: []swarm.Service{service}, Networks: []swarm.Network{{ID: "web", Name: "web"}}},
			Clusters: []config.Cluster{{Name: "dev", Networks: []string{"web"}, Policy: config.Policy{Collections: []string{"/dev"}}}},
		}
		out := compile.All(in)
		if err := out.Clusters["dev"].Table.Validate(); err != nil {
			t.Fatal(err)
		}
		if len(out.Clusters["dev"].Table.Routes) == 0 && len(out.Problems) == 0 {
			t.Fatal("neither a route nor a problem")
		}
	})
}

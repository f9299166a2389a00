package provision_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"interlock/internal/config"
	"interlock/internal/provision"
	"interlock/internal/swarm"
)

var rewrite = flag.Bool("update", false, "rewrite the golden files")

// TestStories runs the script in each testdata/*.txtar: a Swarm is described and
// changed step by step, "plan" prints a plan and does what it says, and the
// whole output is the file called out. See world.do for the commands.
func TestStories(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) { story(t, path) })
	}
}

func story(t *testing.T, path string) {
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	for _, f := range archive.Files {
		w.files[f.Name] = f.Data
	}
	for line := range strings.Lines(string(w.files["script"])) {
		if fields := strings.Fields(line); len(fields) > 0 && !strings.HasPrefix(line, "#") {
			fmt.Fprintf(&w.out, "> %s\n", strings.TrimSpace(line))
			w.do(fields[0], fields[1:])
		}
	}
	if *rewrite {
		for i := range archive.Files {
			if archive.Files[i].Name == "out" {
				archive.Files[i].Data = []byte(w.out.String())
			}
		}
		if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(w.files["out"]), w.out.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// world is a Swarm that believes every plan and carries it out at once.
type world struct {
	t     *testing.T
	files map[string][]byte
	out   strings.Builder
	in    provision.Input
}

func newWorld(t *testing.T) *world {
	return &world{t: t, files: map[string][]byte{}, in: provision.Input{
		Settings: provision.SettingsOf("interlock:1", "", "0123456789abcdef"),
		Present:  map[string]provision.Present{},
		Rolling:  map[string]bool{}, Unready: map[string]bool{}, Wanted: map[string][]string{},
		Now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}}
}

func (w *world) do(command string, args []string) {
	s := &w.in.Snapshot
	switch command {
	case "config": // FILE
		f := config.Parse(w.files[args[0]], args[0])
		for _, p := range f.Problems {
			w.t.Errorf("%s: %s", args[0], p.Message)
		}
		w.in.Clusters = f.Clusters
		for _, c := range f.Clusters {
			w.in.Unready[c.Name] = false
		}
	case "image": // core's IMAGE [PROXY-IMAGE named at installation]
		w.in.Settings = provision.SettingsOf(args[0], strings.Join(args[1:], ""), w.in.Settings.Authority)
	case "authority":
		w.in.Settings.Authority = args[0]
	case "available": // NODE AVAILABILITY
		for i, n := range s.Nodes {
			if n.ID == args[0] {
				s.Nodes[i].Availability = args[1]
			}
		}
	case "node": // ID STATE [LABEL=VALUE…]
		n := swarm.Node{ID: args[0], Hostname: args[0], Role: "worker", State: args[1], Availability: "active", Labels: map[string]string{}}
		for _, pair := range args[2:] {
			key, value, _ := strings.Cut(pair, "=")
			n.Labels[key] = value
		}
		s.Nodes = append(drop(s.Nodes, func(o swarm.Node) bool { return o.ID == n.ID }), n)
	case "network": // NAME SUBNET [DRIVER]
		s.Networks = append(s.Networks, swarm.Network{ID: "id-" + args[0], Name: args[0], Subnets: args[1:2],
			Driver: strings.Join(append(args[2:], "overlay")[:1], "")})
	case "foreign": // SERVICE PORT host|ingress
		port, _ := strconv.Atoi(args[1])
		s.Services = append(s.Services, swarm.Service{ID: "id-" + args[0], Name: args[0],
			Published: []swarm.Published{{Port: port, Host: args[2] == "host"}}})
	case "tasks": // SERVICE [NODE…]: its tasks run exactly there
		id := "id-" + args[0]
		s.Tasks = drop(s.Tasks, func(t swarm.Task) bool { return t.ServiceID == id })
		for i, node := range args[1:] {
			s.Tasks = append(s.Tasks, swarm.Task{ID: fmt.Sprint(id, i), ServiceID: id, NodeID: node,
				State: "running", Desired: "running"})
		}
	case "state": // SERVICE UPDATE-STATE AGE
		age, _ := time.ParseDuration(args[2])
		p := w.in.Present[args[0]]
		p.UpdateState, p.UpdateStarted = args[1], w.in.Now.Add(-age)
		w.in.Present[args[0]] = p
	case "replaced": // AGE
		age, _ := time.ParseDuration(args[0])
		w.in.Replaced = w.in.Now.Add(-age)
	case "byhand": // SERVICE REPLICAS
		p := w.in.Present[args[0]]
		p.Spec.Replicas, _ = strconv.ParseUint(args[1], 10, 64)
		w.in.Present[args[0]] = p
	case "unready": // CLUSTER true|false|unknown
		w.in.Unready[args[0]] = args[1] == "true"
		if args[1] == "unknown" {
			delete(w.in.Unready, args[0])
		}
	case "rolling": // CLUSTER true|false
		w.in.Rolling[args[0]] = args[1] == "true"
	case "wanted": // CLUSTER [NETWORK…]
		w.in.Wanted[args[0]] = nil
		for _, name := range args[1:] {
			w.in.Wanted[args[0]] = append(w.in.Wanted[args[0]], "id-"+name)
		}
	case "doubt": // true|false
		s.Doubt.Services = args[0] == "true"
	case "plan":
		w.plan()
	case "show": // SERVICE, in full
		encoded, _ := json.MarshalIndent(w.in.Present[args[0]].Spec, "", "  ")
		fmt.Fprintf(&w.out, "%s\n", encoded)
	default:
		w.t.Fatalf("unknown command %s", command)
	}
}

func drop[T any](list []T, which func(T) bool) []T {
	var out []T
	for _, v := range list {
		if !which(v) {
			out = append(out, v)
		}
	}
	return out
}

func (w *world) plan() {
	p := provision.Make(w.in)
	for _, a := range p.Actions {
		fmt.Fprintf(&w.out, "%s %s [%s]", a.Kind, a.Name, a.Cluster)
		if a.Network != nil {
			fmt.Fprintf(&w.out, " %s", a.Network.Subnet)
		}
		if a.Service != nil {
			fmt.Fprintf(&w.out, " %s", a.Service.Image)
		}
		fmt.Fprintln(&w.out)
		for _, c := range a.Changes {
			fmt.Fprintf(&w.out, "    %s: %s -> %s\n", c.Field, c.From, c.To)
		}
		w.apply(a)
	}
	for _, f := range p.Problems {
		fmt.Fprintf(&w.out, "%s %s [%s] %s: %s\n", f.Severity, f.Code, f.Cluster, f.Service, f.Message)
	}
}

func (w *world) apply(a provision.Action) {
	s := &w.in.Snapshot
	switch a.Kind {
	case provision.CreateNetwork:
		s.Networks = append(s.Networks, swarm.Network{ID: "id-" + a.Name, Name: a.Name, Driver: "overlay",
			Labels: a.Network.Labels, Subnets: []string{a.Network.Subnet}})
	case provision.CreateIdentity:
		s.Secrets = append(s.Secrets, swarm.Object{ID: "id-" + a.Name, Name: a.Name})
	case provision.CreateService:
		service := swarm.Service{ID: "id-" + a.Name, Name: a.Name, Labels: a.Service.Labels}
		for _, p := range a.Service.Ports {
			service.Published = append(service.Published, swarm.Published{Port: p.Published, Host: p.Host})
		}
		s.Services = append(s.Services, service)
		w.in.Present[a.Name] = provision.Present{ID: service.ID, Version: 1, Spec: *a.Service}
	case provision.UpdateService, provision.UndoService:
		before := w.in.Present[a.Name]
		if a.ID != before.ID || a.Version != before.Version {
			w.t.Errorf("%s %s: of %s at %d, which is %s at %d", a.Kind, a.Name, a.ID, a.Version, before.ID, before.Version)
		}
		w.in.Present[a.Name] = provision.Present{ID: a.ID, Version: a.Version + 1, Spec: *a.Service,
			Previous: &before.Spec, UpdateState: "completed", UpdateStarted: w.in.Now}
	}
}

package compile_test

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"interlock/internal/config"
	"interlock/internal/label"
	"interlock/internal/swarm"
	"interlock/routing"
)

// facts are one step of a story, as text:
//
//	cluster dev collections=/dev hosts=*.dev.example.com
//	network web
//	node n1 /dev
//	service shop_web age=3 stack=shop collection=/dev networks=web template=t2
//	  hosts: shop.dev.example.com        a routing label; quoted values are Go's
//	  .com.example.other: value          any other label
//	  was t1 port=8080                   the spec before
//	task shop_web.1 10.0.0.2 node=n1 state=shutdown template=t1
//	elapsed 1h · missing shop_web · doubt services · hold shop_web
//	quarantine shop_web words… · confirm
//
// Ids are names; age counts hours back, so that a greater one is older.
type facts struct {
	clusters   []config.Cluster
	snapshot   swarm.Snapshot
	elapsed    time.Duration
	hold       map[string]bool
	quarantine map[string]string
	confirm    bool
}

var now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func parseFacts(text string) (f facts, err error) {
	f.hold, f.quarantine = map[string]bool{}, map[string]string{}
	for i, line := range strings.Split(text, "\n") {
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if strings.HasPrefix(line, "  ") {
			err = f.detail(strings.TrimSpace(line))
		} else {
			err = f.object(strings.Fields(line))
		}
		if err != nil {
			return f, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	return f, nil
}

// options are the k=v words of a line.
func options(words []string) map[string]string {
	m := map[string]string{}
	for _, w := range words {
		if k, v, ok := strings.Cut(w, "="); ok {
			m[k] = v
		}
	}
	return m
}

func list(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

func (f *facts) object(w []string) error {
	o := options(w)
	switch w[0] {
	case "cluster":
		f.clusters = append(f.clusters, parseCluster(strings.Trim(w[1], `"`), o))
	case "network":
		f.snapshot.Networks = append(f.snapshot.Networks, swarm.Network{
			ID: w[1], Name: w[1], Driver: "overlay", Ingress: w[1] == "ingress",
			Labels: map[string]string{"com.docker.interlock.managed": o["managed"]},
		})
	case "node":
		f.snapshot.Nodes = append(f.snapshot.Nodes, swarm.Node{ID: w[1], Labels: map[string]string{swarm.CollectionLabel: o["collection"]}})
	case "service":
		f.snapshot.Services = append(f.snapshot.Services, parseService(w[1], o))
	case "task":
		f.snapshot.Tasks = append(f.snapshot.Tasks, f.parseTask(w[1], w[2], o))
	case "elapsed":
		f.elapsed, _ = time.ParseDuration(w[1])
	case "missing":
		f.snapshot.Doubt.MissingServices = map[string]time.Time{w[1]: now}
	case "doubt":
		f.snapshot.Doubt.Services = true
	case "hold":
		f.hold[w[1]] = true
	case "quarantine":
		f.quarantine[w[1]] = strings.Join(w[2:], " ")
	case "confirm":
		f.confirm = true
	default:
		return fmt.Errorf("unknown word %q", w[0])
	}
	return nil
}

func parseCluster(name string, o map[string]string) config.Cluster {
	c := config.Cluster{
		Name: name, Networks: list(o["networks"]), NetworkAttach: o["attach"], GuardHold: time.Minute,
		Base: routing.Base{HTTPPort: 80, HealthPort: 8404},
		Policy: config.Policy{
			Collections: list(o["collections"]), Stacks: list(o["stacks"]), Unlabelled: o["unlabelled"] == "true",
			Hosts: list(o["hosts"]), HostSharing: o["sharing"], ClaimHold: 24 * time.Hour,
			DefaultBackends:     o["default"] != "false",
			MaxRoutesPerService: number(o["perservice"]), MaxRoutes: number(o["routes"]),
			Owners: map[string]string{},
		},
		Unusable: o["unusable"],
	}
	for _, pair := range list(o["owners"]) {
		host, pattern, _ := strings.Cut(pair, ":")
		c.Policy.Owners[host] = pattern
	}
	return c
}

func parseService(name string, o map[string]string) swarm.Service {
	s := swarm.Service{
		ID: name, Name: name, Created: now.Add(-time.Duration(number(o["age"])) * time.Hour),
		Labels: map[string]string{}, Networks: list(o["networks"]), TemplateDigest: o["template"],
		Replicas: uint64(number(o["replicas"])), Global: o["global"] == "true", VIPs: map[string]string{},
	}
	for _, port := range list(o["exposed"]) {
		s.ExposedPorts = append(s.ExposedPorts, number(port))
	}
	for _, pair := range list(o["vips"]) {
		network, address, _ := strings.Cut(pair, ":")
		s.VIPs[network] = address
	}
	if o["stack"] != "" {
		s.Labels[swarm.StackLabel] = o["stack"]
	}
	if o["collection"] != "" {
		s.Labels[swarm.CollectionLabel] = o["collection"]
	}
	return s
}

// detail is a label or the former spec of the last service.
func (f *facts) detail(line string) error {
	if len(f.snapshot.Services) == 0 {
		return fmt.Errorf("%q is about no service", line)
	}
	s := &f.snapshot.Services[len(f.snapshot.Services)-1]
	if rest, ok := strings.CutPrefix(line, "was "); ok {
		w := strings.Fields(rest)
		s.Previous = &swarm.Spec{TemplateDigest: w[0], Labels: map[string]string{}}
		for k, v := range options(w) {
			s.Previous.Labels[label.Prefix+k] = v
		}
		return nil
	}
	name, value, _ := strings.Cut(line, ":")
	value = strings.TrimSpace(value)
	if strings.HasPrefix(value, `"`) {
		unquoted, err := strconv.Unquote(value)
		if err != nil {
			return fmt.Errorf("%s: %w", value, err)
		}
		value = unquoted
	}
	if other, ok := strings.CutPrefix(name, "."); ok {
		s.Labels[other] = value
	} else {
		s.Labels[label.Prefix+name] = value
	}
	return nil
}

// parseTask reads service.slot and an address, which is on every network of
// the service unless net= names one.
func (f *facts) parseTask(id, address string, o map[string]string) swarm.Task {
	dot := strings.LastIndex(id, ".")
	t := swarm.Task{
		ID: id + o["id"], ServiceID: id[:dot], Slot: number(id[dot+1:]), NodeID: o["node"],
		State: "running", Desired: "running", Addresses: map[string]string{}, TemplateDigest: o["template"],
	}
	if o["state"] != "" {
		t.State, t.Desired = o["state"], "shutdown"
	}
	if o["desired"] != "" {
		t.Desired = o["desired"]
	}
	for _, s := range f.snapshot.Services {
		if s.ID != t.ServiceID {
			continue
		}
		for _, n := range s.Networks {
			if o["net"] == "" || o["net"] == n {
				t.Addresses[n] = address
			}
		}
	}
	if o["net"] != "" {
		t.Addresses[o["net"]] = address
	}
	return t
}

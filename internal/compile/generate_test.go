package compile_test

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"interlock/internal/config"
	"interlock/internal/label"
	"interlock/internal/swarm"
	"interlock/routing"
)

// Small pools of names, so that what is generated collides.
var (
	collections = []string{"/dev", "/dev", "/dev", "/dev", "/dev", "/dev/web", "/prod", "/test", "/development"}
	stacks      = []string{"a", "b", "c", ""}
	hostPool    = []string{"x.example.com", "y.example.com", "*.example.com", "z.sub.example.com", "*.sub.example.com", "other.test", "deep.z.sub.example.com"}
	networkPool = []string{"web", "two", "private"}
	networkSets = [][]string{{"web"}, {"web"}, {"web"}, {"web"}, {"web", "private"}, {"web", "two"}, {"private"}, nil}
	hostile     = []string{"", "x.example.com:80", "http://x", "$(id)", "a b", "*", "**", "'%[env(HOME)]'", "\x00", "yes", "99999", "/../x", "é.example.com", "x\ny"}
)

func genCluster(name, collection string) *rapid.Generator[config.Cluster] {
	return rapid.Custom(func(t *rapid.T) config.Cluster {
		return config.Cluster{
			Name: name, GuardHold: time.Minute,
			Networks: rapid.SampledFrom([][]string{{"web"}, {"web", "two"}}).Draw(t, "networks"),
			Base:     routing.Base{HTTPPort: 80, HealthPort: 8404},
			Policy: config.Policy{
				Collections: []string{collection}, ClaimHold: 24 * time.Hour, DefaultBackends: rapid.Bool().Draw(t, "default"),
				Unlabelled: rapid.Bool().Draw(t, "unlabelled"),
				Hosts:      rapid.SampledFrom([][]string{nil, {"*.example.com"}}).Draw(t, "allowed"),
			},
		}
	})
}

// genClusters are dev, which the tests look at, and prod.
func genClusters(t *rapid.T) []config.Cluster {
	return []config.Cluster{genCluster("dev", "/dev").Draw(t, "dev"), genCluster("prod", "/prod").Draw(t, "prod")}
}

// genLabels are routing labels, mostly good.
func genLabels(t *rapid.T) map[string]string {
	labels := map[string]string{label.Prefix + "port": "80"}
	hosts := rapid.SliceOfN(rapid.SampledFrom(hostPool), 1, 3).Draw(t, "hosts")
	value := hosts[0]
	for _, h := range hosts[1:] {
		value += "," + h
	}
	labels[label.Prefix+"hosts"] = value
	for _, option := range []struct{ name, value string }{
		{"context_root", "/app"}, {"default_backend", "true"}, {"backend_mode", "vip"}, {"algorithm", "ip_hash"},
		{"service_cluster", "dev"}, {"service_cluster", "prod"}, {"network", "web"}, {"context_root_rewrite", "true"},
	} {
		if rapid.IntRange(0, 9).Draw(t, option.name) == 9 {
			labels[label.Prefix+option.name] = option.value
		}
	}
	if rapid.IntRange(0, 9).Draw(t, "broken") == 9 {
		name := rapid.SampledFrom([]string{"hosts", "port", "context_root", "network", "service_cluster", "prot", "ip_hash"}).Draw(t, "at")
		labels[label.Prefix+name] = rapid.OneOf(rapid.SampledFrom(hostile), rapid.String()).Draw(t, "value")
	}
	return labels
}

func genService(id string) *rapid.Generator[swarm.Service] {
	return rapid.Custom(func(t *rapid.T) swarm.Service {
		s := swarm.Service{
			ID: id, Name: "svc-" + id, Labels: genLabels(t),
			Created:        now.Add(-time.Duration(rapid.IntRange(0, 9).Draw(t, "age")) * time.Hour),
			Networks:       rapid.SampledFrom(networkSets).Draw(t, "on"),
			TemplateDigest: rapid.SampledFrom([]string{"t1", "t2"}).Draw(t, "template"),
			Replicas:       uint64(rapid.IntRange(0, 3).Draw(t, "replicas")),
			VIPs:           map[string]string{"web": "10.0.1." + id},
		}
		if stack := rapid.SampledFrom(stacks).Draw(t, "stack"); stack != "" {
			s.Labels[swarm.StackLabel] = stack
		}
		if rapid.IntRange(0, 9).Draw(t, "labelled") < 9 {
			s.Labels[swarm.CollectionLabel] = rapid.SampledFrom(collections).Draw(t, "collection")
		}
		return s
	})
}

func genTask(s swarm.Service, slot int) *rapid.Generator[swarm.Task] {
	return rapid.Custom(func(t *rapid.T) swarm.Task {
		task := swarm.Task{
			ID: fmt.Sprintf("%s.%d", s.ID, slot), ServiceID: s.ID, Slot: slot,
			NodeID:         rapid.SampledFrom([]string{"n1", "n2", "n3"}).Draw(t, "node"),
			State:          rapid.SampledFrom([]string{"running", "running", "starting", "shutdown"}).Draw(t, "state"),
			Desired:        rapid.SampledFrom([]string{"running", "running", "shutdown"}).Draw(t, "desired"),
			TemplateDigest: rapid.SampledFrom([]string{"t1", "t2"}).Draw(t, "template"),
			Addresses:      map[string]string{},
		}
		for _, n := range s.Networks {
			task.Addresses[n] = fmt.Sprintf("10.0.%s.%d", s.ID, slot)
		}
		return task
	})
}

// genSnapshot is a Swarm with services whose ids begin at first.
func genSnapshot(t *rapid.T, first, most int) swarm.Snapshot {
	var snap swarm.Snapshot
	for _, n := range networkPool {
		snap.Networks = append(snap.Networks, swarm.Network{ID: n, Name: n, Driver: "overlay"})
	}
	snap.Nodes = []swarm.Node{
		{ID: "n1", Labels: map[string]string{swarm.CollectionLabel: "/dev"}},
		{ID: "n2"},
		{ID: "n3"},
	}
	for i := range rapid.IntRange(1, most).Draw(t, "services") {
		addService(t, &snap, fmt.Sprint(first+i))
	}
	return snap
}

func addService(t *rapid.T, snap *swarm.Snapshot, id string) swarm.Service {
	s := genService(id).Draw(t, "service "+id)
	snap.Services = append(snap.Services, s)
	for slot := range rapid.IntRange(0, 3).Draw(t, "tasks") {
		snap.Tasks = append(snap.Tasks, genTask(s, slot+1).Draw(t, "task"))
	}
	return s
}

// shuffled is the same snapshot in another order.
func shuffled(t *rapid.T, snap swarm.Snapshot) swarm.Snapshot {
	snap.Services = rapid.Permutation(snap.Services).Draw(t, "services")
	snap.Tasks = rapid.Permutation(snap.Tasks).Draw(t, "tasks")
	snap.Nodes = rapid.Permutation(snap.Nodes).Draw(t, "nodes")
	snap.Networks = rapid.Permutation(slices.Clone(snap.Networks)).Draw(t, "networks")
	return snap
}

// Package synthetic makes snapshots of any size for the benchmarks: services
// in stacks with one host each, and their tasks.
package synthetic

import (
	"fmt"
	"time"

	"interlock/internal/config"
	"interlock/internal/swarm"
)

// NetworkID is the one overlay that all services and the proxies share.
const NetworkID = "net-bench"

// Snapshot has n services, each with its own host and the given number of
// running tasks, five services to a stack.
func Snapshot(n, tasks int) swarm.Snapshot {
	s := swarm.Snapshot{
		Networks: []swarm.Network{{ID: NetworkID, Name: "il-default", Driver: "overlay"}},
		Nodes:    []swarm.Node{{ID: "node", Hostname: "node", Role: "worker", State: "ready", Availability: "active"}},
		Services: make([]swarm.Service, 0, n),
		Tasks:    make([]swarm.Task, 0, n*tasks),
	}
	created := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range n {
		s.Services = append(s.Services, service(i, created.Add(time.Duration(i)*time.Second), uint64(tasks)))
		for j := range tasks {
			s.Tasks = append(s.Tasks, task(i, j, tasks))
		}
	}
	return s
}

// Cluster is a cluster that admits all of Snapshot.
func Cluster() config.Cluster {
	file := config.Parse([]byte("[Extensions.default]\n"), "bench")
	return file.Clusters[0]
}

// Host is the host of service i.
func Host(i int) string { return fmt.Sprintf("app-%05d.bench.example.com", i) }

func service(i int, created time.Time, replicas uint64) swarm.Service {
	return swarm.Service{
		ID:             fmt.Sprintf("svc%022d", i),
		Name:           fmt.Sprintf("stack%d_app%d", i/5, i),
		Created:        created,
		Networks:       []string{NetworkID},
		TemplateDigest: "template",
		Replicas:       replicas,
		Labels: map[string]string{
			swarm.StackLabel:          fmt.Sprintf("stack%d", i/5),
			"com.docker.lb.hosts":     Host(i),
			"com.docker.lb.port":      "8080",
			"com.docker.lb.network":   "il-default",
			"com.docker.lb.max_fails": "3",
		},
	}
}

func task(service, slot, per int) swarm.Task {
	n := service*per + slot
	return swarm.Task{
		ID:        fmt.Sprintf("task%021d", n),
		ServiceID: fmt.Sprintf("svc%022d", service),
		NodeID:    "node",
		Slot:      slot + 1,
		State:     swarm.TaskRunning, Desired: swarm.TaskRunning,
		TemplateDigest: "template",
		Addresses:      map[string]string{NetworkID: fmt.Sprintf("10.%d.%d.%d", 64+n/62500, n/250%250, 2+n%250)},
	}
}

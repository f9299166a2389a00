package compile_test

import (
	"fmt"
	"testing"
	"time"

	"interlock/internal/compile"
	"interlock/internal/config"
	"interlock/internal/label"
	"interlock/internal/swarm"
)

// BenchmarkAll compiles 10,000 services with three tasks each, at a first start
// and with the state of one.
func BenchmarkAll(b *testing.B) {
	in := compile.AllInput{Clusters: []config.Cluster{{
		Name: "dev", Networks: []string{"web"}, GuardHold: time.Minute,
		Policy: config.Policy{Collections: []string{"/dev"}, MaxRoutes: 20_000, ClaimHold: time.Hour},
	}}}
	in.Snapshot.Networks = []swarm.Network{{ID: "web", Name: "web"}}
	for i := range 10_000 {
		id := fmt.Sprintf("s%05d", i)
		in.Snapshot.Services = append(in.Snapshot.Services, swarm.Service{
			ID: id, Name: id, Networks: []string{"web"}, Created: now.Add(time.Duration(i) * time.Second), Replicas: 3,
			Labels: map[string]string{
				label.Prefix + "hosts": id + ".dev.example.com", label.Prefix + "port": "8080",
				swarm.CollectionLabel: "/dev", swarm.StackLabel: "stack" + id[:4],
			},
		})
		for slot := range 3 {
			in.Snapshot.Tasks = append(in.Snapshot.Tasks, swarm.Task{
				ID: fmt.Sprintf("%s.%d", id, slot), ServiceID: id, Slot: slot + 1, State: "running", Desired: "running",
				Addresses: map[string]string{"web": fmt.Sprintf("10.%d.%d.%d", slot, i/250, i%250)},
			})
		}
	}
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			compile.All(in)
		}
	})
	b.Run("again", func(b *testing.B) {
		first := compile.All(in)
		in.Homes = first.Homes
		in.States = map[string]compile.State{"dev": compile.Confirm(first.Clusters["dev"].State, first.Clusters["dev"].Present)}
		for b.Loop() {
			compile.All(in)
		}
	})
}

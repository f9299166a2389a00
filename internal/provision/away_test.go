package provision_test

import (
	"fmt"
	"strings"
	"testing"

	"interlock/internal/config"
	"interlock/internal/problems"
	"interlock/internal/provision"
	"interlock/internal/swarm"
)

// TestNodesAway: the hint says how to get a node back, and few are named.
func TestNodesAway(t *testing.T) {
	for availability, want := range map[string]string{
		"drain": "docker node update --availability active node0;",
		"pause": "docker node update --availability active node0;",
		"down":  "bring node0 back",
	} {
		in := provision.Input{
			Clusters: config.Parse([]byte("[Extensions.default]\n"), "config.toml").Clusters,
			Settings: provision.SettingsOf("interlock:1", "", "0123456789abcdef"),
			Unready:  map[string]bool{"": false},
		}
		for i := range 30 {
			n := swarm.Node{ID: fmt.Sprint("id", i), Hostname: fmt.Sprint("node", i), State: "ready", Availability: availability}
			if availability == "down" {
				n.State, n.Availability = "down", "active"
			}
			in.Snapshot.Nodes = append(in.Snapshot.Nodes, n)
		}
		found := 0
		for _, p := range provision.Make(in).Problems {
			if p.Code != problems.ProvisionNoNode {
				continue
			}
			found++
			if !strings.Contains(p.Hint, want) || !strings.Contains(p.Message, "and 25 more") || len(p.Message) > 400 {
				t.Errorf("%s: %s\nhint: %s", availability, p.Message, p.Hint)
			}
		}
		if found != 2 {
			t.Errorf("%s: %d problems about the extension's and the proxies' nodes", availability, found)
		}
	}
}

package provision_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"interlock/internal/config"
	"interlock/internal/provision"
	"interlock/internal/swarm"
)

func installed(t *testing.T, in provision.Install) []string {
	t.Helper()
	var out []string
	plan := provision.MakeInstall(in)
	for _, p := range plan.Problems {
		out = append(out, "problem "+p.Message)
	}
	for _, a := range plan.Actions {
		line := fmt.Sprintf("%s %s", a.Kind, a.Name)
		for _, c := range a.Changes {
			line += fmt.Sprintf("; %s: %s -> %s", c.Field, c.From, c.To)
		}
		out = append(out, line)
	}
	return out
}

// TestInstall: the first run makes what core needs, the second nothing, another
// config.toml what it differs in; the authority is made once.
func TestInstall(t *testing.T) {
	one := []byte("[Extensions.dev]\nServiceCluster = \"dev\"\nCollections = [\"/dev\"]\n")
	two := slices.Concat(one, []byte("PublishedPort = 8081\n[Extensions.prod]\nServiceCluster = \"prod\"\nCollections = [\"/prod\"]\n"))
	in := provision.Install{
		Config: one, Clusters: config.Parse(one, "one").Clusters,
		Core: provision.Core{Image: "interlock:1"}, Authority: "0123456789abcdef", First: true,
	}
	want := []string{
		"create-network il-extension", "create-network il-dev-control",
		"create-identity interlock-core-identity", "create-identity il-extension-identity-01234567", "create-identity il-dev-identity-01234567",
		"create-config interlock-config-afe5a6fc314d", "create-service interlock-core",
	}
	if diff := cmp.Diff(want, installed(t, in)); diff != "" {
		t.Fatalf("first run (-want +got):\n%s", diff)
	}
	for _, a := range provision.MakeInstall(in).Actions {
		switch a.Kind {
		case provision.CreateNetwork:
			in.Snapshot.Networks = append(in.Snapshot.Networks, swarm.Network{Name: a.Name, Subnets: []string{a.Network.Subnet}})
		case provision.CreateIdentity:
			in.Snapshot.Secrets = append(in.Snapshot.Secrets, swarm.Object{Name: a.Name, Labels: a.Labels})
		case provision.CreateConfig:
			in.Snapshot.Configs = append(in.Snapshot.Configs, swarm.Object{Name: a.Name, Labels: a.Labels})
		case provision.CreateService:
			in.Present = map[string]provision.Present{a.Name: {ID: "core", Version: 3, Spec: *a.Service}}
		}
	}
	if got := provision.Authority(in.Snapshot.Secrets); got != in.Authority {
		t.Errorf("the authority is not found again: %q", got)
	}
	in.First = false
	if got := installed(t, in); len(got) != 0 {
		t.Errorf("second run: %q", got)
	}
	for age, name := range []string{"newer", "older", "oldest"} {
		in.Snapshot.Configs = append(in.Snapshot.Configs, swarm.Object{ID: name, Name: provision.ConfigPrefix + name,
			Labels: map[string]string{provision.ManagedLabel: "true"}, Created: time.Unix(int64(1000-age), 0)})
	}
	in.Config, in.Clusters = two, config.Parse(two, "two").Clusters
	got := installed(t, in)
	want = []string{
		"create-network il-prod-control",
		"create-config interlock-config-36ef6e14dc0b",
		"update-service interlock-core; networks:  -> il-prod-control; " +
			"configs: interlock-config-afe5a6fc314d at /config.toml -> interlock-config-36ef6e14dc0b at /config.toml",
		"remove-config interlock-config-older", "remove-config interlock-config-oldest",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("another config.toml (-want +got):\n%s", diff)
	}
	in.Present, in.Snapshot.Services = nil, []swarm.Service{{Name: provision.CoreService}}
	if got := installed(t, in); !strings.Contains(strings.Join(got, "\n"), "problem a service with this name exists") {
		t.Errorf("a foreign service of that name: %q", got)
	}
}

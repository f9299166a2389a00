package stackfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/tools/txtar"

	"interlock/internal/problems"
	"interlock/internal/stackfile"
	"interlock/internal/swarm"
)

func noEnv(string) (string, bool) { return "", false }

const full = `
services:
  web:
    image: x
    networks: {front: {}, back: {}}
    ports: ["8080:80", "443"]
    labels: {a: b}
    deploy:
      mode: global
      endpoint_mode: dnsrr
      labels:
        com.docker.lb.hosts: a.example.com
      placement:
        constraints: ["node.role==worker"]
  batch:
    image: x
    deploy: {replicas: 0}
networks:
  front: {external: true, name: edge}
  back: {}
`

func TestParse(t *testing.T) {
	p, found := stackfile.Parse(stackfile.Source{File: "shop.yml", Stack: "shop", Data: []byte(full)}, noEnv)
	if len(found) > 0 {
		t.Fatal(found)
	}
	want := stackfile.Project{
		Services: []stackfile.Service{
			{
				Stack: "shop", Name: "web", File: "shop.yml", Line: 3,
				Labels: map[string]string{"com.docker.lb.hosts": "a.example.com"}, ContainerLabels: map[string]string{"a": "b"},
				Networks: []string{"shop_back", "edge"}, TargetPorts: []int{80, 443}, Replicas: 1, Global: true, DNSRR: true,
				Constraints: []string{"node.role==worker"},
			},
			{
				Stack: "shop", Name: "batch", File: "shop.yml", Line: 15, Labels: map[string]string{}, ContainerLabels: map[string]string{},
				Networks: []string{"shop_default"},
			},
		},
		Networks: []stackfile.Network{
			{Name: "edge", External: true, Driver: "overlay"}, {Name: "shop_back", Driver: "overlay"}, {Name: "shop_default", Driver: "overlay"},
		},
	}
	if diff := cmp.Diff(want, p, cmpopts.IgnoreUnexported(stackfile.Service{})); diff != "" {
		t.Error(diff)
	}
	if line := p.Services[0].LineOf("com.docker.lb.hosts"); line != 12 {
		t.Errorf("label in line %d", line)
	}
	if line := p.Services[0].LineOfContainer("a"); line != 7 {
		t.Errorf("container label in line %d", line)
	}
}

func TestSnapshot(t *testing.T) {
	p, _ := stackfile.Parse(stackfile.Source{File: "shop.yml", Stack: "shop", Data: []byte(full)}, noEnv)
	snap := p.Snapshot("il-dev", "edge")
	var networks []string
	for _, n := range snap.Networks {
		networks = append(networks, n.Name)
	}
	if diff := cmp.Diff([]string{"edge", "il-dev", "shop_back", "shop_default"}, networks); diff != "" {
		t.Error(diff)
	}
	if len(snap.Services) != 2 || len(snap.Tasks) != 1 || !snap.Tasks[0].Serving() {
		t.Fatalf("%d services, tasks %+v", len(snap.Services), snap.Tasks)
	}
	for _, s := range snap.Services {
		if known := p.ByID()[s.ID]; known.DeployedName() != s.Name || s.Labels[swarm.StackLabel] != "shop" {
			t.Errorf("service %+v is %+v", s, known)
		}
	}
}

func TestLoadNamesStacksAfterFiles(t *testing.T) {
	dir := t.TempDir()
	var files []string
	for _, name := range []string{"shop.yml", "dev/app.yaml", "prod/app.yaml"} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("services: {web: {image: x}}\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	stacks := func(name string) []string {
		p, _, err := stackfile.Load(files, name, noEnv)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, s := range p.Services {
			out = append(out, s.Stack)
		}
		return out
	}
	if diff := cmp.Diff([]string{"shop", "dev-app", "prod-app"}, stacks("")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"s", "s", "s"}, stacks("s")); diff != "" {
		t.Error(diff)
	}
	if _, _, err := stackfile.Load([]string{filepath.Join(dir, "missing.yml")}, "", noEnv); err == nil {
		t.Error("a missing file is no error")
	}
}

func TestLoadOrReadsStandardInput(t *testing.T) {
	p, found, err := stackfile.LoadOr(strings.NewReader(full), []string{stackfile.Stdin}, "", noEnv)
	if err != nil || len(found) > 0 || len(p.Services) != 2 || p.Services[0].Stack != "stdin" {
		t.Errorf("%+v, %v, %v", p, found, err)
	}
	large := strings.NewReader(strings.Repeat("#", stackfile.MaxFile+1))
	if _, _, err := stackfile.LoadOr(large, []string{stackfile.Stdin}, "", noEnv); err == nil {
		t.Error("too much is read")
	}
}

// FuzzParse: any text gives a project or problems, and never both a refusal
// and a service that could be deployed.
func FuzzParse(f *testing.F) {
	archives, _ := filepath.Glob("../check/testdata/*.txtar")
	for _, name := range archives {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			if filepath.Ext(file.Name) == ".yml" {
				f.Add(file.Data)
			}
		}
	}
	f.Add([]byte(full))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, found := stackfile.Parse(stackfile.Source{File: "f.yml", Stack: "f", Data: data}, noEnv)
		for _, s := range p.Services {
			if s.Refused && !problems.Errors(found) {
				t.Errorf("service %q is refused without a reason", s.Name)
			}
		}
		for _, q := range found {
			if q.Line < 1 {
				t.Errorf("no line: %+v", q)
			}
		}
		p.Snapshot()
	})
}

package docker_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"interlock/internal/docker"
)

// lists is a small Swarm in which every secret text contains "hush".
const lists = `{
"services": [{"ID":"s1","Version":{"Index":7},"CreatedAt":"2026-01-02T03:04:05Z",
 "Spec":{"Name":"web","Labels":{"com.docker.lb.hosts":"a.example.com","com.docker.stack.namespace":"shop",
   "com.docker.ucp.access.label":"/dev","com.docker.interlock.dev.upstream":"x","team":"hush"},
  "TaskTemplate":{"ContainerSpec":{"Image":"web:1","Env":["A=hush"],"Args":["hush"],"Command":["hush"],
    "Labels":{"com.docker.lb.port":"80","x":"hush"},"Healthcheck":{"Test":["CMD","hush"]}},
   "Networks":[{"Target":"front"}],"ForceUpdate":0,"Runtime":"container"},
  "Mode":{"Replicated":{"Replicas":2}}},
 "PreviousSpec":{"Labels":{"com.docker.lb.hosts":"b.example.com"},
  "TaskTemplate":{"ContainerSpec":{"Image":"web:1","Env":["A=hush old"]},"Networks":[{"Target":"front"}]}},
 "Endpoint":{"Ports":[{"Protocol":"tcp","TargetPort":80,"PublishedPort":8080,"PublishMode":"host"}],
  "VirtualIPs":[{"NetworkID":"n1","Addr":"10.0.1.2/24"}]}}],
"tasks": [{"ID":"t1","ServiceID":"s1","NodeID":"node1","Slot":1,"DesiredState":"running",
  "Status":{"State":"running","Timestamp":"2026-01-02T03:04:06Z"},
  "Spec":{"ContainerSpec":{"Labels":{"com.docker.lb.port":"80","x":"hush"},"Image":"web:1","Env":["A=hush"],"Args":["hush"],"Command":["hush"],
    "Healthcheck":{"Test":["CMD","hush"]}},"Networks":[{"Target":"front"}],"ForceUpdate":0},
  "NetworksAttachments":[{"Network":{"ID":"n1"},"Addresses":["10.0.1.3/24"]}]},
 {"ID":"t2","ServiceID":"s1","DesiredState":"shutdown","Status":{"State":"failed"}}],
"nodes": [{"ID":"node1","Spec":{"Labels":{"com.docker.ucp.access.label":"/dev","rack":"hush"},"Role":"manager","Availability":"active"},
  "Description":{"Hostname":"h1"},"Status":{"State":"ready","Addr":"10.9.0.1"}}],
"networks": [{"Id":"n1","Name":"front","Driver":"overlay","Scope":"swarm","IPAM":{"Config":[{"Subnet":"10.0.1.0/24"}]}},
  {"Id":"n0","Name":"bridge","Driver":"bridge","Scope":"local"}],
"secrets": [{"ID":"x1","Spec":{"Name":"key","Labels":null}}],
"configs": [{"ID":"c1","Spec":{"Name":"theirs","Labels":{},"Data":"aHVzaA=="}},
  {"ID":"c2","Spec":{"Name":"il.dev.state.1","Labels":{"com.docker.interlock.state":"dev"},"Data":"b3Vycw=="}}]
}`

// TestRedaction: no secret text is left, and the snapshot that is read back is
// the one before, but for labels' values and the names of templates.
func TestRedaction(t *testing.T) {
	before, err := docker.ReadLists(strings.NewReader(lists))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := docker.WriteSnapshot(&out, before); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"hush", "aHVzaA"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%q is in the snapshot:\n%s", secret, out.String())
		}
	}
	for _, shown := range []string{"a.example.com", "/dev", "shop", "b3Vycw==", `"rack": "redacted"`} {
		if !strings.Contains(out.String(), shown) {
			t.Errorf("%q is not in the snapshot", shown)
		}
	}
	want, err := before.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	got, err := docker.ReadSnapshot(bytes.NewReader(out.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	s, p, task := &got.Services[0], got.Services[0].Previous, &got.Tasks[0]
	if s.TemplateDigest != task.TemplateDigest || s.TemplateDigest == p.TemplateDigest {
		t.Errorf("digests: service %s, previous %s, task %s", s.TemplateDigest, p.TemplateDigest, task.TemplateDigest)
	}
	s.TemplateDigest, p.TemplateDigest = want.Services[0].TemplateDigest, want.Services[0].Previous.TemplateDigest
	task.TemplateDigest = want.Tasks[0].TemplateDigest
	s.Labels["team"], got.Nodes[0].Labels["rack"] = "hush", "hush"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the snapshot changed (-before +after):\n%s", diff)
	}
}

// TestTemplateDigest: a service and its task agree, a changed template does not.
func TestTemplateDigest(t *testing.T) {
	s, err := docker.ReadSnapshot(strings.NewReader(lists))
	if err != nil {
		t.Fatal(err)
	}
	web := s.Services[0]
	if len(s.Tasks) != 1 || web.TemplateDigest == "" || s.Tasks[0].TemplateDigest != web.TemplateDigest {
		t.Errorf("service %q, tasks %+v", web.TemplateDigest, s.Tasks)
	}
	if web.Previous.TemplateDigest == web.TemplateDigest {
		t.Error("the previous template has the same digest")
	}
	if len(web.Networks) != 1 || web.Networks[0] != "n1" {
		t.Errorf("networks by name are not resolved: %v", web.Networks)
	}
}

func TestReadSnapshotLenient(t *testing.T) {
	for _, ok := range []string{
		`{}`,
		`{"services":null,"tasks":[]}`,
		`{"services":[{"ID":"a","Spec":{"Labels":{"com.docker.lb.port":80,"x":true,"y":null}},"CreatedAt":"yesterday"}]}`,
		`{"tasks":[{"ID":"t","ServiceID":"a","NetworksAttachments":[{"Network":{"ID":"n"},"Addresses":["10.0.0.1","nonsense",""]}]}]}`,
	} {
		if _, err := docker.ReadSnapshot(strings.NewReader(ok)); err != nil {
			t.Errorf("%s: %v", ok, err)
		}
	}
	for _, bad := range []string{``, `[]`, `{"services":[{"Spec":{}}]}`, `{"services":["x"]}`} {
		if _, err := docker.ReadSnapshot(strings.NewReader(bad)); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
	got, err := docker.ReadSnapshot(strings.NewReader(`{"services":[{"ID":"a","Spec":{"Labels":{"com.docker.lb.port":80}}}]}`))
	if err != nil || got.Services[0].Labels["com.docker.lb.port"] != "80" {
		t.Errorf("a number as a label's value: %v, %v", got.Services, err)
	}
}

func FuzzReadSnapshot(f *testing.F) {
	f.Add([]byte(lists))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := docker.ReadLists(bytes.NewReader(data))
		if err != nil {
			return
		}
		_, _ = got.Snapshot()
		_ = docker.WriteSnapshot(&bytes.Buffer{}, got)
	})
}

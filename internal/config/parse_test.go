package config_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"interlock/internal/config"
	"interlock/internal/problems"
	"interlock/routing"
)

var update = flag.Bool("update", false, "rewrite golden files and docs/configuration.md")

// TestGolden reads config.toml of each archive and compares what it means and
// what is wrong with it.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			file := config.Parse(archive.Files[0].Data, "config.toml")
			got := append([]txtar.File{archive.Files[0]},
				txtar.File{Name: "problems", Data: []byte(listing(file))},
				txtar.File{Name: "clusters.json", Data: asJSON(t, file.Clusters)})
			if *update {
				if err := os.WriteFile(name, txtar.Format(&txtar.Archive{Comment: archive.Comment, Files: got}), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(texts(archive.Files), texts(got)); diff != "" && !*update {
				t.Errorf("-update rewrites:\n%s", diff)
			}
		})
	}
}

func texts(files []txtar.File) map[string]string {
	m := map[string]string{}
	for _, f := range files {
		m[f.Name] = string(f.Data)
	}
	return m
}

func listing(f config.File) string {
	var b strings.Builder
	if f.Unreadable != "" {
		fmt.Fprintf(&b, "unreadable: %s\n", f.Unreadable)
	}
	for _, p := range f.Problems {
		fmt.Fprintf(&b, "%s:%d: %s %s cluster=%q [%s] %s -> %s\n", p.File, p.Line, p.Severity, p.Code, p.Cluster, p.Label, p.Message, p.Hint)
	}
	return b.String()
}

func asJSON(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return append(data, '\n')
}

// minimal holds one usable cluster.
const minimal = "[Extensions.default]\nServiceCluster = \"\"\n"

func TestDefaults(t *testing.T) {
	f := config.Parse([]byte(minimal), "c")
	if len(f.Problems) > 0 || len(f.Clusters) != 1 {
		t.Fatalf("%d clusters, problems %v", len(f.Clusters), f.Problems)
	}
	c := f.Clusters[0]
	if !c.Policy.Unlabelled || c.NetworkAttach != config.AttachAuto || c.Slug() != "default" || c.Proxy.Name != "interlock-proxy-default" {
		t.Errorf("as in the original: %+v", c)
	}
	f = config.Parse([]byte(minimal+"[Extensions.dev]\nServiceCluster=\"dev\"\nPublishedPort=81\nCollections=[\"/dev\"]"), "c")
	if f.Clusters[0].Policy.Unlabelled || f.Clusters[0].NetworkAttach != config.AttachAuto || f.Clusters[1].NetworkAttach != config.AttachNone {
		t.Errorf("with collections: %+v", f.Clusters)
	}
}

// TestUnusableIsContained: a mistake in one table changes nothing of another.
func TestUnusableIsContained(t *testing.T) {
	other := "[Extensions.b]\nServiceCluster = \"b\"\nPublishedPort = 81\n"
	want := config.Parse([]byte(minimal+other), "c").Clusters[0]
	for _, mistake := range []string{"ProxyReplicas = -1", "Zzz = 3", "Networks = 3", "DrainTime = \"x\"", "TargetPort = 8404", "[Extensions.b.Config]\nMaxConnections = 1"} {
		f := config.Parse([]byte(minimal+other+mistake), "c")
		if diff := cmp.Diff(want, f.Clusters[0]); diff != "" {
			t.Errorf("%s: the other cluster changed:\n%s", mistake, diff)
		}
		if len(f.Problems) == 0 || f.Clusters[1].Unusable == "" && problems.Errors(f.Problems) {
			t.Errorf("%s: unusable %q, problems %v", mistake, f.Clusters[1].Unusable, f.Problems)
		}
	}
}

func TestStrict(t *testing.T) {
	f := config.Parse([]byte(minimal+"ProxyReplica = 2\n"), "c")
	if len(f.Problems) != 1 || f.Problems[0].Severity != routing.Warning || f.Clusters[0].Unusable != "" {
		t.Fatalf("at run time: %v", f.Problems)
	}
	strict := config.Strict(f.Problems)
	if strict[0].Severity != routing.Error || f.Problems[0].Severity != routing.Warning {
		t.Errorf("strict %v, before %v", strict, f.Problems)
	}
	if want := "did you mean ProxyReplicas?"; strict[0].Hint != want || strict[0].Line != 3 {
		t.Errorf("line %d, hint %q", strict[0].Line, strict[0].Hint)
	}
}

// TestTooLarge: what nobody writes by hand is refused before it costs minutes.
func TestTooLarge(t *testing.T) {
	var keys strings.Builder
	for i := range 6000 {
		fmt.Fprintf(&keys, "k%d = 1\n", i)
	}
	for what, text := range map[string]string{"keys": minimal + keys.String(), "bytes": minimal + "# " + strings.Repeat("x", 1<<20)} {
		f := config.Parse([]byte(text), "c")
		if f.Unreadable == "" || !strings.Contains(f.Unreadable, what) {
			t.Errorf("%s: unreadable %q", what, f.Unreadable)
		}
	}
}

func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.txtar")
	for _, name := range files {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(archive.Files[0].Data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		a, b := config.Parse(data, "c"), config.Parse(slices.Clone(data), "c")
		if diff := cmp.Diff(a, b); diff != "" {
			t.Errorf("not deterministic:\n%s", diff)
		}
		names := map[string]bool{}
		for _, c := range a.Clusters {
			if c.Unusable != "" {
				continue
			}
			if names[c.Slug()] {
				t.Errorf("two usable clusters %q", c.Slug())
			}
			names[c.Slug()] = true
		}
	})
}

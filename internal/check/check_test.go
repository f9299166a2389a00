package check_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"interlock/internal/check"
	"interlock/internal/config"
	"interlock/internal/stackfile"
	"interlock/routing"
)

var update = flag.Bool("update", false, "rewrite golden files")

// TestGolden checks the stack files (*.yml) of each archive, with the archive's
// config.toml and env where it has them, and compares the report.
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
			got := runArchive(t, archive)
			if *update {
				if err := os.WriteFile(name, txtar.Format(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(txtar.Format(archive)), string(txtar.Format(got))); diff != "" {
				t.Errorf("-update rewrites:\n%s", diff)
			}
		})
	}
}

const reportName = "report.json"

func runArchive(t *testing.T, archive *txtar.Archive) *txtar.Archive {
	t.Helper()
	out := &txtar.Archive{Comment: archive.Comment}
	var project stackfile.Project
	var found []routing.Problem
	var clusters []config.Cluster
	env := environment(archive)
	for _, f := range archive.Files {
		if f.Name != reportName {
			out.Files = append(out.Files, f)
		}
		switch {
		case f.Name == "config.toml":
			file := config.Parse(f.Data, f.Name)
			clusters, found = file.Clusters, append(found, config.Strict(file.Problems)...)
		case strings.HasSuffix(f.Name, ".yml"):
			p, ps := stackfile.Parse(stackfile.Source{File: f.Name, Stack: strings.TrimSuffix(f.Name, ".yml"), Data: f.Data}, env)
			project.Services, project.Networks = append(project.Services, p.Services...), append(project.Networks, p.Networks...)
			found = append(found, ps...)
		}
	}
	if clusters == nil {
		clusters = check.Assumed(project)
	}
	out.Files = append(out.Files, txtar.File{Name: reportName, Data: asJSON(t, check.Run(project, found, clusters))})
	return out
}

func environment(archive *txtar.Archive) func(string) (string, bool) {
	env := map[string]string{}
	for _, f := range archive.Files {
		if f.Name == "env" {
			for line := range strings.Lines(string(f.Data)) {
				name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
				env[name] = value
			}
		}
	}
	return func(name string) (string, bool) { v, ok := env[name]; return v, ok }
}

func asJSON(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return append(data, '\n')
}

// TestReportIsNeverNull: outside programs read both lists.
func TestReportIsNeverNull(t *testing.T) {
	got := string(asJSON(t, check.Run(stackfile.Project{}, nil, nil)))
	if want := "{\n \"problems\": [],\n \"routes\": []\n}\n"; got != want {
		t.Errorf("got %s", got)
	}
}

func TestSARIF(t *testing.T) {
	found := []routing.Problem{
		{Code: "label-host", Severity: routing.Error, Message: "m", Hint: "h", Label: "l", File: "a/b.yml", Line: 3},
		{Code: "label-host-twice", Severity: routing.Info, Message: "n"},
	}
	got := check.AsSARIF(check.Report{Problems: found}, "dev")
	results, rules := got.Runs[0].Results, got.Runs[0].Tool.Driver.Rules
	if len(results) != 2 || len(rules) != 2 || results[0].Level != "error" || results[1].Level != "note" {
		t.Fatalf("results %+v, rules %+v", results, rules)
	}
	if at := results[0].Locations[0].Physical; at.Artifact.URI != "a/b.yml" || at.Region.StartLine != 3 {
		t.Errorf("location %+v", at)
	}
	if results[0].Message.Text != "l: m (h)" || results[1].Locations != nil {
		t.Errorf("results %+v", results)
	}
}

func TestInCollection(t *testing.T) {
	p := stackfile.Project{Services: []stackfile.Service{{Name: "a"}, {Name: "b", Labels: map[string]string{"com.docker.ucp.access.label": "/prod"}}}}
	got := check.InCollection(p, "/dev")
	if a, b := got.Services[0].Labels["com.docker.ucp.access.label"], got.Services[1].Labels["com.docker.ucp.access.label"]; a != "/dev" || b != "/prod" {
		t.Errorf("collections %q and %q", a, b)
	}
	if p.Services[0].Labels != nil {
		t.Error("the given project changed")
	}
}

package migrate_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"interlock/internal/check"
	"interlock/internal/migrate"
	"interlock/internal/problems"
	"interlock/internal/stackfile"
	"interlock/routing"
)

var update = flag.Bool("update", false, "rewrite golden files")

// TestGolden migrates before.yml of each archive; the dialect is the first part
// of its name. What comes out must pass `interlock check`, and must not change
// when it is migrated again.
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
			got := migrated(t, filepath.Base(name), archive)
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

func migrated(t *testing.T, name string, archive *txtar.Archive) *txtar.Archive {
	t.Helper()
	dialect, _, _ := strings.Cut(name, "_")
	src := migrate.Source{File: "before.yml", Env: environment(archive), Container: strings.Contains(name, "_move")}
	out := &txtar.Archive{Comment: archive.Comment}
	for _, f := range archive.Files {
		switch f.Name {
		case "before.yml":
			src.Data = f.Data
			out.Files = append(out.Files, f)
		case "env":
			out.Files = append(out.Files, f)
		}
	}
	result := migrate.File(src, migrate.Dialect(dialect))
	out.Files = append(out.Files,
		txtar.File{Name: "after.yml", Data: result.Data},
		txtar.File{Name: "said", Data: []byte(said(result.Problems) + "migrated: " + strings.Join(result.Migrated, " ") + "\n")},
		txtar.File{Name: "routes", Data: []byte(routes(t, result.Data, src.Env, len(result.Migrated)))})
	src.Data = result.Data
	if again := migrate.File(src, migrate.Dialect(dialect)); len(again.Migrated) > 0 {
		t.Errorf("migrating again changes %v", again.Migrated)
	}
	return out
}

// routes are what `interlock check` makes of a file.
func routes(t *testing.T, data []byte, env func(string) (string, bool), services int) string {
	t.Helper()
	project, found := stackfile.Parse(stackfile.Source{File: "after.yml", Stack: "shop", Data: data}, env)
	report := check.Run(project, found, check.Assumed(project))
	if problems.Errors(report.Problems) && !strings.Contains(report.Problems[0].Code, "syntax") {
		t.Errorf("check finds errors: %+v", report.Problems)
	}
	if len(report.Routes) < services {
		t.Errorf("%d services give %d routes", services, len(report.Routes))
	}
	var b strings.Builder
	for _, r := range report.Routes {
		fmt.Fprintf(&b, "%s%s -> %s:%d over %s", r.Host, r.Path, r.Service, r.Port, r.Network)
		if r.Rewrite {
			b.WriteString(" rewrite")
		}
		fmt.Fprintln(&b, strings.TrimRight(" "+r.Mode+r.Algorithm, " "))
	}
	return b.String()
}

func said(found []routing.Problem) string {
	var b strings.Builder
	for _, p := range found {
		fmt.Fprintf(&b, "%s %s:%d %s %s: %s\n", p.Code, p.File, p.Line, p.Service, p.Label, p.Message)
		if p.Hint != "" {
			fmt.Fprintf(&b, "    %s\n", p.Hint)
		}
	}
	return b.String()
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

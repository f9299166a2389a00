package haproxy

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"interlock/bundle"
	"interlock/routing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestGolden renders table.json of each file in testdata and compares all that
// comes out, or the words of the refusal.
func TestGolden(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got := &txtar.Archive{Comment: archive.Comment, Files: append(archive.Files[:1:1], golden(t, archive.Files[0].Data)...)}
			if *update {
				if err := os.WriteFile(name, txtar.Format(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(txtar.Format(archive)), string(txtar.Format(got))); diff != "" && !*update {
				t.Errorf("want -, got + (rewrite with -update):\n%s", diff)
			}
		})
	}
}

func golden(t *testing.T, data []byte) []txtar.File {
	t.Helper()
	var table routing.Table
	if err := json.Unmarshal(data, &table); err != nil {
		t.Fatal(err)
	}
	b, err := Render(table)
	if err != nil {
		return []txtar.File{{Name: "refused", Data: []byte(err.Error() + "\n")}}
	}
	if words, ok := check(t, stage(t, b, nil)); !ok {
		t.Errorf("HAProxy refuses it: %s", words)
	}
	rest, err := json.MarshalIndent(map[string]any{"backends": b.Backends, "ports": b.Ports}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	out := []txtar.File{{Name: "bundle.json", Data: append(rest, '\n')}}
	for _, f := range b.Files {
		if !isPage(f) {
			out = append(out, txtar.File{Name: f.Path, Data: []byte(f.Data)})
		}
	}
	return out
}

// isPage leaves the same three pages out of every golden file.
func isPage(f bundle.File) bool { return filepath.Dir(f.Path) == "pages" }

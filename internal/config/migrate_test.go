package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"interlock/internal/config"
	"interlock/internal/problems"
)

// TestMigrateGolden migrates before.toml of each archive and compares the
// result, what was commented out and what is still to be said.
func TestMigrateGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/migrate/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			m := config.Migrate(archive.Files[0].Data, "config.toml")
			got := []txtar.File{
				archive.Files[0],
				{Name: "after.toml", Data: m.Text},
				{Name: "notes", Data: []byte(notesOf(m))},
			}
			if *update {
				if err := os.WriteFile(name, txtar.Format(&txtar.Archive{Comment: archive.Comment, Files: got}), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(texts(archive.Files), texts(got)); diff != "" && !*update {
				t.Errorf("-update rewrites:\n%s", diff)
			}
			migrated(t, archive.Files[0].Data)
		})
	}
}

func notesOf(m config.Migration) string {
	var b strings.Builder
	for _, n := range m.Notes {
		fmt.Fprintf(&b, "%s %v: %s\n", n.Key, n.Lines, n.Reason)
	}
	return b.String() + listing(config.File{Problems: m.Problems, Unreadable: m.Unreadable})
}

// migrated holds for every file: the result can be read, has nothing more to
// comment out, and each cluster that could be used means what it meant.
func migrated(t interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}, data []byte) {
	t.Helper()
	before := config.Parse(data, "c")
	m := config.Migrate(data, "c")
	if before.Unreadable != "" {
		if m.Unreadable == "" || len(m.Text) > 0 {
			t.Errorf("unreadable, but migrated: %q", m.Text)
		}
		return
	}
	after := config.Parse(m.Text, "c")
	if after.Unreadable != "" {
		t.Fatalf("the result is no TOML: %s\n%s", after.Unreadable, m.Text)
	}
	for _, p := range after.Problems {
		if p.Code == problems.ConfigUnknownKey || p.Code == problems.ConfigWithoutMeaning || p.Code == problems.ConfigImageReplaced {
			t.Errorf("still there: %+v\n%s", p, m.Text)
		}
	}
	if again := config.Migrate(m.Text, "c"); string(again.Text) != string(m.Text) || len(again.Notes) > 0 {
		t.Errorf("twice is not once:\n%s", cmp.Diff(string(m.Text), string(again.Text)))
	}
	if diff := cmp.Diff(meaning(before), meaning(after)); diff != "" {
		t.Errorf("another meaning:\n%s\n%s", diff, m.Text)
	}
}

// meaning are the clusters that can be used, without what is for an engine or
// an image that we do not have.
func meaning(f config.File) map[string]config.Cluster {
	out := map[string]config.Cluster{}
	for _, c := range f.Clusters {
		c.Extension.Args, c.Proxy.Args, c.Base.GlobalOptions = nil, nil, nil
		if c.Unusable == "" {
			out[c.Table] = c
		}
	}
	return out
}

// TestMigrateOurs: a file of ours stays as it is, byte for byte.
func TestMigrateOurs(t *testing.T) {
	for _, name := range []string{"../../deploy/shared/config.toml", "../../deploy/dedicated/config.toml", "../../deploy/dev-example/config.toml"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		m := config.Migrate(data, name)
		if diff := cmp.Diff(string(data), string(m.Text)); diff != "" || len(m.Notes) > 0 || len(m.Problems) > 0 {
			t.Errorf("%s: %v %v\n%s", name, m.Notes, m.Problems, diff)
		}
	}
}

func FuzzMigrate(f *testing.F) {
	for _, pattern := range []string{"testdata/*.txtar", "testdata/migrate/*.txtar"} {
		files, _ := filepath.Glob(pattern)
		for _, name := range files {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(archive.Files[0].Data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if before := config.Parse(data, "c"); hasErrors(before) {
			// A key without meaning can be the mistake, by being there twice.
			if m := config.Migrate(data, "c"); m.Unreadable == "" && config.Parse(m.Text, "c").Unreadable != "" {
				t.Errorf("the result is no TOML:\n%s", m.Text)
			}
			return
		}
		migrated(t, data)
	})
}

func hasErrors(f config.File) bool { return f.Unreadable == "" && problems.Errors(f.Problems) }

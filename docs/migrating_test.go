package docs_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"interlock/internal/check"
	"interlock/internal/migrate"
	"interlock/internal/stackfile"
)

// TestMigrations: a block "```yaml traefik" or "```yaml hrm" is migrated, and
// gives the block "```yaml after" that follows it, which is clean. Its words
// problem=… say what is told.
func TestMigrations(t *testing.T) {
	policy := readConfig(t, exampleConfig)
	all := blocks(t)
	tried := 0
	for i, b := range all {
		dialect := migrate.Dialect(strings.Join(b.words[:min(1, len(b.words))], ""))
		if b.kind != "yaml" || dialect != migrate.Traefik && dialect != migrate.HRM {
			continue
		}
		tried++
		got := migrate.File(migrate.Source{File: b.at, Data: []byte(b.text), Env: noVariables}, dialect)
		if diff := cmp.Diff(all[i+1].text, string(got.Data)); diff != "" || !slices.Contains(all[i+1].words, "after") {
			t.Errorf("%s: %s", b.at, diff)
		}
		var want []string
		for _, w := range b.words[1:] {
			want = append(want, strings.TrimPrefix(w, "problem="))
		}
		if diff := cmp.Diff(want, codes(got.Problems)); diff != "" {
			t.Errorf("%s: %s", b.at, diff)
		}
		project, found := stackfile.Parse(stackfile.Source{File: b.at, Stack: "shop", Data: got.Data}, noVariables)
		report := check.Run(project, found, policy.Clusters)
		if len(report.Problems) > 0 || len(report.Routes) == 0 {
			t.Errorf("%s: check finds %+v", b.at, report.Problems)
		}
	}
	if tried == 0 {
		t.Error("no document has a migration")
	}
}

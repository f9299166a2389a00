package config

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const docFile = "../../docs/configuration.md"

// TestDocument keeps docs/configuration.md equal to the tables of keys.
func TestDocument(t *testing.T) {
	want := document()
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(docFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(docFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/configuration.md differs from the tables; run with -update:\n%s", diff)
	}
}

const intro = `# config.toml

The operator's configuration: one ` + "`[Extensions.<name>]`" + ` table for each service cluster. Keys are matched without regard to case, as in the
original, whose files work. Durations are written ` + "`\"75s\"`, `\"1m30s\"`" + ` or as a number of seconds.

- An unknown key is ignored, with a warning at run time and an error from ` + "`interlock config check`" + `.
- A value that can't be used freezes its cluster as it is; the other clusters notice nothing.
- A file that is no TOML leaves the last good one in force.

This file is generated from the tables in ` + "`internal/config`" + `.

` + "```toml" + `
[Extensions.dev]
ServiceCluster = "dev"
Collections = ["/dev"]
Hosts = ["*.dev.example.com"]
PublishMode = "host"
PublishedPort = 8081
PublishedHealthPort = 9081
ProxyConstraints = ["node.labels.nodetype==loadbalancer"]
` + "```" + `

` + "`interlock config sample`" + ` prints one to begin with: three clusters, and every key with its meaning and default. With ` + "`--layout dedicated`" + ` each cluster has
proxy nodes of its own, with ` + "`--layout shared`" + ` they share nodes. ` + "`interlock config check FILE…`" + ` judges files, with line, key and what to write
instead; it ends with 0, with 1 after an error, and with 2 when a file can't be read.

` + "```" + `
interlock config sample > config.toml
interlock config check config.toml
` + "```" + `

## A file of Interlock 2 or 3

It works as it is. ` + "`interlock config migrate`" + ` comments out what means nothing here, says why, and leaves everything else as it was, comments and order
included. The clusters mean the same before and after. Keys that this version does not serve stay, so that a later one takes them up.

` + "```" + `
docker config inspect --format '{{ printf "%s" .Spec.Data }}' \
  com.docker.ucp.interlock.conf-1 > ucp-interlock.toml
interlock config migrate ucp-interlock.toml > config.toml
` + "```" + `
`

// originalExample is what the document shows the migration of.
const originalExample = `[Extensions.east]
Image = "mirantis/ucp-interlock-extension:3.3.5"
ConfigImage = "mirantis/ucp-interlock-config:3.3.5"
ServiceCluster = "east"
ProxyReplicas = 1  # the small site
[Extensions.east.Config]
User = "nginx"
MaxConnections = 2048
`

// migrationExample shows a part of an original's file and what becomes of it.
func migrationExample(b *strings.Builder) {
	m := Migrate([]byte(originalExample), "ucp-interlock.toml")
	fmt.Fprintf(b, "\nFrom\n\n```toml\n%s```\n\nit makes\n\n```toml\n%s```\n", originalExample, m.Text)
}

func document() string {
	var b strings.Builder
	b.WriteString(intro)
	migrationExample(&b)
	for _, s := range []struct {
		title string
		rows  []row
	}{
		{"Top of the file", coreKeys},
		{"[Extensions.&lt;name&gt;]", extensionKeys},
		{"[Extensions.&lt;name&gt;.Rollout]", rolloutKeys},
		{"[Extensions.&lt;name&gt;.Config]", configKeys},
	} {
		section(&b, s.title, s.rows)
	}
	return b.String()
}

func section(b *strings.Builder, title string, rows []row) {
	fmt.Fprintf(b, "\n## %s\n\n| key | value | default | meaning |\n|---|---|---|---|\n", title)
	for _, r := range rows {
		if r.status == served {
			fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", r.name, r.value, r.otherwise, r.doc)
		}
	}
	mention(b, "\nNot served by this version yet, accepted and ignored with a warning:", rows, notServed)
	mention(b, "\nKeys of the original without a meaning here, accepted and ignored:", rows, withoutMeaning)
}

func mention(b *strings.Builder, words string, rows []row, s status) {
	var names []string
	for _, r := range rows {
		if r.status == s {
			names = append(names, fmt.Sprintf("`%s` (%s)", r.name, r.doc))
		}
	}
	if len(names) > 0 {
		fmt.Fprintf(b, "%s %s.\n", words, strings.Join(names, ", "))
	}
}

// TestKeysAreKnownOnce: no two rows of a table differ only in case.
func TestKeysAreKnownOnce(t *testing.T) {
	for _, rows := range [][]row{coreKeys, extensionKeys, rolloutKeys, configKeys} {
		seen := map[string]bool{}
		for _, r := range rows {
			if name := strings.ToLower(r.name); seen[name] {
				t.Errorf("%s: twice", r.name)
			} else {
				seen[name] = true
			}
			if r.doc == "" || r.status == served && (r.set == nil || r.value == "" || r.otherwise == "") {
				t.Errorf("%s: incomplete row", r.name)
			}
		}
	}
}

package label

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const docFile = "../../docs/labels.md"

// TestDocument keeps docs/labels.md equal to the table.
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
		t.Errorf("docs/labels.md differs from the table; run with -update:\n%s", diff)
	}
}

// TestExamples: the docs' own examples must be in the grammar.
func TestExamples(t *testing.T) {
	for _, r := range rows {
		var s Spec
		if found := r.parse(r.example, &s); len(found) > 0 && !r.later {
			t.Errorf("%s: %s: %v", r.name, r.example, found)
		}
		if r.doc == "" || r.value == "" || r.example == "" {
			t.Errorf("%s: incomplete row", r.name)
		}
	}
}

const intro = `# Labels

A service registers itself for routing with labels *on the service*: in a stack file under ` + "`deploy: labels:`" + `, not under the
service's own ` + "`labels:`" + `, which are the container's. All names start with ` + "`com.docker.lb.`" + `. A service without any such label is
not routed; one whose labels hold a mistake keeps its last good route, and nobody else notices.

` + "```yaml" + `
services:
  web:
    image: example/shop
    networks: [web]
    deploy:
      labels:
        com.docker.lb.hosts: shop.example.com
        com.docker.lb.port: "8080"
        com.docker.lb.network: web
` + "```" + `

Write values in quotes: YAML turns an unquoted ` + "`true`" + ` into a boolean, which Docker refuses as a label, and rewrites numbers.
Booleans are ` + "`true` and `false`" + ` (also ` + "`1`, `0`, `t`, `f`" + ` and their capitals). ` + "`interlock check FILE`" + ` says before deploying what is wrong.
At most 64 kB of text and 256 routing labels are read of one service. This file is generated from the table in ` + "`internal/label`" + `.
`

func document() string {
	var b strings.Builder
	b.WriteString(intro)
	for _, r := range rows {
		if !r.later {
			fmt.Fprintf(&b, "\n## %s\n\n%s\n\n- Value: %s\n- Default: %s\n- Example: `%s%s: \"%s\"`\n", r.name, r.doc, r.value, r.otherwise, Prefix, r.name, r.example)
		}
	}
	b.WriteString("\n## Known, not served yet\n\nThese labels are recognised. A service that has them is served as if they were absent, with a warning; those marked *refused*\n" +
		"are errors when set (or `true`), because serving the service without them would betray its author's wish.\n\n| label | value | meaning |\n|---|---|---|\n")
	for _, r := range rows {
		if r.later {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", r.name, r.value, r.doc+refusedMark(r))
		}
	}
	b.WriteString("| `routes.<name>.<label>` | as the label's | Further routes of one service. |\n\n" +
		"## Other labels that matter\n\n" +
		"- `com.docker.ucp.access.label`: the collection, such as `/dev`, on services, nodes, networks, secrets and configs.\n" +
		"- `com.docker.stack.namespace`: the stack; `docker stack deploy` sets it.\n\n" +
		"Labels of the HTTP routing mesh (`com.docker.ucp.mesh.http`), of Traefik, caddy-docker-proxy and docker-flow-proxy are recognised\n" +
		"where a service has none of ours, and answered with what to write instead.\n")
	return b.String()
}

// refusedMark asks the row itself.
func refusedMark(r row) string {
	var s Spec
	for _, p := range r.parse(r.example, &s) {
		if p.Severity == "error" {
			return " *Refused.*"
		}
	}
	return ""
}

package migrate_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"interlock/internal/migrate"
)

const small = "services:\n  web:\n    image: x\n    deploy:\n      labels:\n" +
	"        traefik.port: '80'\n        traefik.frontend.rule: Host:a.example.com # main"

const smallAfter = "services:\n  web:\n    image: x\n    deploy:\n      labels:\n" +
	"        com.docker.lb.port: '80'\n        com.docker.lb.hosts: a.example.com # main"

// TestLineEnds: line breaks are those of the file, and none is added at its end.
func TestLineEnds(t *testing.T) {
	for _, c := range []struct{ name, before, after string }{
		{"none at the end", small, smallAfter},
		{"one at the end", small + "\n", smallAfter + "\n"},
		{"of Windows", strings.ReplaceAll(small, "\n", "\r\n"), strings.ReplaceAll(smallAfter, "\n", "\r\n")},
		{"with a mark at the start", "\ufeff" + small, "\ufeff" + smallAfter},
		{"a second document", small + "\n---\ntraefik.port: '80'\n", smallAfter + "\n---\ntraefik.port: '80'\n"},
		{"more lines of Windows",
			strings.ReplaceAll(strings.Replace(small, "com # main", "com;PathPrefixStrip:/a", 1)+"\n", "\n", "\r\n"),
			strings.ReplaceAll(strings.Replace(smallAfter, "com # main", "com\n        com.docker.lb.context_root: /a\n        com.docker.lb.context_root_rewrite: \"true\"", 1)+"\n", "\n", "\r\n")},
	} {
		got := migrate.File(migrate.Source{File: "f.yml", Data: []byte(c.before)}, migrate.Traefik)
		if diff := cmp.Diff(c.after, string(got.Data)); diff != "" {
			t.Errorf("%s: %s\n%+v", c.name, diff, got.Problems)
		}
	}
}

// TestUnreadable: what is no text of a bounded size is left alone.
func TestUnreadable(t *testing.T) {
	for name, data := range map[string]string{
		"no UTF-8":  "services: \xff\xfe",
		"too large": strings.Repeat("#\n", migrate.MaxFile),
	} {
		got := migrate.File(migrate.Source{File: "f.yml", Data: []byte(data)}, migrate.Traefik)
		if string(got.Data) != data || len(got.Problems) != 1 {
			t.Errorf("%s: %+v", name, got.Problems)
		}
	}
	for _, data := range []string{"", "a", "[]", "services:", "services: {a: }", "services: {a: {deploy: []}}"} {
		got := migrate.File(migrate.Source{File: "f.yml", Data: []byte(data)}, migrate.HRM)
		if string(got.Data) != data || len(got.Problems) != 0 {
			t.Errorf("%q: %+v", data, got.Problems)
		}
	}
}

// TestOthersAreUntouched: whatever stands around the labels of the dialect is
// the same afterwards, byte for byte.
func TestOthersAreUntouched(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		filler := rapid.SampledFrom([]string{"", "        # a comment\n", "\n", "        com.example.a: \"b\"   # c\n", "        com.example.d: >\n          e\n\n          f\n", "        com.example.ü: 'ü'  \n"})
		var before, after strings.Builder
		both := func(s string) { before.WriteString(s); after.WriteString(s) }
		both("services:\n  web:\n    image: x\n    deploy:\n      labels:\n")
		keys := map[string]bool{}
		between := func() {
			if f := filler.Draw(t, "filler"); !keys[f] || !strings.Contains(f, "com.") {
				keys[f] = true
				both(f)
			}
		}
		style := rapid.SampledFrom([]string{"", "'", `"`}).Draw(t, "style")
		between()
		before.WriteString("        traefik.port: " + style + "80" + style + " # p\n")
		after.WriteString("        com.docker.lb.port: " + quotedPort(style) + " # p\n")
		between()
		before.WriteString("        traefik.enable: \"true\"\n")
		between()
		before.WriteString("        traefik.frontend.rule: " + style + "Host:a.example.com" + style + "\n")
		after.WriteString("        com.docker.lb.hosts: " + style + "a.example.com" + style + "\n")
		between()
		got := migrate.File(migrate.Source{File: "f.yml", Data: []byte(before.String())}, migrate.Traefik)
		if diff := cmp.Diff(after.String(), string(got.Data)); diff != "" {
			t.Fatalf("%s\n%+v", diff, got.Problems)
		}
	})
}

// quotedPort is a port in a style; plain digits would be a number.
func quotedPort(style string) string {
	if style == "" {
		style = `"`
	}
	return style + "80" + style
}

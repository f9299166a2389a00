package haproxy

import (
	"fmt"
	"strings"
	"testing"

	"interlock/routing"
)

// directivesOf are the first two words of each line, the second as far as its
// letters go: what a value can't change.
func directivesOf(config string) string {
	var out strings.Builder
	for line := range strings.Lines(config) {
		words := strings.Fields(line)
		out.WriteString(strings.Join(words[:min(2, len(words))], " ") + "\n")
	}
	return out.String()
}

// withText is a table that carries s to haproxy.cfg in one of the positions for
// quoted text.
func withText(position, s string) routing.Table {
	table := testTable(routing.Base{HTTPPort: 80, HealthPort: 81, MaxConnections: 10, MaxShare: 10, ConnectTimeout: 1,
		ClientTimeout: 1, ServerTimeout: 1, KeepaliveTimeout: 1, GraceTimeout: 1}, "x.example.com/")
	switch position {
	case "health path":
		table.Backends[0].HealthPath = "/" + s
	case "request header":
		table.Backends[0].RequestHeaders = []routing.Header{{Name: "x-text", Value: s}}
	case "response header":
		table.Backends[0].ResponseHeaders = []routing.Header{{Name: "x-text", Value: s}}
	}
	return table
}

var positions = []string{"health path", "request header", "response header"}

// confinedText: in each position a text is refused or adds no directive.
func confinedText(t *testing.T, s string) (rendered int) {
	t.Helper()
	for _, position := range positions {
		b, err := Render(withText(position, s))
		if err != nil {
			continue
		}
		rendered++
		plain, err := Render(withText(position, "x"))
		if err != nil {
			t.Fatal(err)
		}
		config := b.Files[0].Data
		if got, want := directivesOf(config), directivesOf(plain.Files[0].Data); got != want {
			t.Errorf("%s %q changes the directives:\n%s", position, s, got)
		}
		for _, mark := range []string{"@DIR@", "@RUN@", "@INSTANCE@", "@REVISION@"} {
			if strings.Count(config, mark) != strings.Count(plain.Files[0].Data, mark) {
				t.Errorf("%s %q adds a word that the agent replaces", position, s)
			}
		}
	}
	return rendered
}

// engineAccepts: the real engine's check passes a table with all texts, each in
// every position that takes it, without a warning.
func engineAccepts(t *testing.T, texts []string) {
	t.Helper()
	all := withText("", "")
	all.Backends, all.Routes = nil, nil
	for i, s := range texts {
		for j, position := range positions {
			table := withText(position, s)
			if _, err := Render(table); err != nil {
				continue
			}
			b, r := table.Backends[0], table.Routes[0]
			b.ID = routing.BackendID(fmt.Sprint(i, position), "", 80)
			r.Host, r.Backends = fmt.Sprintf("h%d-%d.example.com", i, j), []string{b.ID}
			all.Backends, all.Routes = append(all.Backends, b), append(all.Routes, r)
		}
	}
	b, err := Render(all)
	if err != nil {
		t.Fatal(err)
	}
	if words, ok := check(t, stage(t, b, nil)); !ok || strings.Contains(words, "WARNING") {
		t.Errorf("HAProxy says %s", words)
	}
}

func TestTextIsConfined(t *testing.T) {
	texts := append(hostile, unprintable...)
	rendered := 0
	for _, s := range texts {
		rendered += confinedText(t, s)
	}
	engineAccepts(t, texts)
	if rendered < 100 {
		t.Errorf("only %d texts were rendered at all", rendered)
	}
}

func FuzzTextIsConfined(f *testing.F) {
	for _, s := range append(hostile, unprintable...) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if confinedText(t, s) > 0 {
			engineAccepts(t, []string{s})
		}
	})
}

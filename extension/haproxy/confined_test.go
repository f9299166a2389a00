package haproxy

import (
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

// texts are everything a table may carry to haproxy.cfg in quotes.
func withText(s string) routing.Table {
	table := testTable(routing.Base{HTTPPort: 80, HealthPort: 81, MaxConnections: 10, MaxShare: 10, ConnectTimeout: 1,
		ClientTimeout: 1, ServerTimeout: 1, KeepaliveTimeout: 1, GraceTimeout: 1}, "x.example.com/")
	table.Backends[0].HealthPath = "/" + s
	return table
}

// confinedText: a text is refused, or adds no directive and passes the real
// engine's check without a warning.
func confinedText(t *testing.T, s string) (rendered bool) {
	t.Helper()
	b, err := Render(withText(s))
	if err != nil {
		return false
	}
	plain, err := Render(withText("x"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := directivesOf(b.Files[0].Data), directivesOf(plain.Files[0].Data); got != want {
		t.Errorf("%q changes the directives:\n%s", s, got)
	}
	if words, ok := check(t, stage(t, b, nil)); !ok || strings.Contains(words, "WARNING") {
		t.Errorf("%q: HAProxy says %s", s, words)
	}
	return true
}

func TestTextIsConfined(t *testing.T) {
	rendered := 0
	for _, s := range append(hostile, unprintable...) {
		if confinedText(t, s) {
			rendered++
		}
	}
	if rendered < 10 {
		t.Errorf("only %d texts were rendered at all", rendered)
	}
}

func FuzzTextIsConfined(f *testing.F) {
	for _, s := range append(hostile, unprintable...) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { confinedText(t, s) })
}

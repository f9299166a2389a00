package spell_test

import (
	"testing"

	"interlock/internal/spell"
)

func TestNearest(t *testing.T) {
	words := []string{"hosts", "port", "network", "context_root", "context_root_rewrite", "default_backend", "ssl_cert"}
	for word, want := range map[string]string{
		"host":                 "hosts",
		"prot":                 "port",
		"Port":                 "port",
		"defaul_backend":       "default_backend",
		"context-root":         "context_root",
		"contextroot":          "context_root",
		"context_root_rewrit":  "context_root_rewrite",
		"netwrok":              "network",
		"snippet":              "",
		"":                     "",
		"x":                    "",
		"hosts\u200b":          "",
		"configuration_inject": "",
	} {
		if got := spell.Nearest(word, words); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestDistanceIsSymmetric(t *testing.T) {
	for _, p := range [][2]string{{"", "abc"}, {"ab", "ba"}, {"kitten", "sitting"}, {"port", "prot"}} {
		if a, b := spell.Distance(p[0], p[1]), spell.Distance(p[1], p[0]); a != b {
			t.Errorf("%q: %d and %d", p, a, b)
		}
	}
	if d := spell.Distance("port", "prot"); d != 1 {
		t.Errorf("a swap is one slip, got %d", d)
	}
}

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNotTOML: whoever reads a config.toml is told the line that is none.
func TestNotTOML(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte("[Extensions.dev]\nServiceCluster = \"dev\"\nProxyReplicas = two\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"install", "compile"} {
		code, message, hint := failure(t, verb, "--config", path, "--snapshot", "s.json")
		if verb == "install" {
			code, message, hint = failure(t, verb, "--config", path)
		}
		if code != exitUsage || !strings.Contains(message, path+":3: it is not valid TOML") || !strings.Contains(hint, "correct the line") {
			t.Errorf("%s: exit %d: %s, hint %q", verb, code, message, hint)
		}
	}
	_, err := readConfig(path)
	var exit *exitError
	if !errors.As(err, &exit) || exit.hint == "" {
		t.Errorf("%v", err)
	}
}

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"interlock/internal/check"
)

const goodStack = `services:
  web:
    image: x
    deploy:
      labels:
        com.docker.lb.hosts: app.example.com
        com.docker.lb.port: "8080"
`

const badStack = `services:
  web:
    image: x
    deploy:
      labels:
        com.docker.lb.host: app.example.com
`

// TestCheckContract: exit codes and JSON that outside programs rely on.
func TestCheckContract(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	good, bad := write("good.yml", goodStack), write("bad.yml", badStack)
	goodConfig := write("good.toml", "[Extensions.default]\n")
	badConfig := write("bad.toml", "[Extensions.default]\nProxyReplica = 2\n")
	noConfig := write("no.toml", "= 1\n")
	for _, c := range []struct {
		name             string
		args             []string
		code             int
		problems, routes int
	}{
		{"clean", []string{good}, 0, 0, 1},
		{"a mistake", []string{bad}, exitFindings, 1, 0},
		{"both", []string{good, bad}, exitFindings, 1, 1},
		{"with a config", []string{"--config", goodConfig, good}, 0, 0, 1},
		{"an unknown key", []string{"--config", badConfig, good}, exitFindings, 1, 1},
		{"only a config", []string{"--config", badConfig}, exitFindings, 1, 0},
		{"a config that is no TOML", []string{"--config", noConfig, good}, exitFindings, 1, 0},
		{"a missing file", []string{filepath.Join(dir, "missing.yml")}, exitUsage, 0, 0},
		{"a missing config", []string{"--config", filepath.Join(dir, "missing.toml"), good}, exitUsage, 0, 0},
		{"no file", nil, exitUsage, 0, 0},
	} {
		code, out := runVerb(t, append([]string{"check", "--format", "json"}, c.args...))
		if code != c.code {
			t.Errorf("%s: exit %d, want %d", c.name, code, c.code)
		}
		var report check.Report
		if err := json.Unmarshal(out, &report); err != nil || report.Problems == nil || report.Routes == nil {
			t.Errorf("%s: %v: %s", c.name, err, out)
			continue
		}
		if len(report.Problems) != c.problems || len(report.Routes) != c.routes {
			t.Errorf("%s: %s", c.name, out)
		}
	}
	for _, args := range [][]string{{"check", "--format", "yaml", good}, {"check", "--nonsense"}} {
		if code, _ := runVerb(t, args); code != exitUsage {
			t.Errorf("%v: exit %d", args, code)
		}
	}
}

// runVerb runs the program in process and returns its exit code and output.
func runVerb(t *testing.T, args []string) (int, []byte) {
	t.Helper()
	root := newRootCommand()
	var out bytes.Buffer
	root.SetArgs(args)
	root.SetOut(&out)
	err := root.ExecuteContext(t.Context())
	var exit *exitError
	switch {
	case err == nil:
		return 0, out.Bytes()
	case errors.As(err, &exit):
		return exit.code, out.Bytes()
	}
	return exitUsage, out.Bytes()
}

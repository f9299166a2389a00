package main

import (
	"strings"
	"testing"

	"interlock/bundle"
	"interlock/extension/extensiontest"
	"interlock/extension/haproxy"
)

// TestFaultIsInTheGuiltySectionOnly: without it the bundle is the renderer's.
func TestFaultIsInTheGuiltySectionOnly(t *testing.T) {
	table := extensiontest.Features("dev")
	clean, err := renderPoisoned(table)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(mainFile(t, clean), "poisoned") {
		t.Error("a table without the guilty service is poisoned")
	}
	table.Backends[0].Service = "dev_poison"
	bad, err := renderPoisoned(table)
	if err != nil {
		t.Fatal(err)
	}
	var sections []string
	for _, be := range bad.Backends {
		if be.ID == table.Backends[0].ID {
			sections = be.Sections
		}
	}
	text := mainFile(t, bad)
	if n := strings.Count(text, "poisoned-directive"); n != len(sections) || n == 0 {
		t.Errorf("%d sections have the fault, the service has %d", n, len(sections))
	}
	if strings.ReplaceAll(text, "  poisoned-directive on\n", "") != mainFile(t, clean) {
		t.Error("more than the fault differs")
	}
}

func mainFile(t *testing.T, b bundle.Bundle) string {
	t.Helper()
	for _, f := range b.Files {
		if f.Path == haproxy.MainFile {
			return f.Data
		}
	}
	t.Fatal("no main file")
	return ""
}

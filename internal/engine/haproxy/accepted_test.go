package haproxy

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"interlock/internal/engine"
)

// countingJudge makes r's engine be asked through a script that notes each time.
func countingJudge(t *testing.T, r *rig) (asked func() int) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "asked")
	script := filepath.Join(t.TempDir(), "judge")
	text := fmt.Sprintf("#!/bin/sh\necho asked >> %s\nexec %s judge \"$@\"\n", log, os.Args[0])
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	r.Engine.judge = []string{script}
	return func() int {
		data, err := os.ReadFile(log)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		return strings.Count(string(data), "asked")
	}
}

// TestAcceptedOnce: the engine is asked once about a bundle that is judged and
// then offered; a refusal, another bundle and another binary are asked about
// anew, and ports are tried each time.
func TestAcceptedOnce(t *testing.T) {
	r := newRig(t)
	asked := countingJudge(t, r)
	check := func(extra string, want int) {
		t.Helper()
		if err := r.Check(t.Context(), r.bundle(extra)); err != nil {
			t.Error(err)
		}
		if n := asked(); n != want {
			t.Errorf("asked %d times, want %d", n, want)
		}
	}
	check("", 1)
	check("", 1)
	check("\nbackend x\n", 2)
	check("", 2)

	bad := r.bundle("\nbackend x\n  balance nonsense\n")
	for i := range 2 {
		var refusal *engine.Refusal
		if err := r.Check(t.Context(), bad); !errors.As(err, &refusal) {
			t.Errorf("got %v", err)
		}
		if n := asked(); n != 3+i {
			t.Errorf("asked %d times about a refused bundle", n-2)
		}
	}

	l, err := net.Listen("tcp", fmt.Sprintf(":%d", r.port))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Check(t.Context(), r.bundle("")); err == nil {
		t.Error("a port that is taken by now was not tried")
	}
	l.Close()

	other := r.file("other-haproxy") // where the judge, who is nobody, may read it
	data, err := os.ReadFile(r.Engine.binary)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(other, data, 0o755); err != nil {
		t.Fatal(err)
	}
	r.Engine.binary = other
	check("", 5)
	check("", 5)
}

// TestAcceptedIsBounded: the oldest verdict is forgotten.
func TestAcceptedIsBounded(t *testing.T) {
	file := os.Args[0]
	binary, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	var a accepted
	for i := range maxAccepted + 1 {
		a.put(binary, fmt.Sprint(i))
	}
	if a.has(file, "0") || !a.has(file, "1") || !a.has(file, fmt.Sprint(maxAccepted)) || len(a.digests) != maxAccepted {
		t.Errorf("remembered: %q", a.digests)
	}
}

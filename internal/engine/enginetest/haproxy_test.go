package enginetest_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"interlock/bundle"
	render "interlock/extension/haproxy"
	"interlock/internal/engine/enginetest"
	"interlock/internal/engine/haproxy"
)

// TestMain lets this binary be the engine's judge too: see haproxy.Options.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "judge" {
		fmt.Fprintln(os.Stderr, haproxy.Judge(os.Args[2], os.Args[3]))
		os.Exit(haproxy.JudgeFailed)
	}
	os.Exit(m.Run())
}

// TestHAProxy runs the suite on the real HAProxy with what the renderer writes.
func TestHAProxy(t *testing.T) {
	binary := haproxyBinary(t)
	enginetest.Run(t, func(t *testing.T) enginetest.Harness {
		run, err := os.MkdirTemp("", "il") // short: socket paths are bounded
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(run) })
		if err := os.Chmod(run, 0o755); err != nil {
			t.Fatal(err)
		}
		log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
		e, err := haproxy.New(haproxy.Options{Run: run, Binary: binary, Judge: []string{os.Args[0], "judge"}, Log: log})
		if err != nil {
			t.Fatal(err)
		}
		supervise(t, binary, run)
		return enginetest.Harness{Engine: e, Render: render.Render, Break: breakConfig, FoldsHosts: true}
	})
}

func haproxyBinary(t *testing.T) string {
	t.Helper()
	binary := os.Getenv("INTERLOCK_HAPROXY")
	if binary == "" {
		var err error
		if binary, err = filepath.Abs("../../../.run/haproxy"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(binary); err != nil {
		t.Fatalf("no HAProxy to test with: %v (run: make tools)", err)
	}
	return binary
}

// supervise starts HAProxy when its configuration is there, as a proxy's
// supervisor does, and ends it with the test.
func supervise(t *testing.T, binary, run string) {
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() {
		config := filepath.Join(run, "haproxy.cfg")
		if !appears(ctx, config) {
			return
		}
		cmd := exec.Command(binary, "-W", "-db", "-S", filepath.Join(run, "master.sock")+",mode,600", "-f", config)
		cmd.Stderr = t.Output()
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := cmd.Start(); err != nil {
			t.Error(err)
			return
		}
		stop := context.AfterFunc(ctx, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
		defer stop()
		_ = cmd.Wait()
	})
	t.Cleanup(func() { cancel(); ended.Wait() })
}

func appears(ctx context.Context, name string) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(name); err == nil {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

// breakConfig adds a directive that HAProxy does not know.
func breakConfig(b bundle.Bundle) bundle.Bundle {
	files := append([]bundle.File(nil), b.Files...)
	for i := range files {
		if strings.HasSuffix(files[i].Path, ".cfg") {
			files[i].Data += "\n  no-such-directive on\n"
		}
	}
	b.Files = files
	return b
}

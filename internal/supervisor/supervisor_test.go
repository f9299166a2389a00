package supervisor

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"interlock/internal/runfolder"
)

const atMost = time.Minute

// The test's own program plays all parts: a supervisor reaps every child of its
// process, so it can't be in the test's.
func TestMain(m *testing.M) {
	if len(os.Args) < 3 || os.Args[1] != "part" {
		os.Exit(m.Run())
	}
	switch part, folder := os.Args[2], os.Args[3]; part {
	case "supervisor":
		superviseIn(folder)
	case "stubborn": // an engine that obeys nothing but SIGKILL
		signal.Ignore(syscall.SIGTERM, syscall.SIGUSR1)
		mark(folder, "engine")
		for range time.Tick(time.Hour) { // not a select without cases: all goroutines would be asleep
		}
	case "parent": // an agent that leaves an orphan behind and dies
		mark(folder, "agent")
		orphan := exec.Command(os.Args[0], "part", "orphan", folder)
		if err := orphan.Start(); err != nil {
			os.Exit(1)
		}
	case "orphan":
		mark(folder, "orphan")
	}
}

// mark adds a line with this process's id to a file.
func mark(folder, name string) {
	f, err := os.OpenFile(filepath.Join(filepath.Dir(folder), name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		os.Exit(1)
	}
	defer f.Close()
	fmt.Fprintln(f, os.Getpid())
}

func superviseIn(folder string) {
	f := runfolder.Folder(folder)
	err := Run(context.Background(), Options{
		Folder: f, Config: f.Path("config"), Structure: f.Path("structure"),
		Engine: []string{os.Args[0], "part", "stubborn", folder},
		Agent:  []string{os.Args[0], "part", "parent", folder},
		Drain: func(context.Context) error {
			mark(folder, "drain")
			return nil
		},
		Timing: Timing{DrainTime: 300 * time.Millisecond, Grace: time.Second},
		Log:    slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// supervised starts a supervisor in a folder in which something was left.
func supervised(t *testing.T) (cmd *exec.Cmd, folder runfolder.Folder, ended chan error) {
	t.Helper()
	folder = runfolder.Folder(filepath.Join(t.TempDir(), "run"))
	if err := os.MkdirAll(string(folder), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := folder.SetDraining(); err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(os.Args[0], "part", "supervisor", string(folder))
	cmd.Stderr = logWriter{t}
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended = make(chan error, 1)
	go func() { ended <- cmd.Wait(); close(ended) }()
	t.Cleanup(func() { cmd.Process.Kill(); <-ended })
	return cmd, folder, ended
}

type logWriter struct{ t testing.TB }

func (w logWriter) Write(p []byte) (int, error) { w.t.Logf("%s", p); return len(p), nil }

func lines(t *testing.T, folder runfolder.Folder, name string) (list []string) {
	t.Helper()
	f, err := os.Open(filepath.Join(filepath.Dir(string(folder)), name))
	if err != nil {
		return nil
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		list = append(list, s.Text())
	}
	return list
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(atMost); !done(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// TestAgentIsBackAndOrphansAreReaped: the agent dies at once each time and
// leaves a child behind each time; nobody stays a zombie.
func TestAgentIsBackAndOrphansAreReaped(t *testing.T) {
	cmd, folder, _ := supervised(t)
	await(t, "three agents and their orphans", func() bool {
		return len(lines(t, folder, "agent")) >= 3 && len(lines(t, folder, "orphan")) >= 3
	})
	if folder.Draining() {
		t.Error("what an earlier life left in the run folder is still there")
	}
	if len(lines(t, folder, "engine")) > 0 {
		t.Error("an engine was started without a configuration")
	}
	for _, pid := range lines(t, folder, "orphan")[:2] {
		await(t, "the orphan is reaped", func() bool {
			stat, err := os.ReadFile("/proc/" + pid + "/stat")
			return err != nil || !strings.Contains(string(stat), fmt.Sprintf(" Z %d ", cmd.Process.Pid))
		})
	}
}

// TestGraceEnds: an engine that does not obey is killed when the grace period
// is over, and the order of things is kept.
func TestGraceEnds(t *testing.T) {
	cmd, folder, ended := supervised(t)
	await(t, "the supervisor has begun", func() bool { return len(lines(t, folder, "agent")) > 0 })
	if err := os.WriteFile(folder.Path("config"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	await(t, "the engine runs", func() bool { return len(lines(t, folder, "engine")) == 1 })
	await(t, "the engine's life is told", func() bool {
		life, err := folder.Life()
		return err == nil && fmt.Sprint(life.PID) == lines(t, folder, "engine")[0]
	})
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(atMost):
		t.Fatal("it does not end")
	}
	if len(lines(t, folder, "drain")) == 0 || !folder.Draining() {
		t.Error("it did not drain")
	}
}

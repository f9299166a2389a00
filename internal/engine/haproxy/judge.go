package haproxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"interlock/bundle"
	"interlock/internal/engine"
)

const (
	// judgeTimeout bounds the engine's check. 1,000 backends with 5,000
	// servers and 2,000 certificates took 2.5 s (E29).
	judgeTimeout = 20 * time.Second
	// JudgeFailed is the exit code of a judge that could not ask the engine.
	JudgeFailed = 125
	// maxWordsOfEngine bounds what is kept of the engine's answer, in bytes.
	maxWordsOfEngine = 4 << 10
)

// Check judges b as engine.Engine says. It may run beside the other methods:
// it uses a folder of its own. Ports are tried each time; a bundle that the
// engine's own check has just accepted is not given to it again.
func (e *Engine) Check(ctx context.Context, b bundle.Bundle) error {
	if b.Engine != bundle.HAProxy {
		return refuse("the bundle is for engine %q", b.Engine)
	}
	if err := accept(b); err != nil {
		return err
	}
	if err := e.bindNew(ctx, b.Ports); err != nil {
		return err
	}
	digest := digestOf(b)
	if e.accepted.has(e.binary, digest) {
		return nil
	}
	binary, err := os.Stat(e.binary)
	if err != nil {
		return fmt.Errorf("judge bundle: %w", err)
	}
	if err := e.check(ctx, b); err != nil {
		return err
	}
	if digest != "" {
		e.accepted.put(binary, digest)
	}
	return nil
}

// check has the engine check b.
func (e *Engine) check(ctx context.Context, b bundle.Bundle) error {
	dir, err := os.MkdirTemp(e.run, "judge-")
	if err != nil {
		return fmt.Errorf("judge bundle: %w", err)
	}
	defer os.RemoveAll(dir)
	config, err := stageForJudge(b, dir)
	if err != nil {
		return fmt.Errorf("judge bundle: %w", err)
	}
	return e.ask(ctx, dir, config)
}

// stageForJudge writes a bundle with a run folder of its own, so that nothing
// of the running engine is in the judge's reach.
func stageForJudge(b bundle.Bundle, dir string) (config string, err error) {
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, healthFile), healthMap(engine.NotReady), 0o644); err != nil {
		return "", err
	}
	text, err := writeFiles(b, places{dir: dir, run: dir, revision: "judged", instance: "judged"})
	if err != nil {
		return "", err
	}
	config = filepath.Join(dir, mainFile)
	return config, os.WriteFile(config, []byte(withServers(text, samples(b))), 0o644)
}

// samples give each section one server, so that its options are judged too.
func samples(b bundle.Bundle) map[string][]server {
	eps := make(map[string][]server)
	for _, be := range b.Backends {
		for _, s := range be.Sections {
			eps[s] = []server{{section: s, name: "sample", address: "192.0.2.1:80", options: be.Server}}
		}
	}
	return eps
}

// bindNew binds each port that the running bundle does not hold: a busy one
// makes HAProxy pause all listeners for two seconds (reliability.md §0.4).
func (e *Engine) bindNew(ctx context.Context, ports []int) error {
	held := e.heldPorts()
	for _, port := range ports {
		if slices.Contains(held, port) {
			continue
		}
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", fmt.Sprintf(":%d", port))
		if errors.Is(err, syscall.EADDRINUSE) {
			return refuse("port %d is in use by another program", port)
		}
		if err != nil {
			return fmt.Errorf("test-bind port %d: %w", port, err)
		}
		l.Close()
	}
	return nil
}

var bindLine = regexp.MustCompile(`(?m)^[ \t]+bind[ \t]+\S*:([0-9]{1,5})\b`)

// boundPorts are what a main file has an engine listen on.
func boundPorts(config string) (ports []int) {
	for _, m := range bindLine.FindAllStringSubmatch(config, -1) {
		port, _ := strconv.Atoi(m[1]) // at most five digits
		ports = append(ports, port)
	}
	return ports
}

// ask runs the engine's check in a throw-away child.
func (e *Engine) ask(ctx context.Context, dir, config string) error {
	ctx, cancel := context.WithTimeout(ctx, judgeTimeout)
	defer cancel()
	args := append(slices.Clone(e.judge[1:]), e.binary, config)
	cmd := exec.CommandContext(ctx, e.judge[0], args...)
	var out limitedBuffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Env = []string{} // nil would hand on ours
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	return e.verdict(err, words(out.String(), dir), out.String())
}

// verdict tells an answer of the check from none. Only an alert is an answer.
func (e *Engine) verdict(err error, alerts, all string) error {
	var exit *exec.ExitError
	switch {
	case err == nil:
		if strings.Contains(all, "[WARNING]") {
			e.log.Warn("the engine warns about a bundle", "words", tail(all, maxWordsOfEngine))
		}
		return nil
	case errors.As(err, &exit) && exit.Exited() && exit.ExitCode() != JudgeFailed && alerts != "" && !resources(alerts):
		return &engine.Refusal{Words: alerts}
	default:
		return fmt.Errorf("the engine's check gave no answer: %w: %s", err, tail(all, 512))
	}
}

// resources reports whether an alert is about the judge's own limits.
func resources(alerts string) bool {
	low := strings.ToLower(alerts)
	return strings.Contains(low, "out of memory") || strings.Contains(low, "cannot allocate") || strings.Contains(low, "resource temporarily unavailable")
}

// words are the engine's alerts, a line each, without our folder and without
// the process id that changes each time.
func words(out, dir string) string {
	var b strings.Builder
	for line := range strings.Lines(out) {
		rest, ok := strings.CutPrefix(line, "[ALERT]")
		if !ok {
			continue
		}
		if _, after, ok := strings.Cut(rest, " : "); ok {
			rest = after
		}
		b.WriteString(strings.TrimSpace(strings.ReplaceAll(rest, dir+"/", "")))
		b.WriteByte('\n')
	}
	text := strings.TrimSpace(b.String())
	if len(text) > maxWordsOfEngine {
		text = text[:maxWordsOfEngine]
	}
	return strings.ToValidUTF8(text, "?")
}

func tail(s string, n int) string {
	s = strings.TrimSpace(s)
	return strings.ToValidUTF8(s[max(0, len(s)-n):], "?")
}

// limitedBuffer keeps the first 64 kB and takes the rest in silence.
type limitedBuffer struct{ bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if room := 64<<10 - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

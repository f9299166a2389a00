// Package haproxy is the proxy engine HAProxy, 3.0 or newer, in master-worker
// mode: it judges, stages and reloads bundles, and keeps the endpoints of the
// running worker in step over the Runtime API.
//
// It does not start HAProxy: the supervisor does, with
//
//	haproxy -W -db -S <run>/master.sock,mode,600 -f <run>/haproxy.cfg
//
// as soon as haproxy.cfg is there, and again whenever it dies. That file
// always has the present endpoints, so that a restarted engine has them too.
// The run folder must be memory: endpoints are never stored (I15).
package haproxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"interlock/bundle"
	"interlock/internal/engine"
	"interlock/routing"
)

const (
	// reloadTimeout bounds a reload: 10,000 backends with 100,000 servers
	// took 2.5 s (reliability.md §1.4).
	reloadTimeout = 30 * time.Second
	// startTimeout bounds the wait for the supervisor to start an engine.
	startTimeout = 10 * time.Second
	pollInterval = 25 * time.Millisecond
)

// Options say where an engine lives.
type Options struct {
	// Run is the run folder, shared with the supervisor, on memory.
	Run string
	// Binary is HAProxy by its absolute path: a master re-executes itself.
	Binary string
	// Judge is the command that runs Judge in a new process; binary and
	// configuration are appended to it.
	Judge []string
	Log   *slog.Logger
}

// Engine drives one HAProxy. It implements engine.Engine.
type Engine struct {
	run, binary string
	instance    string
	judge       []string
	log         *slog.Logger
	master      client
	worker      client

	current staged
	// known is what the worker with the process id knownPID has.
	known    map[string]server
	knownPID string
	// stale is the process id of the worker before the last reload.
	stale string
	eps   routing.Endpoints

	accepted accepted

	mu   sync.Mutex // for held: Check runs beside the rest
	held []int
}

// staged is a bundle in its folder.
type staged struct {
	bundle   bundle.Bundle
	revision string
	config   string // the main file with a place for servers
}

// New prepares the run folder; the health port answers "not ready" until
// SetHealth says otherwise, unless an earlier agent has said so.
func New(o Options) (*Engine, error) {
	if !filepath.IsAbs(o.Binary) || !filepath.IsAbs(o.Run) || len(o.Judge) == 0 {
		return nil, fmt.Errorf("haproxy: binary %q and run folder %q must be absolute, and a judge be given", o.Binary, o.Run)
	}
	if err := os.MkdirAll(filepath.Join(o.Run, "gen"), 0o755); err != nil {
		return nil, fmt.Errorf("haproxy: %w", err)
	}
	e := &Engine{
		run: o.Run, binary: o.Binary, judge: o.Judge, log: o.Log,
		master: client{filepath.Join(o.Run, "master.sock")},
		worker: client{filepath.Join(o.Run, "admin.sock")},
	}
	instance, err := instanceOf(e.file(instanceFile))
	if err != nil {
		return nil, fmt.Errorf("haproxy: %w", err)
	}
	e.instance = instance
	if _, err := os.Stat(e.file(healthFile)); errors.Is(err, os.ErrNotExist) {
		if err := replaceFile(e.file(healthFile), healthMap(engine.NotReady)); err != nil {
			return nil, fmt.Errorf("haproxy: %w", err)
		}
	}
	// An earlier agent's engine may hold ports: they are no other program's.
	if config, err := os.ReadFile(e.file(mainFile)); err == nil {
		e.held = boundPorts(string(config))
	}
	return e, nil
}

func (e *Engine) file(name string) string { return filepath.Join(e.run, name) }

func (e *Engine) heldPorts() []int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.held
}

// Running is the revision in the worker's description. The error is of the
// kind os.ErrNotExist or ECONNREFUSED when no engine runs.
func (e *Engine) Running(ctx context.Context) (string, error) {
	revision, _, err := e.info(ctx)
	return revision, err
}

// Alive reports whether an engine runs, whatever it serves.
func (e *Engine) Alive(ctx context.Context) bool {
	_, _, err := e.info(ctx)
	return err == nil
}

func (e *Engine) info(ctx context.Context) (revision, pid string, err error) {
	answer, err := e.worker.do(ctx, "show", "info")
	if err != nil {
		return "", "", err
	}
	for line := range strings.Lines(answer) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "description":
			revision = value
		case "Pid":
			pid = value
		}
	}
	if pid == "" {
		return "", "", errors.New("haproxy: show info has no process id")
	}
	return revision, pid, nil
}

// Apply makes b what runs. When the engine already runs b under this revision
// (an agent started anew beside it) there is no reload.
func (e *Engine) Apply(ctx context.Context, b bundle.Bundle, revision string, eps routing.Endpoints) error {
	next, err := e.stage(b, revision)
	if err != nil {
		return err
	}
	if e.adopted(ctx, next) {
		e.switchTo(next)
		return e.SetEndpoints(ctx, eps)
	}
	before, err := os.ReadFile(e.file(mainFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("apply %s: %w", revision, err)
	}
	if _, err := e.write(next, eps); err != nil {
		return fmt.Errorf("apply %s: %w", revision, err)
	}
	// All that can fail without being noticed by a client is behind us.
	if err := e.load(ctx, revision); err != nil {
		return fmt.Errorf("apply %s: %w", revision, errors.Join(err, e.restore(before)))
	}
	e.switchTo(next)
	e.eps, e.known = eps, nil
	return nil
}

// switchTo makes next the current bundle and forgets those before the last.
func (e *Engine) switchTo(next staged) {
	last := e.current.revision
	e.current = next
	e.mu.Lock()
	e.held = next.bundle.Ports
	e.mu.Unlock()
	entries, err := os.ReadDir(e.file("gen"))
	if err != nil {
		e.log.Warn("old generations stay in the run folder", "error", err)
	}
	for _, entry := range entries {
		if n := entry.Name(); n != next.revision && n != last {
			os.RemoveAll(filepath.Join(e.run, "gen", n))
		}
	}
}

// stage writes the bundle's files into the revision's folder.
func (e *Engine) stage(b bundle.Bundle, revision string) (staged, error) {
	if !revisionGrammar.MatchString(revision) || strings.Trim(revision, ".") == "" {
		return staged{}, fmt.Errorf("stage bundle: revision %q is not a plain word", revision)
	}
	dir := filepath.Join(e.run, "gen", revision)
	config, err := writeFiles(b, places{dir: dir, run: e.run, revision: revision, instance: e.instance})
	if err != nil {
		return staged{}, err
	}
	return staged{bundle: b, revision: revision, config: config}, nil
}

// adopted reports whether the engine runs exactly this bundle already: it says
// the revision, and its main file differs in nothing but servers.
func (e *Engine) adopted(ctx context.Context, next staged) bool {
	if running, err := e.Running(ctx); err != nil || running != next.revision {
		return false
	}
	present, err := os.ReadFile(e.file(StructureFile))
	return err == nil && string(present) == next.config
}

// StructureFile is the main file without servers, in the run folder. It is
// replaced only when it changes.
const StructureFile = "haproxy.base"

// write puts the main file with its servers where a starting engine reads it,
// and beside it the main file without. It returns the servers.
func (e *Engine) write(s staged, eps routing.Endpoints) (sections map[string][]server, err error) {
	sections, problems := wanted(s.bundle, eps)
	for _, p := range problems {
		e.log.Error("an endpoint is left out", "error", p)
	}
	if err := replaceFile(e.file(mainFile), []byte(withServers(s.config, sections))); err != nil {
		return nil, err
	}
	if present, err := os.ReadFile(e.file(StructureFile)); err == nil && string(present) == s.config {
		return sections, nil
	}
	return sections, replaceFile(e.file(StructureFile), []byte(s.config))
}

// restore makes the file agree again with what runs.
func (e *Engine) restore(before []byte) error {
	if e.current.revision != "" {
		_, err := e.write(e.current, e.eps)
		return err
	}
	if before == nil {
		return os.Remove(e.file(mainFile))
	}
	return replaceFile(e.file(mainFile), before)
}

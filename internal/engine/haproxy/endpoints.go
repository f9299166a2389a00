package haproxy

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"

	"interlock/routing"
)

// errDrift means that the worker is not as it should be and can't be brought
// there by commands.
var errDrift = errors.New("the worker's servers differ from what they should be")

// SetEndpoints brings the worker's servers to eps: first it adds and enables,
// then it disables and removes, then it reads back. What can't be matched
// costs one reload. A server that still has connections stays in maintenance,
// where it gets no new request, until a later call or reload.
//
// The main file is rewritten first: an engine that dies meanwhile comes back
// with eps.
func (e *Engine) SetEndpoints(ctx context.Context, eps routing.Endpoints) error {
	if e.current.revision == "" {
		return errors.New("set endpoints: no bundle is applied")
	}
	e.eps = eps
	sections, err := e.write(e.current, eps)
	if err != nil {
		return fmt.Errorf("set endpoints: %w", err)
	}
	err = e.converge(ctx, sections)
	if err == nil || notRunning(err) {
		// A starting engine reads the file.
		return nil
	}
	e.known = nil
	e.log.Warn("servers could not be set one by one, reloading", "error", err)
	if err := e.load(ctx, e.current.revision); err != nil {
		return fmt.Errorf("set endpoints: %w", err)
	}
	return nil
}

func (e *Engine) converge(ctx context.Context, sections map[string][]server) error {
	if err := e.refresh(ctx); err != nil {
		return err
	}
	s := stepsTo(sections, e.known)
	for _, add := range s.add {
		if err := e.add(ctx, add); err != nil {
			return err
		}
	}
	for _, enable := range s.enable {
		if err := e.enable(ctx, enable); err != nil {
			return err
		}
	}
	for _, gone := range s.remove {
		if err := e.remove(ctx, gone); err != nil {
			return err
		}
	}
	return e.verify(ctx, sections, s.touched())
}

// refresh reads what the worker has, if it is not the one we know.
func (e *Engine) refresh(ctx context.Context) error {
	revision, pid, err := e.info(ctx)
	if err != nil {
		return err
	}
	if pid == e.stale {
		return fmt.Errorf("%w: the worker of before still answers", errDrift)
	}
	if revision != e.current.revision {
		return fmt.Errorf("%w: it says %q, not %q", errDrift, revision, e.current.revision)
	}
	if e.known != nil && e.knownPID == pid {
		return nil
	}
	list, err := e.read(ctx, "")
	if err != nil {
		return err
	}
	e.known, e.knownPID = make(map[string]server, len(list)), pid
	for _, s := range list {
		e.known[s.key()] = s
	}
	return nil
}

// read asks for the servers of one section, or of all.
func (e *Engine) read(ctx context.Context, section string) ([]server, error) {
	command := []string{"show", "servers", "state"}
	if section != "" {
		command = append(command, section)
	}
	answer, err := e.worker.do(ctx, command...)
	if err != nil {
		return nil, err
	}
	return parseServers(answer)
}

// steps lead from what a worker has to what it should have.
type steps struct{ add, enable, remove []server }

// stepsTo compares; servers whose names are not ours (an operator's) are left
// alone.
func stepsTo(want map[string][]server, have map[string]server) steps {
	var s steps
	wanted := make(map[string]bool)
	for _, list := range want {
		for _, w := range list {
			wanted[w.key()] = true
			h, there := have[w.key()]
			switch {
			case !there:
				s.add = append(s.add, w)
			case h.maint:
				s.enable = append(s.enable, w)
			}
		}
	}
	for key, h := range have {
		if !wanted[key] && strings.HasPrefix(h.name, "e_") {
			s.remove = append(s.remove, h)
		}
	}
	for _, list := range [][]server{s.add, s.enable, s.remove} {
		sort.Slice(list, func(i, j int) bool { return list[i].key() < list[j].key() })
	}
	return s
}

func (s steps) touched() map[string]bool {
	sections := make(map[string]bool)
	for _, list := range [][]server{s.add, s.enable, s.remove} {
		for _, x := range list {
			sections[x.section] = true
		}
	}
	return sections
}

func (e *Engine) add(ctx context.Context, s server) error {
	command := append([]string{"add", "server", s.key(), s.address}, strings.Fields(s.options)...)
	if err := e.worker.expect(ctx, "New server registered.", command...); err != nil {
		return err
	}
	return e.enable(ctx, s)
}

// enable also starts the health checks, which an added server has switched off.
func (e *Engine) enable(ctx context.Context, s server) error {
	if s.checked() {
		if err := e.worker.expect(ctx, "", "enable", "health", s.key()); err != nil {
			return err
		}
	}
	if err := e.worker.expect(ctx, "", "set", "server", s.key(), "state", "ready"); err != nil {
		return err
	}
	s.maint = false
	e.known[s.key()] = s
	return nil
}

// remove stops new requests at once, and deletes the server if it is free.
func (e *Engine) remove(ctx context.Context, s server) error {
	if !s.maint {
		if err := e.worker.expect(ctx, "", "set", "server", s.key(), "state", "maint"); err != nil {
			return err
		}
		s.maint = true
		e.known[s.key()] = s
	}
	answer, err := e.worker.do(ctx, "del", "server", s.key())
	switch {
	case err != nil:
		return err
	case answer == "Server deleted.":
		delete(e.known, s.key())
	case !strings.Contains(answer, "still has connections"):
		// Some servers can't be deleted at all (one that a rule names); out of
		// use is what matters.
		e.log.Debug("a server stays in maintenance", "server", s.key(), "answer", answer)
	}
	return nil
}

// verify reads the touched sections back.
func (e *Engine) verify(ctx context.Context, want map[string][]server, touched map[string]bool) error {
	for section := range touched {
		list, err := e.read(ctx, section)
		if err != nil {
			return err
		}
		inUse := make(map[string]string)
		for _, s := range list {
			if !s.maint && strings.HasPrefix(s.name, "e_") {
				inUse[s.name] = s.address
			}
		}
		if len(inUse) != len(want[section]) {
			return fmt.Errorf("%w: %d servers in %s, not %d", errDrift, len(inUse), section, len(want[section]))
		}
		for _, s := range want[section] {
			if inUse[s.name] != s.address {
				return fmt.Errorf("%w: %s is at %q, not %s", errDrift, s.key(), inUse[s.name], s.address)
			}
		}
	}
	return nil
}

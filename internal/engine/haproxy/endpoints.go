package haproxy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"interlock/routing"
)

// errDrift means that the worker is not as it should be and can't be brought
// there by commands.
var errDrift = errors.New("the worker's servers differ from what they should be")

// SetEndpoints brings the worker's servers to eps. A server that must leave is
// put into maintenance first where another one can serve, and after those that
// come where the section would be empty in between. Then what is in maintenance
// is removed, and all is read back. What can't be matched costs one reload. A
// server that still has connections stays in maintenance, where it gets no new
// request, until a later call or reload.
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
	if err := e.exchangeServers(ctx, s, sections); err != nil {
		return err
	}
	for _, list := range [][]server{s.add, s.enable, s.remove} {
		for _, x := range list {
			e.known[x.key()] = x
		}
	}
	if err := e.remove(ctx, s.remove); err != nil {
		return err
	}
	return e.verify(ctx, sections, s.touched())
}

// exchangeServers takes out of use what leaves and into use what comes. An
// addition that fails delays no removal: until the reload that follows, a
// section without servers answers 503, which is better than an address that may
// be somebody else's by then (I15).
func (e *Engine) exchangeServers(ctx context.Context, s steps, sections map[string][]server) error {
	served, err := e.served(ctx, s.mixed(), sections)
	if err != nil {
		return err
	}
	first, last := s.leaving(served)
	if err := e.order(ctx, disabling(first)); err != nil {
		return err
	}
	failed := e.order(ctx, append(adding(s.add), enabling(slices.Concat(s.add, s.enable))...))
	return errors.Join(failed, e.order(ctx, disabling(last)))
}

// served are those of the sections in which a server that stays takes requests.
// It is asked for: only the worker knows what its checks have found.
func (e *Engine) served(ctx context.Context, ask map[string]bool, want map[string][]server) (map[string]bool, error) {
	present, err := e.inUse(ctx, ask)
	if err != nil {
		return nil, err
	}
	served := make(map[string]bool)
	for section := range ask {
		for _, w := range want[section] {
			if h, ok := present[section][w.name]; ok && !h.down {
				served[section] = true
			}
		}
	}
	return served, nil
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

// mixed are the sections in which servers leave and others come.
func (s steps) mixed() map[string]bool {
	come, mixed := steps{add: s.add, enable: s.enable}.touched(), make(map[string]bool)
	for _, x := range s.remove {
		if come[x.section] {
			mixed[x.section] = true
		}
	}
	return mixed
}

// leaving parts the servers to remove: last are those whose section would be
// without a server until those that come are there.
func (s steps) leaving(served map[string]bool) (first, last []server) {
	mixed := s.mixed()
	for _, x := range s.remove {
		if mixed[x.section] && !served[x.section] {
			last = append(last, x)
		} else {
			first = append(first, x)
		}
	}
	return first, last
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

// order is a command with the only answer that means success.
type order struct {
	words []string
	want  string
}

func (e *Engine) order(ctx context.Context, orders []order) error {
	commands := make([][]string, len(orders))
	for i, o := range orders {
		commands[i] = o.words
	}
	answers, err := e.worker.batch(ctx, commands)
	if err != nil {
		return err
	}
	for i, o := range orders {
		if answers[i] != o.want {
			return &answerError{command: strings.Join(o.words, " "), answer: answers[i]}
		}
	}
	return nil
}

func adding(list []server) (orders []order) {
	for _, s := range list {
		words := append([]string{"add", "server", s.key(), s.address}, strings.Fields(s.options)...)
		orders = append(orders, order{words, "New server registered."})
	}
	return orders
}

// enabling also starts the health checks, which an added server has switched
// off.
func enabling(list []server) (orders []order) {
	for _, s := range list {
		if s.checked() {
			orders = append(orders, order{[]string{"enable", "health", s.key()}, ""})
		}
		orders = append(orders, order{[]string{"set", "server", s.key(), "state", "ready"}, ""})
	}
	return orders
}

// disabling stops new requests at once; those under way are finished.
func disabling(list []server) (orders []order) {
	for _, s := range list {
		if !s.maint {
			orders = append(orders, order{[]string{"set", "server", s.key(), "state", "maint"}, ""})
		}
	}
	return orders
}

// remove deletes servers in maintenance that are free. One that still has
// connections stays for a later call, and some can't be deleted at all (one
// that a rule names): out of use is what matters.
func (e *Engine) remove(ctx context.Context, list []server) error {
	commands := make([][]string, len(list))
	for i, s := range list {
		commands[i] = []string{"del", "server", s.key()}
	}
	answers, err := e.worker.batch(ctx, commands)
	if err != nil {
		return err
	}
	for i, s := range list {
		if answers[i] == "Server deleted." {
			delete(e.known, s.key())
			continue
		}
		s.maint = true
		e.known[s.key()] = s
		e.log.Debug("a server stays in maintenance", "server", s.key(), "answer", answers[i])
	}
	return nil
}

// verify reads the touched sections back.
func (e *Engine) verify(ctx context.Context, want map[string][]server, touched map[string]bool) error {
	present, err := e.inUse(ctx, touched)
	if err != nil {
		return err
	}
	for section := range touched {
		inUse := present[section]
		if len(inUse) != len(want[section]) {
			return fmt.Errorf("%w: %d servers in %s, not %d", errDrift, len(inUse), section, len(want[section]))
		}
		for _, s := range want[section] {
			if at := inUse[s.name].address; at != s.address {
				return fmt.Errorf("%w: %s is at %q, not %s", errDrift, s.key(), at, s.address)
			}
		}
	}
	return nil
}

// inUse are our servers out of maintenance, by section and name: asked for one by one, or all at once when that is less work.
func (e *Engine) inUse(ctx context.Context, sections map[string]bool) (map[string]map[string]server, error) {
	present := make(map[string]map[string]server)
	ask := slices.Collect(maps.Keys(sections))
	if len(ask) > 50 {
		ask = []string{""}
	}
	for _, section := range ask {
		list, err := e.read(ctx, section)
		if err != nil {
			return nil, err
		}
		for _, s := range list {
			if s.maint || !strings.HasPrefix(s.name, "e_") {
				continue
			}
			if present[s.section] == nil {
				present[s.section] = make(map[string]server)
			}
			present[s.section][s.name] = s
		}
	}
	return present, nil
}

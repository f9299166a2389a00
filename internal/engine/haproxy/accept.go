package haproxy

import (
	"fmt"
	"strings"

	"interlock/bundle"
	"interlock/internal/engine"
)

const (
	// maxWords is our bound of words in a line, below HAProxy's 64.
	maxWords = 60
	// maxLine is HAProxy's LINESIZE of 2048 less room for its own.
	maxLine = 2000
)

// accept is our own judgement of a bundle, of what the engine's check lets
// pass: a directive that starts programs, opens sockets or reads files of
// others; a map entry that names no section goes silently to the default
// backend, a key twice hides a route, a line too long kills the whole file.
func accept(b bundle.Bundle) error {
	main, maps := "", []bundle.File(nil)
	for _, f := range b.Files {
		if i := strings.IndexFunc(f.Data, control); i >= 0 {
			return refuse("%s has a control byte at offset %d", f.Path, i)
		}
		switch {
		case f.Path == mainFile:
			main = f.Data
		case strings.HasSuffix(f.Path, ".map"):
			maps = append(maps, f)
		}
	}
	if main == "" {
		return refuse("there is no %s", mainFile)
	}
	o, err := outlineOf(main, b.Ports)
	if err != nil {
		return err
	}
	for _, f := range maps {
		if err := acceptMap(f, o.sections); err != nil {
			return err
		}
	}
	return acceptBackends(b.Backends, o)
}

func control(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f }

func refuse(format string, args ...any) error {
	return &engine.Refusal{Words: fmt.Errorf(format, args...).Error()}
}

// outline is what our judgement needs of a main file.
type outline struct {
	sections  map[string]bool // that can be routed to
	endpoints map[string]bool // sections with a place for endpoints
}

func outlineOf(config string, ports []int) (outline, error) {
	r := reader{
		outline: outline{sections: map[string]bool{}, endpoints: map[string]bool{}},
		checker: checker{ports: ports, seen: map[string]int{}},
	}
	n := 0
	for line := range strings.Lines(config) {
		n++
		if err := r.line(strings.TrimSuffix(line, "\n")); err != nil {
			return r.outline, refuse("%s:%d: %w", mainFile, n, err)
		}
	}
	if !r.revision {
		return r.outline, refuse("%s has no place for the revision", mainFile)
	}
	if err := r.checker.complete(); err != nil {
		return r.outline, refuse("%s: %w", mainFile, err)
	}
	return r.outline, nil
}

// reader goes through the lines of a main file.
type reader struct {
	outline  outline
	checker  checker
	section  string // the routable one it is in, "" in another
	revision bool
}

func (r *reader) line(line string) error {
	if len(line) > maxLine {
		return fmt.Errorf("%d bytes, %d allowed", len(line), maxLine)
	}
	r.revision = r.revision || strings.TrimSpace(line) == "description @REVISION@"
	if mark, ok := strings.CutPrefix(line, endpointsMark); ok {
		if mark != r.section || r.outline.endpoints[mark] {
			return fmt.Errorf("a place for endpoints of %q in section %q", mark, r.section)
		}
		r.outline.endpoints[mark] = true
	}
	words, err := wordsOf(line)
	if err != nil || len(words) == 0 {
		return err
	}
	if len(words) > maxWords {
		return fmt.Errorf("%d words, %d allowed", len(words), maxWords)
	}
	kind, name, ok := r.checker.section(words)
	if !ok {
		return r.checker.directive(words)
	}
	r.section = ""
	if kind != "backend" {
		return nil
	}
	if r.outline.sections[name] {
		return fmt.Errorf("section %q is there twice", name)
	}
	r.section, r.outline.sections[name] = name, true
	return nil
}

func acceptMap(f bundle.File, sections map[string]bool) error {
	if f.Data != "" && !strings.HasSuffix(f.Data, "\n") {
		return refuse("%s does not end with a newline", f.Path)
	}
	seen := make(map[string]bool)
	n := 0
	for line := range strings.Lines(f.Data) {
		n++
		words := strings.Fields(line)
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		if len(words) != 2 {
			return refuse("%s:%d: %d words, a key and a value are needed", f.Path, n, len(words))
		}
		if seen[words[0]] {
			return refuse("%s:%d: key %q is there twice", f.Path, n, words[0])
		}
		seen[words[0]] = true
		if !sections[words[1]] {
			return refuse("%s:%d: %q points to %q, which is no section", f.Path, n, words[0], words[1])
		}
	}
	return nil
}

func acceptBackends(backends []bundle.Backend, o outline) error {
	for _, be := range backends {
		for _, s := range be.Sections {
			if !o.endpoints[s] {
				return refuse("backend %s: section %q has no place for endpoints", be.ID, s)
			}
		}
		if err := acceptServer(be.Server); err != nil {
			return refuse("backend %s: %w", be.ID, err)
		}
	}
	return nil
}

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
// pass: a map entry that names no section goes silently to the default
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
	o, err := outlineOf(main)
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
	return &engine.Refusal{Words: fmt.Sprintf(format, args...)}
}

// outline is what our judgement needs of a main file.
type outline struct {
	sections  map[string]bool // that can be routed to
	endpoints map[string]bool // sections with a place for endpoints
}

func outlineOf(config string) (outline, error) {
	o := outline{sections: map[string]bool{}, endpoints: map[string]bool{}}
	section, revision, n := "", false, 0
	for line := range strings.Lines(config) {
		n++
		line = strings.TrimSuffix(line, "\n")
		words := strings.Fields(line)
		if len(line) > maxLine || len(words) > maxWords {
			return o, refuse("%s:%d: %d words in %d bytes, %d in %d allowed", mainFile, n, len(words), len(line), maxWords, maxLine)
		}
		revision = revision || strings.TrimSpace(line) == "description @REVISION@"
		if mark, ok := strings.CutPrefix(line, endpointsMark); ok {
			if mark != section || o.endpoints[mark] {
				return o, refuse("%s:%d: a place for endpoints of %q in section %q", mainFile, n, mark, section)
			}
			o.endpoints[mark] = true
		}
		if name, ok := sectionOf(line, words); ok {
			if section = name; name != "" && o.sections[name] {
				return o, refuse("%s:%d: section %q is there twice", mainFile, n, name)
			}
			o.sections[section] = true
		}
	}
	if !revision {
		return o, refuse("%s has no place for the revision", mainFile)
	}
	delete(o.sections, "")
	return o, nil
}

// sectionOf is the routable section that a line begins, "" for one of another
// kind. Lines of a section are indented.
func sectionOf(line string, words []string) (name string, ok bool) {
	if len(words) == 0 || line[0] == ' ' || line[0] == '\t' || line[0] == '#' {
		return "", false
	}
	if len(words) > 1 && (words[0] == "backend" || words[0] == "listen") {
		return words[1], true
	}
	return "", true
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
		for _, w := range strings.Fields(be.Server) {
			if !word.MatchString(w) {
				return refuse("backend %s: server option %q is not a plain word", be.ID, w)
			}
		}
	}
	return nil
}

package haproxy

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"interlock/bundle"
)

const (
	mainFile   = "haproxy.cfg"
	healthFile = "health.map"
	healthKey  = "state"

	// endpointsMark is followed by a section's name, on a line of its own.
	endpointsMark = "  # endpoints "
)

var revisionGrammar = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// expand fills in the places of a bundle's text: its folder, the run folder
// and the revision.
func expand(text, dir, run, revision string) string {
	return strings.NewReplacer("@DIR@", dir, "@RUN@", run, "@REVISION@", revision).Replace(text)
}

// withServers replaces each section's endpoints line by its server lines.
func withServers(config string, sections map[string][]server) string {
	var b strings.Builder
	b.Grow(len(config))
	for line := range strings.Lines(config) {
		section, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), endpointsMark)
		if !ok {
			b.WriteString(line)
			continue
		}
		for _, s := range sections[section] {
			b.WriteString(s.line())
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// writeFiles writes a bundle's files below dir, all but the main file, and
// returns the main file's text. Everything is readable by the judge, which has
// no privileges; secrets are not part of a bundle.
func writeFiles(b bundle.Bundle, dir, run, revision string) (config string, err error) {
	for _, f := range b.Files {
		text := expand(f.Data, dir, run, revision)
		if f.Path == mainFile {
			config = text
			continue
		}
		name := filepath.Join(dir, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return "", fmt.Errorf("stage bundle: %w", err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return "", fmt.Errorf("stage bundle: %w", err)
		}
	}
	return config, nil
}

// replaceFile writes a file so that a reader sees the old or the new content.
// The run folder is memory: there is nothing to sync.
func replaceFile(name string, data []byte) error {
	tmp := name + ".new"
	if err := os.WriteFile(tmp, data, 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, name)
}

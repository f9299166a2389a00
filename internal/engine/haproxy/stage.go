package haproxy

import (
	"crypto/rand"
	"encoding/hex"
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
	// instanceFile has the name that outlives agents, as the run folder does.
	instanceFile = "instance"

	// endpointsMark is followed by a section's name, on a line of its own.
	endpointsMark = "  # endpoints "
)

var revisionGrammar = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// places are what a bundle's text leaves open: its folder, the run folder, the
// revision, and a name that no other proxy has.
type places struct{ dir, run, revision, instance string }

func (p places) expand(text string) string {
	return strings.NewReplacer("@DIR@", p.dir, "@RUN@", p.run, "@REVISION@", p.revision, "@INSTANCE@", p.instance).Replace(text)
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

// writeFiles writes a bundle's files below its folder, all but the main file, and
// returns the main file's text. Everything is readable by the judge, which has
// no privileges; secrets are not part of a bundle.
func writeFiles(b bundle.Bundle, p places) (config string, err error) {
	for _, f := range b.Files {
		text := p.expand(f.Data)
		if f.Path == mainFile {
			config = text
			continue
		}
		name := filepath.Join(p.dir, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return "", fmt.Errorf("stage bundle: %w", err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return "", fmt.Errorf("stage bundle: %w", err)
		}
	}
	return config, nil
}

// instanceOf reads the name of this run folder's proxy from a file, or makes one
// of 64 random bits. With it the ids of requests differ between proxies.
func instanceOf(file string) (string, error) {
	if name, err := os.ReadFile(file); err == nil && revisionGrammar.Match(name) {
		return string(name), nil
	}
	var random [8]byte
	rand.Read(random[:]) // never fails
	name := hex.EncodeToString(random[:])
	return name, replaceFile(file, []byte(name))
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

// Package lkg keeps a proxy's last known good: the bundles that were confirmed
// on it, newest first, on a volume that outlives the container.
//
//	generations/<epoch>-<generation>/bundle.json    the encoding
//	generations/<epoch>-<generation>/manifest.json  position, digest, core's signature
//	current                                         the newest one's name, for people
//
// A generation is a complete directory that appears by one rename after all in
// it was synced. What is read is trusted no further than its digest and
// signature go: anything else is skipped for the next older one.
package lkg

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"

	"interlock/bundle"
)

const (
	// Keep is how many generations stay.
	Keep = 5

	generations  = "generations"
	bundleFile   = "bundle.json"
	manifestFile = "manifest.json"
	currentFile  = "current"

	// maxManifest bounds what is read of a manifest, in bytes.
	maxManifest = 64 << 10
)

// Entry is a generation that was read and verified.
type Entry struct {
	Signed bundle.Signed
	Bundle bundle.Bundle
}

// Store is the folder of one proxy. One process uses it at a time.
type Store struct {
	dir   string
	files files
}

// Open makes the folder where it is missing.
func Open(dir string) (*Store, error) { return open(dir, disk{}) }

func open(dir string, f files) (*Store, error) {
	s := &Store{dir: dir, files: f}
	if err := f.mkdir(s.path(generations)); err != nil {
		return nil, fmt.Errorf("open last known good: %w", err)
	}
	return s, nil
}

func (s *Store) path(elem ...string) string {
	return filepath.Join(append([]string{s.dir}, elem...)...)
}

// Save stores a confirmed bundle and forgets the oldest. When it returns nil
// the bundle survives a crash; when it fails, all that was there before does.
func (s *Store) Save(b bundle.Signed) error {
	if err := s.save(b); err != nil {
		return fmt.Errorf("save generation %s: %w", name(b.Position), err)
	}
	return nil
}

func (s *Store) save(b bundle.Signed) error {
	manifest, err := json.Marshal(b)
	if err != nil {
		return err
	}
	final := s.path(generations, name(b.Position))
	if same(final, manifest, b.Encoded) {
		return nil
	}
	fresh := s.path(generations, ".new")
	for _, step := range []func() error{
		func() error { return s.files.remove(fresh) },
		func() error { return s.files.mkdir(fresh) },
		func() error { return s.files.write(filepath.Join(fresh, bundleFile), b.Encoded) },
		func() error { return s.files.write(filepath.Join(fresh, manifestFile), manifest) },
		func() error { return s.files.sync(fresh) },
		// A broken directory of that name would be in the way of the rename.
		func() error { return s.files.remove(final) },
		func() error { return s.files.rename(fresh, final) },
		func() error { return s.files.sync(s.path(generations)) },
		func() error { return s.files.write(s.path(currentFile+".new"), []byte(name(b.Position)+"\n")) },
		func() error { return s.files.rename(s.path(currentFile+".new"), s.path(currentFile)) },
		func() error { return s.files.sync(s.dir) },
		s.prune,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// same reports whether the directory holds exactly this already.
func same(dir string, manifest, encoded []byte) bool {
	m, err1 := os.ReadFile(filepath.Join(dir, manifestFile))
	e, err2 := os.ReadFile(filepath.Join(dir, bundleFile))
	return err1 == nil && err2 == nil && slices.Equal(m, manifest) && slices.Equal(e, encoded)
}

func (s *Store) prune() error {
	positions, err := s.positions()
	if err != nil {
		return err
	}
	for _, p := range positions[min(Keep, len(positions)):] {
		if err := s.files.remove(s.path(generations, name(p))); err != nil {
			return err
		}
	}
	return nil
}

// Load returns all generations that verify with core's key for this cluster,
// newest first. The error joins why others were skipped; it says nothing about
// the entries.
func (s *Store) Load(key ed25519.PublicKey, cluster string) ([]Entry, error) {
	positions, err := s.positions()
	if err != nil {
		return nil, fmt.Errorf("load last known good: %w", err)
	}
	var entries []Entry
	var skipped []error
	for _, p := range positions {
		e, err := s.read(p, key, cluster)
		if err != nil {
			skipped = append(skipped, fmt.Errorf("skip generation %s: %w", name(p), err))
			continue
		}
		entries = append(entries, e)
	}
	return entries, errors.Join(skipped...)
}

func (s *Store) read(p bundle.Position, key ed25519.PublicKey, cluster string) (Entry, error) {
	var e Entry
	manifest, err := readFile(s.path(generations, name(p), manifestFile), maxManifest)
	if err != nil {
		return e, err
	}
	if err := json.Unmarshal(manifest, &e.Signed); err != nil {
		return e, fmt.Errorf("manifest: %w", err)
	}
	if e.Signed.Encoded, err = readFile(s.path(generations, name(p), bundleFile), bundle.MaxSize); err != nil {
		return e, err
	}
	if e.Signed.Position != p {
		return e, fmt.Errorf("the manifest is of %s", name(e.Signed.Position))
	}
	if err := e.Signed.Verify(key, cluster); err != nil {
		return e, err
	}
	e.Bundle, err = bundle.Decode(e.Signed.Encoded)
	return e, err
}

func readFile(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("%s is larger than %d bytes", filepath.Base(name), most)
	}
	return data, err
}

// positions are those of all directories, newest first.
func (s *Store) positions() ([]bundle.Position, error) {
	list, err := os.ReadDir(s.path(generations))
	if err != nil {
		return nil, err
	}
	var positions []bundle.Position
	for _, d := range list {
		if p, ok := position(d.Name()); ok {
			positions = append(positions, p)
		}
	}
	sort.Slice(positions, func(i, j int) bool { return positions[j].Less(positions[i]) })
	return positions, nil
}

func name(p bundle.Position) string { return fmt.Sprintf("%d-%d", p.Epoch, p.Generation) }

func position(s string) (bundle.Position, bool) {
	epoch, generation, ok := strings.Cut(s, "-")
	e, err1 := strconv.ParseUint(epoch, 10, 64)
	g, err2 := strconv.ParseUint(generation, 10, 64)
	p := bundle.Position{Epoch: e, Generation: g}
	return p, ok && err1 == nil && err2 == nil && name(p) == s
}

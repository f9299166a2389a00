package lkg

import (
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"interlock/bundle"
)

var (
	public  ed25519.PublicKey
	private = ed25519.NewKeyFromSeed([]byte("thirty-two bytes of a test's key"))
)

func TestMain(m *testing.M) {
	public = private.Public().(ed25519.PublicKey)
	os.Exit(m.Run())
}

func signed(t testing.TB, epoch, generation uint64) bundle.Signed {
	t.Helper()
	data, err := bundle.Encode(bundle.Bundle{Cluster: "dev", Engine: "haproxy", Files: []bundle.File{{Path: "haproxy.cfg", Data: name(bundle.Position{Epoch: epoch, Generation: generation})}}})
	if err != nil {
		t.Fatal(err)
	}
	return bundle.Sign(private, "dev", bundle.Position{Epoch: epoch, Generation: generation}, data)
}

func store(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func save(t testing.TB, s *Store, list ...bundle.Signed) {
	t.Helper()
	for _, b := range list {
		if err := s.Save(b); err != nil {
			t.Fatal(err)
		}
	}
}

// newest is the name of the first entry, "" if there is none.
func newest(t testing.TB, dir string) string {
	t.Helper()
	entries, _ := store(t, dir).Load(public, "dev")
	if len(entries) == 0 {
		return ""
	}
	return name(entries[0].Signed.Position)
}

func TestSaveKeepsNewest(t *testing.T) {
	dir := t.TempDir()
	s := store(t, dir)
	for g := range uint64(12) {
		save(t, s, signed(t, 1+g/11, g))
	}
	entries, err := s.Load(public, "dev")
	if err != nil || len(entries) != Keep {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	if got := name(entries[0].Signed.Position); got != "2-11" {
		t.Errorf("newest is %s", got)
	}
	if got := name(entries[1].Signed.Position); got != "1-10" {
		t.Errorf("second is %s", got)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "current")); err != nil || string(data) != "2-11\n" {
		t.Errorf("current is %q, %v", data, err)
	}
}

func TestDamagedGenerationIsSkipped(t *testing.T) {
	for what, damage := range map[string]func(dir string) error{
		"content": func(dir string) error { return os.WriteFile(filepath.Join(dir, bundleFile), []byte("{}"), 0o600) },
		"cut":     func(dir string) error { return os.Truncate(filepath.Join(dir, bundleFile), 10) },
		"manifest": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, manifestFile), []byte(`{"cluster":"dev"}`), 0o600)
		},
		"no manifest": func(dir string) error { return os.Remove(filepath.Join(dir, manifestFile)) },
		"renamed":     func(dir string) error { return os.Rename(dir, filepath.Join(filepath.Dir(dir), "9-9")) },
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			save(t, store(t, dir), signed(t, 1, 1), signed(t, 1, 2))
			if err := damage(filepath.Join(dir, generations, "1-2")); err != nil {
				t.Fatal(err)
			}
			if got := newest(t, dir); got != "1-1" {
				t.Errorf("newest is %q", got)
			}
			save(t, store(t, dir), signed(t, 1, 2))
			if got := newest(t, dir); got != "1-2" {
				t.Errorf("saved again, newest is %q", got)
			}
		})
	}
}

func TestOthersBundlesAreSkipped(t *testing.T) {
	dir := t.TempDir()
	s := store(t, dir)
	save(t, s, signed(t, 1, 1))
	if entries, err := s.Load(public, "prod"); len(entries) != 0 || !errors.Is(err, bundle.ErrSignature) {
		t.Errorf("another cluster's: %d entries, %v", len(entries), err)
	}
	stranger, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if entries, err := s.Load(stranger, "dev"); len(entries) != 0 || !errors.Is(err, bundle.ErrSignature) {
		t.Errorf("another core's: %d entries, %v", len(entries), err)
	}
}

var errCrash = errors.New("crash")

// crashing stops at its n-th operation and does nothing after: what a process
// leaves that is killed there. A write may be cut in the middle.
type crashing struct {
	disk
	left int
	cut  bool
}

func (c *crashing) step() error {
	if c.left--; c.left < 0 {
		return errCrash
	}
	return nil
}

func (c *crashing) mkdir(path string) error {
	if err := c.step(); err != nil {
		return err
	}
	return c.disk.mkdir(path)
}

func (c *crashing) write(path string, data []byte) error {
	if err := c.step(); err != nil {
		if c.left == -1 && c.cut {
			return errors.Join(err, c.disk.write(path, data[:len(data)/2]))
		}
		return err
	}
	return c.disk.write(path, data)
}

func (c *crashing) rename(from, to string) error {
	if err := c.step(); err != nil {
		return err
	}
	return c.disk.rename(from, to)
}

func (c *crashing) sync(dir string) error {
	if err := c.step(); err != nil {
		return err
	}
	return c.disk.sync(dir)
}

func (c *crashing) remove(path string) error {
	if err := c.step(); err != nil {
		return err
	}
	return c.disk.remove(path)
}

// TestCrashAtEveryStep kills Save between any two operations: what is left
// boots the generation of before or the new one, and takes the next.
func TestCrashAtEveryStep(t *testing.T) {
	for _, cut := range []bool{false, true} {
		for at := 0; ; at++ {
			dir := t.TempDir()
			s := store(t, dir)
			for g := range uint64(Keep) {
				save(t, s, signed(t, 1, 1+g))
			}
			s.files = &crashing{left: at, cut: cut}
			err := s.Save(signed(t, 1, 6))
			got := newest(t, dir)
			if err == nil {
				if got != "1-6" {
					t.Fatalf("saved, but newest is %q", got)
				}
				t.Logf("%d steps", at)
				break
			}
			if got != "1-5" && got != "1-6" {
				t.Errorf("crash at step %d: newest is %q", at, got)
			}
			save(t, store(t, dir), signed(t, 1, 7))
			if got := newest(t, dir); got != "1-7" {
				t.Errorf("after a crash at step %d, newest is %q", at, got)
			}
		}
	}
}

func FuzzPosition(f *testing.F) {
	f.Add("1-2")
	f.Add(".new")
	f.Fuzz(func(t *testing.T, s string) {
		if p, ok := position(s); ok && name(p) != s {
			t.Errorf("%q is read as %s", s, name(p))
		}
	})
}

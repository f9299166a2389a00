package store_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"interlock/bundle"
	"interlock/internal/store"
	"interlock/internal/store/storetest"
)

var key = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

func open(b store.Backend) *store.Store {
	return store.New(b, key, slog.New(slog.DiscardHandler))
}

func TestMemory(t *testing.T) { storetest.Run(t, &store.Memory{}) }

func names(t *testing.T, b store.Backend) string {
	t.Helper()
	objects, err := b.StateConfigs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, o := range objects {
		out = append(out, o.Name)
	}
	return strings.Join(out, " ")
}

func TestState(t *testing.T) {
	b := &store.Memory{}
	s := open(b)
	if data, err := s.LoadState(t.Context(), "dev"); data != nil || err != nil {
		t.Errorf("state of an empty store: %q, %v", data, err)
	}
	for i := range 5 {
		if err := s.SaveState(t.Context(), "dev", fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.SaveState(t.Context(), "prod", []byte("p")); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveHomes(t.Context(), []byte("h")); err != nil {
		t.Fatal(err)
	}
	if got, want := names(t, b), "il.dev.state.4 il.dev.state.5 il.prod.state.1 il.homes.1"; got != want {
		t.Errorf("stored %s, want %s", got, want)
	}
	again := open(b)
	if data, err := again.LoadState(t.Context(), "dev"); string(data) != "4" || err != nil {
		t.Errorf("after a restart: %q, %v", data, err)
	}
	if data, err := again.LoadHomes(t.Context()); string(data) != "h" || err != nil {
		t.Errorf("homes after a restart: %q, %v", data, err)
	}
}

// TestSecondWriter: of two cores that think they lead, one is told.
func TestSecondWriter(t *testing.T) {
	b := &store.Memory{}
	one, two := open(b), open(b)
	for _, s := range []*store.Store{one, two} {
		if _, err := s.LoadState(t.Context(), "dev"); err != nil {
			t.Fatal(err)
		}
	}
	if err := one.SaveState(t.Context(), "dev", []byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := two.SaveState(t.Context(), "dev", []byte("two")); !errors.Is(err, store.ErrConflict) {
		t.Errorf("second writer of a state: %v", err)
	}
	if err := one.SaveGeneration(t.Context(), "dev", signed(1, "one"), bundle.Position{}); err != nil {
		t.Fatal(err)
	}
	if err := two.SaveGeneration(t.Context(), "dev", signed(1, "two"), bundle.Position{}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("second writer of a generation: %v", err)
	}
}

// TestEpoch: every leadership has a number of its own, above all reported ones.
func TestEpoch(t *testing.T) {
	b := &store.Memory{}
	one, two := open(b), open(b)
	var got []uint64
	for _, step := range []struct {
		s     *store.Store
		floor uint64
	}{{one, 0}, {two, 0}, {one, 0}, {two, 41}, {one, 7}, {two, 0}} {
		epoch, err := step.s.Epoch(t.Context(), step.floor)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, epoch)
	}
	if diff := cmp.Diff([]uint64{1, 2, 3, 42, 43, 44}, got); diff != "" {
		t.Error(diff)
	}
}

func signed(n uint64, content string) bundle.Signed {
	return bundle.Sign(key, "dev", bundle.Position{Epoch: 3, Generation: n}, []byte(content))
}

func TestGenerations(t *testing.T) {
	b := &store.Memory{}
	s := open(b)
	for n := uint64(1); n <= 13; n++ {
		if err := s.SaveGeneration(t.Context(), "dev", signed(n, fmt.Sprintf("bundle\n%d", n)), bundle.Position{Generation: 2}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := open(b).LoadGenerations(t.Context(), "dev")
	if err != nil {
		t.Fatal(err)
	}
	var numbers []uint64
	for _, g := range got {
		numbers = append(numbers, g.Position.Generation)
	}
	// The ten newest, and 2, which is confirmed.
	if diff := cmp.Diff([]uint64{13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 2}, numbers); diff != "" {
		t.Fatal(diff)
	}
	if diff := cmp.Diff(signed(13, "bundle\n13"), got[0]); diff != "" {
		t.Error(diff)
	}
	for _, g := range got {
		if err := g.Verify(key.Public().(ed25519.PublicKey), "dev"); err != nil {
			t.Errorf("generation %d: %v", g.Position.Generation, err)
		}
	}
}

func TestTooLarge(t *testing.T) {
	noise := make([]byte, store.MaxObject+1)
	rng := rand.NewChaCha8([32]byte{})
	_, _ = rng.Read(noise)
	s := open(&store.Memory{})
	if err := s.SaveState(t.Context(), "dev", noise); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("one object: %v", err)
	}
	if err := s.SaveState(t.Context(), "dev", bytes.Repeat([]byte("services "), store.MaxObject)); err != nil {
		t.Errorf("what compresses well: %v", err)
	}
}

// TestFull: what is ours is bounded in all.
func TestFull(t *testing.T) {
	s := open(&store.Memory{})
	noise := make([]byte, store.MaxObject-1000)
	rng := rand.NewChaCha8([32]byte{1})
	for i := range store.MaxTotal / store.MaxObject {
		_, _ = rng.Read(noise)
		if err := s.SaveState(t.Context(), fmt.Sprint("c", i), noise); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.SaveState(t.Context(), "dev", noise); !errors.Is(err, store.ErrFull) {
		t.Errorf("all together: %v", err)
	}
}

// TestFits: a bundle that fits can be stored, whatever its place.
func TestFits(t *testing.T) {
	noise := make([]byte, store.MaxObject)
	rng := rand.NewChaCha8([32]byte{2})
	_, _ = rng.Read(noise)
	size, refused := 0, store.MaxObject
	for size+1 < refused {
		if middle := (size + refused) / 2; store.Fits(noise[:middle]) == nil {
			size = middle
		} else {
			refused = middle
		}
	}
	if size < store.MaxObject-3000 {
		t.Errorf("only %d bytes fit", size)
	}
	at := bundle.Position{Epoch: math.MaxUint64, Generation: 1 << 62}
	b := bundle.Sign(key, strings.Repeat("c", 200), at, noise[:size])
	if err := open(&store.Memory{}).SaveGeneration(t.Context(), "dev", b, bundle.Position{}); err != nil {
		t.Error(err)
	}
	if err := store.Fits(noise); !errors.Is(err, store.ErrTooLarge) {
		t.Error(err)
	}
}

// faulty does what it is told and then says that it failed, or damages data.
type faulty struct {
	store.Memory
	lie    bool
	damage string
}

func (f *faulty) CreateConfig(ctx context.Context, name string, labels map[string]string, data []byte) (string, error) {
	id, err := f.Memory.CreateConfig(ctx, name, labels, data)
	if f.lie && err == nil {
		return "", errors.New("rpc error: code = DeadlineExceeded")
	}
	return id, err
}

func (f *faulty) ReadConfig(ctx context.Context, id string) ([]byte, error) {
	data, err := f.Memory.ReadConfig(ctx, id)
	objects, _ := f.StateConfigs(ctx)
	for _, o := range objects {
		if o.ID == id && o.Name == f.damage {
			data = data[:len(data)/2]
		}
	}
	return data, err
}

// TestAmbiguousWrite: a write that failed after it happened is a success.
func TestAmbiguousWrite(t *testing.T) {
	b := &faulty{lie: true}
	s := open(b)
	for i := range 3 {
		if err := s.SaveState(t.Context(), "dev", fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	if data, err := open(b).LoadState(t.Context(), "dev"); string(data) != "2" || err != nil {
		t.Errorf("stored %q, %v", data, err)
	}
}

// TestDamage: what is unreadable is said, and what was before it is used.
func TestDamage(t *testing.T) {
	b := &faulty{}
	s := open(b)
	for i := range 3 {
		if err := s.SaveState(t.Context(), "dev", fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	b.damage = "il.dev.state.3"
	data, err := open(b).LoadState(t.Context(), "dev")
	if string(data) != "1" || err == nil || !strings.Contains(err.Error(), "il.dev.state.3") {
		t.Errorf("loaded %q, %v", data, err)
	}
}

package store_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"interlock/bundle"
	"interlock/internal/store"
)

// stranger writes objects as ours, but with another key.
func stranger(b store.Backend) *store.Store {
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = 1
	return store.New(b, ed25519.NewKeyFromSeed(seed), slog.New(slog.DiscardHandler))
}

// plant makes an object of somebody else's.
func plant(t *testing.T, b store.Backend, name string, labels map[string]string, data []byte) {
	t.Helper()
	if _, err := b.CreateConfig(t.Context(), name, labels, data); err != nil {
		t.Fatal(err)
	}
}

func looksLikeOurs(size string) map[string]string {
	return map[string]string{store.SlugLabel: "dev", "com.docker.interlock.size": size}
}

// TestForeignIsNotRead: whoever may create configs can't write our state. What
// was made for another name, or with other data, is not believed either.
func TestForeignIsNotRead(t *testing.T) {
	b := &store.Memory{}
	if err := open(b).SaveState(t.Context(), "prod", []byte("honest")); err != nil {
		t.Fatal(err)
	}
	evil := &store.Memory{}
	for i := range 3 {
		if err := stranger(evil).SaveState(t.Context(), "prod", fmt.Append(nil, "evil", i)); err != nil {
			t.Fatal(err)
		}
	}
	objects, err := evil.StateConfigs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	data, err := evil.ReadConfig(t.Context(), objects[1].ID)
	if err != nil {
		t.Fatal(err)
	}
	honest, err := b.StateConfigs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	plant(t, b, "il.prod.state.3", objects[1].Labels, data)
	plant(t, b, "il.prod.state.98", honest[0].Labels, data)
	plant(t, b, "il.prod.state.99", looksLikeOurs("10"), data)
	s := open(b)
	if got, err := s.LoadState(t.Context(), "prod"); string(got) != "honest" || err != nil {
		t.Errorf("loaded %q, %v", got, err)
	}
	want := []string{"il.prod.state.3", "il.prod.state.98", "il.prod.state.99"}
	if d := cmp.Diff(want, s.Foreign()); d != "" {
		t.Error(d)
	}
	for i := range 4 {
		if err := s.SaveState(t.Context(), "prod", fmt.Append(nil, "honest", i)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := open(b).LoadState(t.Context(), "prod"); string(got) != "honest3" || err != nil {
		t.Errorf("loaded %q, %v", got, err)
	}
	if got := names(t, b); !strings.Contains(got, "il.prod.state.3 il.prod.state.98 il.prod.state.99") {
		t.Errorf("somebody else's objects were removed: %s", got)
	}
}

// TestReplacedData: labels of ours on data that is not.
func TestReplacedData(t *testing.T) {
	b := &store.Memory{}
	s := open(b)
	for i := range 2 {
		if err := s.SaveState(t.Context(), "dev", fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	objects, err := b.StateConfigs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	older, err := b.ReadConfig(t.Context(), objects[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	newest := objects[1]
	if err := b.RemoveConfig(t.Context(), newest.ID); err != nil {
		t.Fatal(err)
	}
	plant(t, b, newest.Name, newest.Labels, older)
	got, err := open(b).LoadState(t.Context(), "dev")
	if string(got) != "0" || err == nil || !strings.Contains(err.Error(), newest.Name) {
		t.Errorf("loaded %q, %v", got, err)
	}
}

// TestForeignStopsNobody: sizes, numbers and names of somebody else's objects
// count for nothing.
func TestForeignStopsNobody(t *testing.T) {
	b := &store.Memory{}
	plant(t, b, "il.x.g1", looksLikeOurs("999999999"), []byte("x"))
	plant(t, b, fmt.Sprint("il.epoch.", uint64(math.MaxUint64)), looksLikeOurs("1"), nil)
	for n := range 300 {
		plant(t, b, fmt.Sprint("il.epoch.", n+1), looksLikeOurs("1"), nil)
		// Without our label they are not even listed.
		plant(t, b, fmt.Sprint("il.dev.state.", n+1), nil, nil)
	}
	plant(t, b, "il.dev.g7", nil, nil)
	s := open(b)
	epoch, err := s.Epoch(t.Context(), 0)
	if err != nil || epoch <= 300 || epoch > 1000 {
		t.Errorf("epoch %d, %v", epoch, err)
	}
	for i := range 3 {
		if err := s.SaveState(t.Context(), "dev", fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := open(b).LoadState(t.Context(), "dev"); string(got) != "2" || err != nil {
		t.Errorf("loaded %q, %v", got, err)
	}
	if err := s.SaveGeneration(t.Context(), "dev", signed(7, "x"), bundle.Position{}); !errors.Is(err, store.ErrTaken) || errors.Is(err, store.ErrConflict) {
		t.Errorf("a taken generation: %v", err)
	}
	if err := s.SaveGeneration(t.Context(), "dev", signed(8, "x"), bundle.Position{}); err != nil {
		t.Error(err)
	}
}

// TestNumbersDoNotWrap: there is a greatest one.
func TestNumbersDoNotWrap(t *testing.T) {
	s := open(&store.Memory{})
	for _, floor := range []uint64{1 << 62, math.MaxUint64} {
		if epoch, err := s.Epoch(t.Context(), floor); err == nil {
			t.Errorf("epoch %d", epoch)
		}
	}
	if err := s.SaveGeneration(t.Context(), "dev", signed(1<<62+1, "x"), bundle.Position{}); err == nil {
		t.Error("a generation past the greatest number")
	}
}

// TestGenerationUnderItsOwnNumber: content of ours under another number is not
// a generation.
func TestGenerationUnderItsOwnNumber(t *testing.T) {
	b := &store.Memory{}
	if err := open(b).SaveGeneration(t.Context(), "dev", signed(5, "x"), bundle.Position{}); err != nil {
		t.Fatal(err)
	}
	objects, err := b.StateConfigs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	moved := &store.Memory{}
	plant(t, moved, "il.dev.g6", maps.Clone(objects[0].Labels), []byte("x"))
	if got, err := open(moved).LoadGenerations(t.Context(), "dev"); len(got) != 0 || err != nil {
		t.Errorf("loaded %v, %v", got, err)
	}
}

// hasty is a store in which another core always is faster.
type hasty struct {
	store.Memory
	calls atomic.Int64
}

func (h *hasty) CreateConfig(ctx context.Context, name string, labels map[string]string, data []byte) (string, error) {
	h.calls.Add(1)
	if _, err := h.Memory.CreateConfig(ctx, name, labels, data); err != nil {
		return "", err
	}
	return "", fs.ErrExist
}

// TestEpochPauses: cores that compete do not do so as fast as they can.
func TestEpochPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &hasty{}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := open(b).Epoch(ctx, 0)
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, store.ErrConflict) {
			t.Error(err)
		}
		if calls := b.calls.Load(); calls < 5 || calls > 60 {
			t.Errorf("%d attempts in a minute", calls)
		}
	})
}

// TestSignatureIsForNothingElse: what signs objects never signs a bundle.
func TestSignatureIsForNothingElse(t *testing.T) {
	b := &store.Memory{}
	if err := open(b).SaveGeneration(t.Context(), "dev", signed(1, "x"), bundle.Position{}); err != nil {
		t.Fatal(err)
	}
	got, err := stranger(b).LoadGenerations(t.Context(), "dev")
	if err != nil || len(got) != 0 {
		t.Errorf("another core reads %v, %v", got, err)
	}
	mine, err := open(b).LoadGenerations(t.Context(), "dev")
	if err != nil || len(mine) != 1 || mine[0].Position != (bundle.Position{Epoch: 3, Generation: 1}) {
		t.Errorf("loaded %v, %v", mine, err)
	}
}

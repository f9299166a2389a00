// Package storetest is what a store.Backend must do, as one suite for all of them.
package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"testing"

	"interlock/internal/store"
)

// Run holds a backend to the contract. It may hold foreign objects.
func Run(t *testing.T, b store.Backend) {
	labels := map[string]string{store.SlugLabel: "suite"}
	t.Run("create, list, read, remove", func(t *testing.T) {
		data := bytes.Repeat([]byte{0, 1, 0xff}, 50_000)
		id, err := b.CreateConfig(t.Context(), "il.suite.a", labels, data)
		if err != nil {
			t.Fatal(err)
		}
		got, err := b.ReadConfig(t.Context(), id)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("read: %d bytes, %v", len(got), err)
		}
		if got := find(t, b, "il.suite.a"); got != id {
			t.Errorf("listed with id %q, want %q", got, id)
		}
		if err := b.RemoveConfig(t.Context(), id); err != nil {
			t.Error(err)
		}
		if got := find(t, b, "il.suite.a"); got != "" {
			t.Errorf("listed after removal: %q", got)
		}
		if _, err := b.ReadConfig(t.Context(), id); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("read after removal: %v", err)
		}
		if err := b.RemoveConfig(t.Context(), id); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("remove twice: %v", err)
		}
	})
	t.Run("objects without the label are not listed", func(t *testing.T) {
		id, err := b.CreateConfig(t.Context(), "il.suite.plain", nil, []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		if got := find(t, b, "il.suite.plain"); got != "" {
			t.Errorf("listed: %q", got)
		}
		if err := b.RemoveConfig(t.Context(), id); err != nil {
			t.Error(err)
		}
	})
	t.Run("one of many creators wins", func(t *testing.T) { creators(t, b, labels) })
}

func creators(t *testing.T, b store.Backend, labels map[string]string) {
	const n = 20
	var (
		wg   sync.WaitGroup
		errs [n]error
		ids  [n]string
	)
	for i := range n {
		wg.Go(func() {
			ids[i], errs[i] = b.CreateConfig(t.Context(), "il.suite.race", labels, fmt.Append(nil, i))
		})
	}
	wg.Wait()
	won := 0
	for i := range n {
		if errs[i] == nil {
			won++
			if err := b.RemoveConfig(t.Context(), ids[i]); err != nil {
				t.Error(err)
			}
		} else if !errors.Is(errs[i], fs.ErrExist) {
			t.Errorf("creator %d: %v", i, errs[i])
		}
	}
	if won != 1 {
		t.Errorf("%d creators won", won)
	}
}

func find(t *testing.T, b store.Backend, name string) string {
	t.Helper()
	objects, err := b.StateConfigs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		if o.Name == name {
			return o.ID
		}
	}
	return ""
}

package e2e

import (
	"context"
	"path/filepath"
	"testing"
	"time"
)

// up sets a laboratory up that is removed with the test.
func up(t *testing.T, name string, layout Layout) (context.Context, *Lab) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Minute)
	t.Cleanup(cancel)
	l, err := Up(ctx, Options{Name: name, Layout: layout, Root: root, Out: t.Output()})
	if l != nil {
		t.Cleanup(func() {
			if err := l.Swarm.Down(context.WithoutCancel(ctx)); err != nil {
				t.Error(err)
			}
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return ctx, l
}

// TestStory is what `make up` tells: it fails when a step does not come true, or
// when a single request fails that nobody killed.
func TestStory(t *testing.T) {
	ctx, l := up(t, "story", Shared())
	if err := l.Story(ctx); err != nil {
		t.Fatal(err)
	}
}

// TestDedicated runs the other layout: each environment's proxies on nodes of
// its own, under load while a dev service reaches for prod.
func TestDedicated(t *testing.T) {
	ctx, l := up(t, "dedic", Dedicated())
	if err := l.StoryOf(ctx, "2"); err != nil {
		t.Fatal(err)
	}
}

// TestKinds holds the promise of at least 40 kinds of broken labels.
func TestKinds(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	kinds, err := (&Lab{o: Options{Root: root}}).kinds()
	if err != nil {
		t.Fatal(err)
	}
	if len(kinds) < 40 {
		t.Errorf("%d kinds", len(kinds))
	}
	seen := map[string]bool{}
	for _, k := range kinds {
		if seen[k.name] {
			t.Errorf("%s is there twice", k.name)
		}
		seen[k.name] = true
	}
}

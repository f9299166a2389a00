package docker

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"

	"interlock/internal/swarm"
)

// TestWatchEndsCalmly: the end of the watcher itself is nothing to warn of.
func TestWatchEndsCalmly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		w := newWatcher(newEngine(), WatchOptions{}, slog.New(slog.NewTextHandler(&said, nil)))
		done := make(chan error)
		go func() { done <- w.Run(ctx, func(swarm.Snapshot) {}) }()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if said.Len() > 0 {
			t.Errorf("it says %s", said.String())
		}
	})
}

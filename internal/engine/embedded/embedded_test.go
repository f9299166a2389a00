package embedded_test

import (
	"context"
	"log/slog"
	"testing"

	"interlock/bundle"
	render "interlock/extension/embedded"
	"interlock/internal/engine/embedded"
	"interlock/internal/engine/enginetest"
)

func start(t *testing.T) enginetest.Harness {
	e := embedded.New(embedded.Options{Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return enginetest.Harness{Engine: e, Render: render.Render, Break: func(b bundle.Bundle) bundle.Bundle {
		b.Files = []bundle.File{{Path: render.TableFile, Data: `{"routes":[{"host":"not a host"}]}`}}
		return b
	}}
}

func TestEngine(t *testing.T) { enginetest.Run(t, start) }

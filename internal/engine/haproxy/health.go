package haproxy

import (
	"context"
	"fmt"
	"path/filepath"

	"interlock/internal/engine"
)

func healthMap(h engine.Health) []byte { return []byte(healthKey + " " + string(h) + "\n") }

// SetHealth writes the health map for workers to come, then tells the one that
// runs. No engine running is no error: it will read the file.
func (e *Engine) SetHealth(ctx context.Context, h engine.Health) error {
	return SetHealth(ctx, e.run, h)
}

// SetHealth decides what the health port of the HAProxy in the run folder
// answers. It is apart from Engine so that a supervisor can drain an engine
// whose agent is dead.
func SetHealth(ctx context.Context, run string, h engine.Health) error {
	file := filepath.Join(run, healthFile)
	if err := replaceFile(file, healthMap(h)); err != nil {
		return fmt.Errorf("set health: %w", err)
	}
	worker := client{filepath.Join(run, "admin.sock")}
	err := worker.expect(ctx, "", "set", "map", file, healthKey, string(h))
	if err != nil && !notRunning(err) {
		return fmt.Errorf("set health %s: %w", h, err)
	}
	return nil
}

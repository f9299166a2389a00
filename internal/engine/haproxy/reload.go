package haproxy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"interlock/internal/engine"
)

// load makes the engine read its main file and returns nil only when a worker
// reported the revision. With no engine there it waits for the supervisor to
// start one; a master that is just starting takes no commands yet.
func (e *Engine) load(ctx context.Context, revision string) error {
	ctx, cancel := context.WithTimeout(ctx, reloadTimeout+startTimeout)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for deadline := time.Now().Add(startTimeout); ; {
		err := e.reload(ctx)
		if err == nil {
			return e.await(ctx, revision, commandTimeout*2)
		}
		if !notRunning(err) {
			return err
		}
		if running, err := e.Running(ctx); err == nil && running == revision {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the engine did not start: %w", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// reload asks the master, which answers when the new worker serves or has
// failed (management.txt, "reload").
func (e *Engine) reload(ctx context.Context) error {
	answer, err := e.master.doFor(ctx, reloadTimeout, "reload")
	if err != nil {
		return err
	}
	if !strings.HasPrefix(answer, "Success=1") {
		if alerts := words(answer, e.run); alerts != "" {
			return fmt.Errorf("reload: %w", &engine.Refusal{Words: alerts})
		}
		return fmt.Errorf("reload: haproxy answered %q", tail(answer, 512))
	}
	return nil
}

// await polls until the worker reports the revision. Between two workers the
// socket may answer for either.
func (e *Engine) await(ctx context.Context, revision string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		running, err := e.Running(ctx)
		if err == nil && running == revision {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("the running engine says %q, not %q", running, revision), err)
		case <-tick.C:
		}
	}
}

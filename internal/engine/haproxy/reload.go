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
	_, e.stale, _ = e.info(ctx) // none when no engine runs
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for deadline := time.Now().Add(startTimeout); ; {
		// A worker that is not the one of before was started with our file: by
		// the supervisor, or by a master whose answer was lost.
		if running, pid, err := e.info(ctx); err == nil && running == revision && pid != e.stale {
			return e.await(ctx, revision, commandTimeout*2)
		}
		err := e.reload(ctx)
		if err == nil {
			return e.await(ctx, revision, commandTimeout*2)
		}
		if !notRunning(err) {
			return err
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

// settled is how many answers in a row must be the new worker's: both workers
// hold the socket until the old one has understood that it is to end.
const settled = 3

// await polls until the new worker reports the revision.
func (e *Engine) await(ctx context.Context, revision string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(pollInterval / settled)
	defer tick.Stop()
	for good := 0; ; {
		running, pid, err := e.info(ctx)
		if good++; err != nil || running != revision || pid == e.stale {
			good = 0
		}
		if good == settled {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("the running engine says %q, not %q", running, revision), err)
		case <-tick.C:
		}
	}
}

package main

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"
)

// pollEvery is how often tasks and, before the first 200, proxies are asked.
const pollEvery = 10 * time.Millisecond

// life is what was seen of one task. Times are zero until it happened.
type life struct {
	// started is when the task was RUNNING by its own node's word, seen when the
	// manager's list first said so.
	started, seen time.Time
	// left is when the manager's list first showed a desired state that is not
	// RUNNING.
	left time.Time
}

// lives follows the tasks of one service through the manager's lists.
type lives struct {
	mu    sync.Mutex
	tasks map[string]life
}

// follow polls until ctx ends.
func (l *lives) follow(ctx context.Context, s *service) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		tasks, err := s.tasks(ctx)
		if err == nil { // the next list tells what this one did not
			l.note(time.Now(), tasks)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (l *lives) note(now time.Time, tasks []swarm.Task) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range tasks {
		one := l.tasks[t.ID]
		if t.Status.State == swarm.TaskStateRunning && one.seen.IsZero() {
			one.started, one.seen = t.Status.Timestamp, now
		}
		if meant := t.DesiredState == swarm.TaskStateRunning || t.DesiredState == swarm.TaskStateReady; !meant && one.left.IsZero() {
			one.left = now
		}
		l.tasks[t.ID] = one
	}
}

// all are the lives so far, by task.
func (l *lives) all() map[string]life {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.tasks)
}

// signals are the times at which tasks' containers were told to stop, as their
// nodes' engines say.
type signals struct {
	mu   sync.Mutex
	sent map[string]time.Time // by task
}

func newSignals() *signals { return &signals{sent: map[string]time.Time{}} }

// follow takes an engine's events until ctx ends or the stream breaks.
func (s *signals) follow(ctx context.Context, engine *client.Client) error {
	stream := engine.Events(ctx, client.EventsListOptions{
		Filters: make(client.Filters).Add("type", "container").Add("event", "kill"),
	})
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-stream.Err:
			return fmt.Errorf("events of %s: %w", engine.DaemonHost(), err)
		case m := <-stream.Messages:
			s.note(m.Actor.Attributes["com.docker.swarm.task.id"], time.Unix(0, m.TimeNano))
		}
	}
}

func (s *signals) note(task string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sent[task].IsZero() {
		s.sent[task] = at
	}
}

// of is when the task's container was told to stop, zero before.
func (s *signals) of(task string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent[task]
}

package e2e

import (
	"context"
	"fmt"
	"time"

	"interlock/test/load"
)

// step is one of the story's.
type step struct {
	name string
	do   func(context.Context) error
}

// settle is how long the load goes on after each step, so that what a step does
// late is counted as its own.
const settle = 3 * time.Second

// run tells steps under load and prints the table at the end.
func (l *Lab) run(ctx context.Context, steps []step, more ...load.Target) (err error) {
	t := l.startTraffic(ctx, "steady", more...)
	if err := pause(ctx, settle); err != nil {
		return err
	}
	for _, s := range steps {
		l.say("== %s", s.name)
		t.record.Step(s.name)
		if err = s.do(ctx); err != nil {
			err = fmt.Errorf("%s: %w", s.name, err)
			break
		}
		if err = pause(ctx, settle); err != nil {
			break
		}
	}
	if ended := t.end(); err == nil {
		err = ended
	}
	t.record.Explain(l.explain())
	for _, f := range t.record.Failures() {
		l.say("failed in %q: %s", f.Step, f)
	}
	if tableErr := t.record.Table(l.o.Out); err == nil {
		err = tableErr
	}
	if failed := t.record.Failed(); err == nil && failed > 0 {
		err = fmt.Errorf("%d requests failed", failed)
	}
	return err
}

// pause waits while the load goes on.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// explain returns the reason why a failure is counted apart, by evidence.
func (l *Lab) explain() func(load.Failure) string {
	return func(load.Failure) string { return "" }
}

// Story tells all steps.
func (l *Lab) Story(ctx context.Context) error {
	return l.run(ctx, []step{})
}

// HowToLook prints how to go on from here.
func (l *Lab) HowToLook() {
	host := l.Swarm.Manager().Host()
	fmt.Fprintf(l.o.Out, `
The Swarm runs on. To look at it:

  export DOCKER_HOST=%s
  bin/interlock status
  bin/interlock problems
  bin/interlock routes
  docker node ls; docker service ls
`, host)
	for _, e := range l.layout.Envs {
		fmt.Fprintf(l.o.Out, "  curl -H 'Host: shop.%s.example.com' http://%s/\n", e.Name, l.balancer(e))
	}
	fmt.Fprint(l.o.Out, "\nmake down removes all of it.\n")
}

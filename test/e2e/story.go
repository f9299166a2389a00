package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"interlock/test/load"
)

// step is one of the story's.
type step struct {
	name string
	do   func(context.Context) error
	// outage ends the load on services of one task before the step: a node that
	// goes away leaves them without any endpoint.
	outage bool
}

// settle is how long the load goes on after each step, so that what a step does
// late is counted as its own.
const settle = 3 * time.Second

// maxShown bounds the failures that are printed one by one.
const maxShown = 40

// run tells steps under load and prints the table at the end.
func (l *Lab) run(ctx context.Context, steps []step, more ...load.Target) (err error) {
	t := l.startTraffic(ctx, "steady", more...)
	if err := pause(ctx, settle); err != nil {
		return err
	}
	for _, s := range steps {
		l.say("== %s", s.name)
		if s.outage {
			t.stopGuests()
		}
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
	// The load balancers have seen the ends of all connections too.
	if waited := pause(context.WithoutCancel(ctx), time.Second); err == nil {
		err = waited
	}
	t.record.Explain(l.explain())
	for i, f := range t.record.Failures() {
		if i == maxShown {
			l.say("and more that failed")
			break
		}
		l.say("failed in %q: %s", f.Step, f)
	}
	if tableErr := t.record.Table(l.o.Out); err == nil {
		err = tableErr
	}
	if failed := t.record.Failed(); err == nil && failed > 0 {
		err = fmt.Errorf("%d of %d requests failed", failed, t.record.Total())
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

// Story tells all steps.
func (l *Lab) Story(ctx context.Context) error { return l.StoryOf(ctx, "") }

// StoryOf tells the steps whose names begin with prefix.
func (l *Lab) StoryOf(ctx context.Context, prefix string) error {
	kinds, err := l.kinds()
	if err != nil {
		return err
	}
	steps := []step{
		{"1 broken labels", l.breakAll(kinds), false},
		{"2 reaching for prod", l.escapeAll, false},
		{"3 refused by HAProxy", l.refuseBundle, false},
		{"4 killed", l.killAll, true},
		{"5a applications updated", l.updateApps, true},
		{"5b proxies updated", l.updateProxies, true},
		// Last: for up to a minute after a node is back its overlay may not reach
		// the others, while Swarm already counts its new tasks as running.
		{"5c node cut off", l.cutNode, true},
	}
	steps = slices.DeleteFunc(steps, func(s step) bool { return !strings.HasPrefix(s.name, prefix) })
	var more []load.Target
	if strings.HasPrefix("1 broken labels", prefix) {
		if err := l.prepareBroken(ctx, kinds); err != nil {
			return err
		}
		more = l.victims(kinds)
	}
	if strings.HasPrefix("2 reaching for prod", prefix) {
		if err := l.prepareEscape(ctx); err != nil {
			return err
		}
	}
	return l.run(ctx, steps, more...)
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

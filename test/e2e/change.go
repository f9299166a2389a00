package e2e

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// cutNode is the last part of step 5: a node with one proxy of each
// environment is off the network until Swarm has noticed, and comes back.
func (l *Lab) cutNode(ctx context.Context) error {
	n := l.Swarm.Nodes[l.layout.Envs[0].Proxies[1]]
	endpoints, err := l.endpointsOn(ctx, n)
	if err != nil {
		return err
	}
	l.say("  %s is cut off the network", n.Name())
	l.killed(n, "")
	cut := len(l.kills) - 1
	l.kills[cut].endpoints = endpoints
	if err := n.Cut(ctx); err != nil {
		return err
	}
	state := func(want string) func(context.Context) error {
		return func(ctx context.Context) error {
			got, err := l.Swarm.Manager().Docker(ctx, "node", "inspect", n.Name(), "--format", "{{.Status.State}}")
			if err == nil && got != want {
				err = fmt.Errorf("%s is %s", n.Name(), got)
			}
			return err
		}
	}
	down := l.until(ctx, time.Minute, "Swarm notices", state("down"))
	if down == nil {
		down = pause(ctx, 5*time.Second)
	}
	l.say("  %s comes back", n.Name())
	if err := n.Heal(ctx); err != nil {
		return err
	}
	l.kills[cut].until = time.Now().Add(inFlight)
	if down != nil {
		return down
	}
	if err := l.until(ctx, 2*time.Minute, "the node is back", state("ready")); err != nil {
		return err
	}
	return l.until(ctx, 3*time.Minute, "all proxies are back", l.ready)
}

// updateApps updates an application of each environment in both orders.
func (l *Lab) updateApps(ctx context.Context) error {
	for i, order := range []string{"stop-first", "start-first"} {
		l.say("  updating the web application of every environment with %s", order)
		err := l.inAll(ctx, func(ctx context.Context, e Env) error {
			_, err := l.Swarm.Manager().Docker(ctx, "service", "update", "--quiet", "--no-resolve-image",
				"--update-order", order, "--env-add", fmt.Sprintf("VERSION=%d", i+2), "shop-"+e.Name+"_web")
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// updateProxies gives all proxies a new image. Core replaces them one at a time,
// cluster after cluster.
func (l *Lab) updateProxies(ctx context.Context) error {
	config, err := l.writeConfig()
	if err != nil {
		return err
	}
	if _, err := l.Interlock(ctx, "install", "--config", config, "--proxy-image", "interlock-proxy:dev2"); err != nil {
		return err
	}
	err = l.until(ctx, 8*time.Minute, "all proxies run the new image", func(ctx context.Context) error {
		for _, e := range l.layout.Envs {
			if err := l.updated(ctx, "interlock-proxy-"+e.Name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return l.until(ctx, time.Minute, "all is ready", l.ready)
}

// updated wants every running task of the service on the new image.
func (l *Lab) updated(ctx context.Context, service string) error {
	out, err := l.Swarm.Manager().Docker(ctx, "service", "ps", service, "--filter", "desired-state=running",
		"--format", "{{.Image}} {{.CurrentState}}")
	if err != nil {
		return err
	}
	running := 0
	for line := range strings.Lines(out) {
		var image, state string
		if _, err := fmt.Sscan(line, &image, &state); err != nil || image != "interlock-proxy:dev2" || state != "Running" {
			return fmt.Errorf("a task of %s is %q", service, line)
		}
		running++
	}
	if running != 2 {
		return fmt.Errorf("%d tasks of %s run", running, service)
	}
	return nil
}

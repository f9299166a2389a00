package e2e

import (
	"context"
	"fmt"
	"time"
)

// The stacks of step 3: the faulty extension writes what no HAProxy knows for a
// service whose name contains "poison".
const (
	poison   = "poison"
	innocent = "innocent"
)

func guest(name string) []byte {
	return stackFile(name, "[dev]", fmt.Sprintf(`
        com.docker.ucp.access.label: /dev
        com.docker.lb.hosts: %s.dev.example.com
        com.docker.lb.port: 8080`, name))
}

// refuseBundle is step 3: HAProxy refuses what the compiler accepted. One
// service is quarantined, and what came with it goes live.
func (l *Lab) refuseBundle(ctx context.Context) error {
	if err := l.updateExtension(ctx, "interlock-faulty:dev"); err != nil {
		return err
	}
	for _, name := range []string{poison, innocent} {
		if err := l.deployFile(ctx, name, guest(name)); err != nil {
			return err
		}
	}
	dev := l.env("dev")
	err := l.until(ctx, 2*time.Minute, "the rest of the change", func(ctx context.Context) error {
		return l.answers(ctx, dev, innocent+".dev.example.com", "/")
	})
	if err != nil {
		return err
	}
	if err := l.until(ctx, time.Minute, "one service in quarantine", l.quarantined); err != nil {
		return err
	}
	status, _, err := l.ask(ctx, l.balancer(dev), plain, poison+".dev.example.com", "/")
	if err == nil && status != 503 {
		err = fmt.Errorf("the refused service is answered with %d", status)
	}
	if err != nil {
		return err
	}
	if _, err := l.Swarm.Manager().Docker(ctx, "stack", "rm", poison); err != nil {
		return err
	}
	return l.updateExtension(ctx, "interlock:dev")
}

func (l *Lab) updateExtension(ctx context.Context, image string) error {
	l.say("  the extension's image is %s", image)
	_, err := l.Swarm.Manager().Docker(ctx, "service", "update", "--quiet", "--no-resolve-image", "--image", image, "interlock-extension")
	return err
}

// quarantined wants exactly one service quarantined.
func (l *Lab) quarantined(ctx context.Context) error {
	found, err := l.problems(ctx)
	if err != nil {
		return err
	}
	n := 0
	for service, list := range found {
		if p, ok := withCode(list, []string{"quarantined-by-engine"}); ok {
			n++
			if service != poison+"_web" {
				return fmt.Errorf("%s is in quarantine: %s", service, p.Message)
			}
			l.say("  %-17s %-22s %.160s", service, p.Code, p.Message)
		}
	}
	if n != 1 {
		return fmt.Errorf("%d services are in quarantine", n)
	}
	return nil
}

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"interlock/routing"
)

// escape is one way in which a service of dev reaches for production.
type escape struct {
	name   string // of the stack
	labels string // of its service, as YAML lines
	host   string // what it hopes to answer
	codes  []string
}

var escapes = []escape{
	{"escape-cluster", `
        com.docker.ucp.access.label: /dev
        com.docker.lb.service_cluster: prod
        com.docker.lb.hosts: escape.prod.example.com
        com.docker.lb.port: 8080`, "escape.prod.example.com", []string{"not-admitted-collection"}},
	{"escape-host", `
        com.docker.ucp.access.label: /dev
        com.docker.lb.hosts: www.example.com
        com.docker.lb.port: 8080`, "www.example.com", []string{"host-not-allowed"}},
	{"escape-collection", `
        com.docker.ucp.access.label: /prod
        com.docker.lb.hosts: moved.prod.example.com
        com.docker.lb.port: 8080`, "moved.prod.example.com", []string{"not-admitted-home"}},
}

// home is what the stack that changes its collection is before: a stack of dev.
const home = `
        com.docker.ucp.access.label: /dev
        com.docker.lb.hosts: moved.dev.example.com
        com.docker.lb.port: 8080`

func stackFile(app, networks, labels string) []byte {
	return fmt.Appendf(nil, `version: "3.8"
networks:
  dev: {external: true, name: il-dev}
  prod: {external: true, name: il-prod}
services:
  web:
    image: interlock-demo:dev
    networks: %s
    environment: {APP: %s, APP_ENV: dev}
    deploy:
      labels:%s
`, networks, app, labels)
}

// deployFile deploys a stack from text.
func (l *Lab) deployFile(ctx context.Context, stack string, data []byte) error {
	file := filepath.Join(l.Swarm.Dir(), stack+".yml")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return fmt.Errorf("write a stack file: %w", err)
	}
	return l.Deploy(ctx, stack, file)
}

// prepareEscape gives the stack that will move a home in dev.
func (l *Lab) prepareEscape(ctx context.Context) error {
	if err := l.deployFile(ctx, "escape-collection", stackFile("moved", "[dev]", home)); err != nil {
		return err
	}
	return l.until(ctx, 2*time.Minute, "the stack at home", func(ctx context.Context) error {
		return l.answers(ctx, l.env("dev"), "moved.dev.example.com", "/")
	})
}

func (l *Lab) env(name string) Env {
	for _, e := range l.layout.Envs {
		if e.Name == name {
			return e
		}
	}
	return Env{}
}

// escapeAll is step 2: each is refused with the reason, and production does not
// answer for it.
func (l *Lab) escapeAll(ctx context.Context) error {
	for _, e := range escapes {
		if err := l.deployFile(ctx, e.name, stackFile("intruder", "[dev, prod]", e.labels)); err != nil {
			return err
		}
	}
	if err := l.until(ctx, time.Minute, "a reason for every refusal", l.refused); err != nil {
		return err
	}
	for _, e := range escapes {
		status, body, err := l.ask(ctx, l.balancer(l.env("prod")), plain, e.host, "/")
		if err != nil {
			return err
		}
		if status != 503 {
			return fmt.Errorf("production answers %s with %d %s", e.host, status, body)
		}
	}
	return nil
}

func (l *Lab) refused(ctx context.Context) error {
	found, err := l.problems(ctx)
	if err != nil {
		return err
	}
	var missing []error
	for _, e := range escapes {
		p, ok := withCode(found[e.name+"_web"], e.codes)
		if !ok {
			missing = append(missing, fmt.Errorf("%s has none of %v: %v", e.name, e.codes, found[e.name+"_web"]))
			continue
		}
		l.say("  %-17s %-22s %s", e.name, p.Code, p.Message)
	}
	return errors.Join(missing...)
}

func withCode(found []routing.Problem, codes []string) (routing.Problem, bool) {
	for _, p := range found {
		for _, c := range codes {
			if p.Code == c {
				return p, true
			}
		}
	}
	return routing.Problem{}, false
}

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/tools/txtar"

	"interlock/routing"
	"interlock/test/load"
)

// kind is one way of getting labels wrong: a stack file over a good version of
// the same service.
type kind struct {
	name  string // of the stack, its application and its first host label
	file  []byte
	about string
	kept  bool // the good version's route goes on
}

// Service is the kind's service, as Docker names it.
func (k kind) service() string { return k.stack() + "_web" }
func (k kind) stack() string   { return "broken-" + k.name }

const megabyte = 1_000_000

func (l *Lab) kinds() ([]kind, error) {
	archive, err := txtar.ParseFile(l.file("test", "e2e", "testdata", "broken.txtar"))
	if err != nil {
		return nil, fmt.Errorf("read the kinds of broken labels: %w", err)
	}
	var kinds []kind
	for _, f := range archive.Files {
		lines := strings.SplitN(string(f.Data), "\n", 3)
		if len(lines) < 3 || !strings.HasPrefix(lines[1], "# route: ") {
			return nil, fmt.Errorf("%s does not begin with what it is about and its route", f.Name)
		}
		kinds = append(kinds, kind{
			name:  strings.TrimSuffix(f.Name, ".yml"),
			about: strings.TrimPrefix(lines[0], "# "),
			kept:  lines[1] == "# route: kept",
			file:  bytes.ReplaceAll(f.Data, []byte("MEGABYTE"), bytes.Repeat([]byte("x"), megabyte)),
		})
	}
	return kinds, nil
}

// good is the version before the mistake.
func (k kind) good() []byte {
	return fmt.Appendf(nil, `version: "3.8"
networks:
  routed: {external: true, name: il-dev}
services:
  web:
    image: interlock-demo:dev
    networks: [routed]
    environment: {APP: %[1]s, APP_ENV: dev}
    deploy:
      labels:
        com.docker.ucp.access.label: /dev
        com.docker.lb.hosts: %[1]s.dev.example.com
        com.docker.lb.port: 8080
`, k.name)
}

// deployAll deploys a version of every kind, a few at once.
func (l *Lab) deployAll(ctx context.Context, kinds []kind, version func(kind) []byte) error {
	dir := filepath.Join(l.Swarm.Dir(), "broken")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make a folder for stack files: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(3)
	for _, k := range kinds {
		group.Go(func() error {
			file := filepath.Join(dir, k.name+".yml")
			if err := os.WriteFile(file, version(k), 0o600); err != nil {
				return fmt.Errorf("write a stack file: %w", err)
			}
			return l.Deploy(ctx, k.stack(), file)
		})
	}
	return group.Wait()
}

// victims are the good versions' routes, under load while they are broken.
func (l *Lab) victims(kinds []kind) []load.Target {
	dev := l.layout.Envs[0]
	var all []load.Target
	for _, k := range kinds {
		if k.kept {
			t := target(dev, l.balancer(dev), k.name, k.name, "/", k.name)
			t.Rate, t.Light = 1, true
			all = append(all, t)
		}
	}
	return all
}

// prepareBroken deploys the good versions and waits for their routes.
func (l *Lab) prepareBroken(ctx context.Context, kinds []kind) error {
	l.say("deploying %d services to dev that will be broken later", len(kinds))
	if err := l.deployAll(ctx, kinds, kind.good); err != nil {
		return err
	}
	dev := l.layout.Envs[0]
	for _, k := range kinds {
		err := l.until(ctx, 3*time.Minute, k.name+" before it is broken", func(ctx context.Context) error {
			return l.answers(ctx, dev, k.name+".dev.example.com", "/")
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// breakAll is step 1: all kinds at once, and each is told what is wrong.
func (l *Lab) breakAll(kinds []kind) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := l.deployAll(ctx, kinds, func(k kind) []byte { return k.file }); err != nil {
			return err
		}
		err := l.until(ctx, time.Minute, "a problem for every broken service", func(ctx context.Context) error {
			return l.told(ctx, kinds)
		})
		if err != nil {
			return err
		}
		return l.sayProblems(ctx, kinds)
	}
}

// told says which services have no problem that names them, a cause and a fix.
func (l *Lab) told(ctx context.Context, kinds []kind) error {
	found, err := l.problems(ctx)
	if err != nil {
		return err
	}
	var missing []error
	for _, k := range kinds {
		p, ok := best(found[k.service()])
		if !ok {
			missing = append(missing, fmt.Errorf("%s (%s)", k.name, k.about))
		} else if p.Message == "" || p.Hint == "" {
			missing = append(missing, fmt.Errorf("%s: %s without a cause or a fix", k.name, p.Code))
		}
	}
	return errors.Join(missing...)
}

// best is the gravest problem.
func best(found []routing.Problem) (routing.Problem, bool) {
	var best routing.Problem
	for _, p := range found {
		if best.Code == "" || p.Severity == routing.Error && best.Severity != routing.Error {
			best = p
		}
	}
	return best, best.Code != ""
}

// problems are core's, by service.
func (l *Lab) problems(ctx context.Context) (map[string][]routing.Problem, error) {
	out, err := l.Interlock(ctx, "problems", "--format", "json")
	if err != nil {
		return nil, err
	}
	var list []routing.Problem
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return nil, fmt.Errorf("read the problems: %w", err)
	}
	found := map[string][]routing.Problem{}
	for _, p := range list {
		found[p.Service] = append(found[p.Service], p)
	}
	return found, nil
}

// sayProblems prints what was said to each broken service.
func (l *Lab) sayProblems(ctx context.Context, kinds []kind) error {
	found, err := l.problems(ctx)
	if err != nil {
		return err
	}
	for _, k := range kinds {
		if p, ok := best(found[k.service()]); ok {
			l.say("  %-17s %-22s %.100s", k.name, p.Code, p.Message)
		}
	}
	return nil
}

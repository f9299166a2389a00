// Package e2e is the founding story on a real Swarm: dev, test and prod service
// clusters under steady load, and accidents that stay non-events. `make up`
// tells it and leaves everything running; a test repeats it.
//
// Everything is what an operator would use: `interlock install`, the shipped
// config.toml, load balancers and stack files, `docker stack deploy`.
package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"interlock/test/swarm"
)

// Lab is a Swarm with Interlock installed, load balancers and applications.
type Lab struct {
	Swarm  *swarm.Swarm
	layout Layout
	o      Options
	kills  []kill
}

// Options say what to set up.
type Options struct {
	Name   string // of the Swarm
	Layout Layout
	// Root is the repository, with bin/ and .run/ made.
	Root string
	// Out receives the progress and the table.
	Out io.Writer
	// Subnet of the Swarm's nodes; the zero value takes a free one.
	Subnet netip.Prefix
}

// Env is one environment: a collection, its cluster and what stands before it.
type Env struct {
	Name string
	// Balancer is the port of the front load balancer, at the Swarm's gateway;
	// Public and Health are the proxies' ports at their nodes.
	Balancer, Public, Health uint16
	// Proxies are the numbers of the nodes that carry the proxies.
	Proxies [2]int
}

// Layout is one of the shipped ones.
type Layout struct {
	Dir    string // below deploy/
	Nodes  int
	Labels map[int]map[string]string
	Envs   []Env
	// Constraint is where an environment's applications run, "" for anywhere.
	Constraint func(env string) string
}

const collectionLabel = "com.docker.ucp.access.label"

// Shared has two nodes that carry one proxy of each environment. Nodes of
// collection / are everybody's.
func Shared() Layout {
	shared := map[string]string{"proxies": "shared", collectionLabel: "/"}
	both := [2]int{1, 2}
	return Layout{
		Dir: "shared", Nodes: 3,
		Labels: map[int]map[string]string{1: shared, 2: shared},
		Envs: []Env{
			{"dev", 8081, 8101, 8501, both}, {"test", 8082, 8102, 8502, both}, {"prod", 8083, 8103, 8503, both},
		},
		Constraint: func(string) string { return "" },
	}
}

// Dedicated has two nodes for each environment, for its proxies and its tasks.
func Dedicated() Layout {
	l := Layout{
		Dir: "dedicated", Nodes: 7, Labels: map[int]map[string]string{},
		Constraint: func(env string) string { return "node.labels." + collectionLabel + "==/" + env },
	}
	for i, env := range []string{"dev", "test", "prod"} {
		nodes := [2]int{1 + 2*i, 2 + 2*i}
		for _, n := range nodes {
			l.Labels[n] = map[string]string{"proxies": env, collectionLabel: "/" + env}
		}
		l.Envs = append(l.Envs, Env{env, uint16(8081 + i), 8100, 8500, nodes})
	}
	return l
}

func (l *Lab) say(format string, args ...any) {
	fmt.Fprintf(l.o.Out, time.Now().Format("15:04:05 ")+format+"\n", args...)
}

func (l *Lab) file(parts ...string) string {
	return filepath.Join(append([]string{l.o.Root}, parts...)...)
}

// balancer is where clients of an environment connect to.
func (l *Lab) balancer(e Env) netip.AddrPort {
	return netip.AddrPortFrom(l.Swarm.Gateway(), e.Balancer)
}

// Interlock runs an operator's verb against the Swarm. It returns what the verb
// printed; ending with 1, which says that there are findings, is no error.
func (l *Lab) Interlock(ctx context.Context, args ...string) (string, error) {
	var out, said bytes.Buffer
	cmd := exec.CommandContext(ctx, l.file("bin", "interlock"), args...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+l.Swarm.Manager().Host())
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return out.String(), nil
	}
	if err != nil {
		return out.String(), fmt.Errorf("interlock %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(said.String()))
	}
	return out.String(), nil
}

// Deploy deploys a stack file, with variables for it.
func (l *Lab) Deploy(ctx context.Context, stack, file string, variables ...string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := l.Swarm.Manager().Command(ctx, "stack", "deploy", "--resolve-image", "never", "--compose-file", file, stack)
	cmd.Env = append(cmd.Env, variables...)
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("deploy stack %s: %w: %s", stack, err, bytes.TrimSpace(said))
	}
	return nil
}

// until calls done every 200 ms until it returns no error; the last one is why
// it did not come true in time.
func (l *Lab) until(ctx context.Context, limit time.Duration, what string, done func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := swarm.Poll(ctx, 200*time.Millisecond, func() (bool, error) {
		err := done(ctx)
		return err == nil, err
	})
	if err != nil {
		return fmt.Errorf("%s, within %s: %w", what, limit, err)
	}
	return nil
}

// inAll does the same in all environments at once.
func (l *Lab) inAll(ctx context.Context, do func(context.Context, Env) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, e := range l.layout.Envs {
		group.Go(func() error { return do(ctx, e) })
	}
	return group.Wait()
}

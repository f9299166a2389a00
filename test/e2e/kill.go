package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"interlock/test/swarm"
)

// kill is a process or node that ended without notice, and when.
type kill struct {
	node string
	env  string // "" for a node, whose proxies all ended
	at   time.Time
	// endpoints are the names that proxies give to the tasks of a node cut off.
	endpoints []string
	until     time.Time // when what is in flight on it has ended one way or another
}

// inFlight is how long a request may have been on its way to what ended.
const inFlight = patience + 5*time.Second

// containers are those of a service on a node, by full id; more are options of
// docker ps.
func containers(ctx context.Context, n *swarm.Node, service string, more ...string) ([]string, error) {
	out, err := n.Docker(ctx, append([]string{"ps", "--quiet", "--no-trunc", "--filter",
		"label=com.docker.swarm.service.name=" + service}, more...)...)
	return strings.Fields(out), err
}

// killService sends SIGKILL to every process of the service's containers on the
// nodes.
func (l *Lab) killService(ctx context.Context, service string, nodes ...*swarm.Node) error {
	killed := 0
	for _, n := range nodes {
		ids, err := containers(ctx, n, service)
		if err != nil {
			return err
		}
		for _, id := range ids {
			processes, err := n.Processes(id)
			if err != nil {
				return err
			}
			for _, p := range processes {
				if err := p.Kill(); err == nil {
					killed++
				}
			}
		}
	}
	if killed == 0 {
		return fmt.Errorf("no process of %s was found", service)
	}
	return nil
}

// killEngine kills only the engine within a cluster's proxy on a node.
func (l *Lab) killEngine(ctx context.Context, n *swarm.Node, service string) error {
	ids, err := containers(ctx, n, service)
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range ids {
		processes, err := n.Processes(id)
		errs = append(errs, err)
		if !slices.ContainsFunc(processes, func(p swarm.Process) bool { return p.Name == "haproxy" }) {
			errs = append(errs, fmt.Errorf("no engine runs in %s on %s", service, n.Name()))
		}
		for _, p := range processes {
			if p.Name == "haproxy" {
				_ = p.Kill() // a worker ends with its master
			}
		}
	}
	return errors.Join(errs...)
}

// killAll is step 4.
func (l *Lab) killAll(ctx context.Context) error {
	for _, e := range l.layout.Envs {
		n := l.Swarm.Nodes[e.Proxies[0]]
		l.say("  killing the proxy of %s on %s", e.Name, n.Name())
		l.killed(n, e.Name)
		if err := l.killService(ctx, "interlock-proxy-"+e.Name, n); err != nil {
			return err
		}
	}
	if err := l.until(ctx, 2*time.Minute, "the proxies are back", l.ready); err != nil {
		return err
	}
	if err := l.withoutCore(ctx); err != nil {
		return err
	}
	return l.until(ctx, 3*time.Minute, "core is back and everything converges", l.converged)
}

// withoutCore keeps core and extension away while tasks change and an engine
// dies, then lets them come back.
func (l *Lab) withoutCore(ctx context.Context) error {
	m := l.Swarm.Manager()
	l.say("  core and extension are killed and kept away")
	for _, s := range []string{"interlock-core", "interlock-extension"} {
		if err := l.killService(ctx, s, l.Swarm.Nodes...); err != nil {
			return err
		}
		if _, err := m.Docker(ctx, "service", "scale", "--detach", s+"=0"); err != nil {
			return err
		}
	}
	if err := l.inAll(ctx, l.followTasks); err != nil {
		return err
	}
	for _, e := range l.layout.Envs {
		n := l.Swarm.Nodes[e.Proxies[1]]
		l.say("  killing the engine of %s on %s", e.Name, n.Name())
		l.killed(n, e.Name)
		if err := l.killEngine(ctx, n, "interlock-proxy-"+e.Name); err != nil {
			return err
		}
		err := l.until(ctx, 10*time.Second, "the engine is back without core", func(ctx context.Context) error {
			return l.healthy(ctx, e, e.Proxies[1])
		})
		if err != nil {
			return err
		}
	}
	for _, s := range []string{"interlock-extension", "interlock-core"} {
		if _, err := m.Docker(ctx, "service", "scale", "--detach", s+"=1"); err != nil {
			return err
		}
	}
	return nil
}

// healthy asks a proxy's health port at its node.
func (l *Lab) healthy(ctx context.Context, e Env, node int) error {
	at := netip.AddrPortFrom(l.Swarm.Nodes[node].Addr(), e.Health)
	status, body, err := l.ask(ctx, at, plain, "health", "/")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("health is answered with %d %s", status, body)
	}
	return err
}

// followTasks replaces the tasks of an application by as many others while no
// core runs: the proxies learn of them from the nodes' own DNS.
func (l *Lab) followTasks(ctx context.Context, e Env) error {
	service := "shop-" + e.Name + "_web"
	l.say("  replacing the tasks of %s without core", service)
	_, err := l.Swarm.Manager().Docker(ctx, "service", "update", "--quiet", "--force", "--no-resolve-image",
		"--update-order", "start-first", "--update-delay", "5s", service)
	return err
}

// converged wants all ready again and the engine's version of the truth equal.
func (l *Lab) converged(ctx context.Context) error {
	if err := l.ready(ctx); err != nil {
		return err
	}
	for _, t := range l.targets() {
		if err := l.answers(ctx, l.env(t.Env), t.Host, t.Path); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) killed(n *swarm.Node, env string) {
	now := time.Now()
	l.kills = append(l.kills, kill{node: n.Name(), env: env, at: now, until: now.Add(inFlight)})
}

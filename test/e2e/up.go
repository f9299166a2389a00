package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"interlock/test/swarm"
)

// Up starts the Swarm, installs Interlock, starts the load balancers, deploys
// the applications, and returns when every environment answers through every
// proxy. When it fails the Swarm is left for a look; Down removes it.
func Up(ctx context.Context, o Options) (*Lab, error) {
	s, err := swarm.Start(ctx, swarm.Options{
		Name: o.Name, Nodes: o.Layout.Nodes, Labels: o.Layout.Labels, Subnet: o.Subnet, Log: o.Out, Fresh: true,
	})
	if err != nil {
		return nil, err
	}
	l := &Lab{Swarm: s, layout: o.Layout, o: o}
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"loading images on all nodes", l.loadImages},
		{"interlock install", l.install},
		{"waiting for core to make the clusters' networks", l.waitNetworks},
		{"starting a load balancer before each cluster", l.startBalancers},
		{"deploying the applications into each environment", l.deployApps},
		{"waiting until every route answers through every proxy", l.waitRoutes},
	} {
		l.say("%s", step.what)
		if err := step.do(ctx); err != nil {
			return l, fmt.Errorf("%s: %w", step.what, err)
		}
	}
	return l, nil
}

func (l *Lab) loadImages(ctx context.Context) error {
	archives, err := filepath.Glob(l.file(".run", "images", "*.tar"))
	if err != nil || len(archives) == 0 {
		return fmt.Errorf("no images in %s: run make images", l.file(".run", "images"))
	}
	return l.Swarm.Load(ctx, archives...)
}

// writeConfig copies the layout's config.toml, with the balancers' address of
// this Swarm.
func (l *Lab) writeConfig() (string, error) {
	data, err := os.ReadFile(l.file("deploy", l.layout.Dir, "config.toml"))
	if err != nil {
		return "", fmt.Errorf("read the layout: %w", err)
	}
	data = bytes.ReplaceAll(data, []byte(`"10.77.0.1"`), []byte(`"`+l.Swarm.Gateway().String()+`"`))
	file := filepath.Join(l.Swarm.Dir(), "config.toml")
	return file, os.WriteFile(file, data, 0o600)
}

func (l *Lab) install(ctx context.Context) error {
	config, err := l.writeConfig()
	if err != nil {
		return err
	}
	said, err := l.Interlock(ctx, "install", "--config", config)
	fmt.Fprint(l.o.Out, said)
	return err
}

func (l *Lab) waitNetworks(ctx context.Context) error {
	return l.until(ctx, 2*time.Minute, "networks", func(ctx context.Context) error {
		for _, e := range l.layout.Envs {
			if _, err := l.Swarm.Manager().Docker(ctx, "network", "inspect", "il-"+e.Name); err != nil {
				return err
			}
		}
		return nil
	})
}

// startBalancers starts them as processes of this machine, at the address that
// all nodes have as their gateway.
func (l *Lab) startBalancers(context.Context) error {
	for _, e := range l.layout.Envs {
		cmd := exec.Command(l.file(".run", "haproxy"), "-db", "-f", l.file("deploy", l.layout.Dir, "lb-"+e.Name+".cfg"))
		cmd.Env = append(os.Environ(), "LB_ADDRESS="+l.Swarm.Gateway().String(),
			"NODE1="+l.Swarm.Nodes[e.Proxies[0]].Addr().String(), "NODE2="+l.Swarm.Nodes[e.Proxies[1]].Addr().String())
		if err := l.Swarm.Spawn("lb-"+e.Name, cmd); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) deployApps(ctx context.Context) error {
	for _, e := range l.layout.Envs {
		if err := l.Deploy(ctx, "shop-"+e.Name, l.file("deploy", "demo", "shop.yml"), l.variables(e)...); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) variables(e Env) []string {
	v := []string{"DEMO_ENV=" + e.Name}
	if c := l.layout.Constraint(e.Name); c != "" {
		v = append(v, "DEMO_NODES="+c)
	}
	return v
}

// waitRoutes waits until core says that all is ready and every proxy answers
// every demonstration host.
func (l *Lab) waitRoutes(ctx context.Context) error {
	if err := l.until(ctx, 3*time.Minute, "status", l.ready); err != nil {
		return err
	}
	for _, t := range l.targets() {
		err := l.until(ctx, time.Minute, t.Env+" "+t.Host+t.Path, func(ctx context.Context) error {
			return l.answers(ctx, l.env(t.Env), t.Host, t.Path)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ready asks core.
func (l *Lab) ready(ctx context.Context) error {
	out, err := l.Interlock(ctx, "status", "--format", "json")
	if err != nil {
		return err
	}
	var status struct {
		Clusters []struct {
			Name, State, Reason string
			Proxies             []struct{ Synced bool }
		}
	}
	if err := json.Unmarshal([]byte(out), &status); err != nil {
		return fmt.Errorf("read the status: %w", err)
	}
	if len(status.Clusters) != len(l.layout.Envs) {
		return fmt.Errorf("%d clusters", len(status.Clusters))
	}
	for _, c := range status.Clusters {
		if c.State != "ready" || len(c.Proxies) < 2 {
			return fmt.Errorf("cluster %s is %s with %d proxies: %s", c.Name, c.State, len(c.Proxies), c.Reason)
		}
	}
	return nil
}

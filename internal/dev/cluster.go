package dev

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"reflect"
	"strconv"

	"interlock/bundle"
	render "interlock/extension/embedded"
	"interlock/internal/engine"
	"interlock/internal/engine/embedded"
	"interlock/internal/problems"
	"interlock/routing"
)

// cluster is one service cluster with its engine in this process.
type cluster struct {
	name         string
	engine       *embedded.Engine
	port, health int
	digest       string // of the bundle that runs
	table        routing.Table
	endpoints    routing.Endpoints
	generation   int
}

// newCluster opens the cluster's ports on the loopback; port 0 is any.
func newCluster(name string, port int, log *slog.Logger) (*cluster, error) {
	public, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	health, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		_ = public.Close()
		return nil, err
	}
	open := map[int]net.Listener{portOf(public): public, portOf(health): health}
	listen := func(port int) (net.Listener, error) {
		if ln := open[port]; ln != nil {
			delete(open, port)
			return ln, nil
		}
		return nil, fmt.Errorf("port %d is not open", port)
	}
	return &cluster{
		name: name, port: portOf(public), health: portOf(health),
		engine: embedded.New(embedded.Options{Listen: listen, ProxyID: "dev", Log: log.With("cluster", name)}),
	}, nil
}

func portOf(ln net.Listener) int { return ln.Addr().(*net.TCPAddr).Port }

// address is where the cluster's requests go.
func (c *cluster) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port)) }

// apply makes t and eps what the cluster serves. Nothing is done where nothing
// has changed.
func (c *cluster) apply(ctx context.Context, t routing.Table, eps routing.Endpoints) error {
	t.Base.HTTPPort, t.Base.HealthPort = c.port, c.health
	t.Base.ProxyProtocol = false // no balancer is in front
	t.Base.GraceTimeout = 2000   // somebody waits for the prompt
	b, err := render.Render(t)
	if err != nil {
		return err
	}
	encoded, err := bundle.Encode(b)
	if err != nil {
		return err
	}
	if digest := bundle.Digest(encoded); digest != c.digest {
		c.generation++
		if err := c.engine.Apply(ctx, b, strconv.Itoa(c.generation), eps); err != nil {
			return err
		}
		c.digest = digest
	} else if !reflect.DeepEqual(eps, c.endpoints) {
		if err := c.engine.SetEndpoints(ctx, eps); err != nil {
			return err
		}
	}
	c.table, c.endpoints = t, eps
	return c.engine.SetHealth(ctx, engine.Ready)
}

// endpoints gives each backend its service's upstreams.
func endpoints(t routing.Table, upstreams map[string][]routing.Endpoint) routing.Endpoints {
	eps := routing.Endpoints{}
	for _, b := range t.Backends {
		eps[b.ID] = upstreams[b.ServiceID]
	}
	return eps
}

// frozen is the problem of a cluster whose engine took no change.
func frozen(name string, err error) routing.Problem {
	p := problems.New(problems.ClusterFrozen, "the engine refused the change: "+err.Error(), "the cluster serves on as before")
	p.Cluster = name
	return p
}

// Package enginetest is one suite for all engines: real sockets, real origins,
// raw requests, and routing.Resolve as the judge. An engine's own test calls
//
//	enginetest.Run(t, func(t *testing.T) enginetest.Harness { … })
package enginetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"testing"
	"time"

	"interlock/bundle"
	"interlock/internal/engine"
	"interlock/routing"
)

// Harness is one engine to try, without a bundle, and what goes with it. Its
// maker stops it in t.Cleanup.
type Harness struct {
	Engine engine.Engine
	// Render makes the engine's bundle of a table.
	Render func(routing.Table) (bundle.Bundle, error)
	// Break spoils a bundle so that the engine's check must refuse it.
	Break func(bundle.Bundle) bundle.Bundle
	// FoldsHosts is set for an engine whose parser makes one of equal Host
	// headers before any rule can see them.
	FoldsHosts bool
}

// Run tries an engine. make is called for each test.
func Run(t *testing.T, make func(t *testing.T) Harness) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *bench)
	}{
		{"Probes", testProbes},
		{"RelaxedProbes", testRelaxedProbes},
		{"RandomRequests", testRandomRequests},
		{"Malformed", testMalformed},
		{"Bodies", testBodies},
		{"ForwardedHeaders", testForwardedHeaders},
		{"ProxyProtocol", testProxyProtocol},
		{"Websocket", testWebsocket},
		{"RoundRobin", testRoundRobin},
		{"IPHash", testIPHash},
		{"Pool", testPool},
		{"DeadEndpoint", testDeadEndpoint},
		{"NoEndpoint", testNoEndpoint},
		{"Share", testShare},
		{"Random", testRandom},
		{"ConnectTimeout", testConnectTimeout},
		{"ResponseTimeout", testResponseTimeout},
		{"IdleTimeout", testIdleTimeout},
		{"MaxConnections", testMaxConnections},
		{"MaxConnectionsQueue", testMaxConnectionsQueue},
		{"Sticky", testSticky},
		{"StickyOwnCookie", testStickyOwnCookie},
		{"Allow", testAllow},
		{"OwnHeaders", testOwnHeaders},
		{"HostileHeaders", testHostileHeaders},
		{"H2", testH2},
		{"HealthCheck", testHealthCheck},
		{"Health", testHealth},
		{"Refusal", testRefusal},
		{"BusyPort", testBusyPort},
		{"EndpointsUnderLoad", testEndpointsUnderLoad},
		{"ApplyUnderLoad", testApplyUnderLoad},
		{"EndpointsLeaveUnderLoad", testEndpointsLeaveUnderLoad},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, make(t))
			b.another = make
			c.test(t, b)
		})
	}
}

// bench is an engine with origins behind it.
type bench struct {
	Harness
	table     routing.Table
	endpoints routing.Endpoints
	revision  int
	another   func(*testing.T) Harness
}

// patience is how long anything may take here.
const patience = time.Minute

func newBench(t *testing.T, h Harness) *bench {
	ports := freePorts(t, 2)
	return &bench{Harness: h, endpoints: routing.Endpoints{}, table: routing.Table{
		Cluster: "test",
		Base: routing.Base{
			HTTPPort: ports[0], HealthPort: ports[1], MaxConnections: 1000, MaxShare: 50,
			ConnectTimeout: 1000, ClientTimeout: 10_000, ServerTimeout: 10_000,
			KeepaliveTimeout: 3000, GraceTimeout: 10_000,
		},
	}}
}

// freePorts are ports on which nobody listens, outside of the range from which
// outgoing connections get theirs.
func freePorts(t *testing.T, n int) (ports []int) {
	t.Helper()
	for range 1000 {
		port := 20000 + rand.IntN(12000)
		ln, err := net.Listen("tcp", ":"+strconv.Itoa(port))
		if err != nil || slices.Contains(ports, port) {
			continue
		}
		_ = ln.Close()
		if ports = append(ports, port); len(ports) == n {
			return ports
		}
	}
	t.Fatal("no free port")
	return nil
}

// route adds a route to a backend of its own with these origins.
func (b *bench) route(host, path string, origins ...*origin) *routing.Route {
	service := fmt.Sprintf("service%d", len(b.table.Backends))
	id := routing.BackendID(service, "", 80)
	b.table.Backends = append(b.table.Backends, routing.Backend{
		ID: id, Service: service, ServiceID: service, Port: 80, Network: "n",
		Mode: routing.ModeTask, Algorithm: routing.RoundRobin,
	})
	b.table.Routes = append(b.table.Routes, routing.Route{Host: host, Path: path, Backends: []string{id}})
	b.endpoints[id] = endpointsOf(origins...)
	return &b.table.Routes[len(b.table.Routes)-1]
}

func endpointsOf(origins ...*origin) (eps []routing.Endpoint) {
	for _, o := range origins {
		eps = append(eps, routing.Endpoint{Address: "127.0.0.1", Port: o.port})
	}
	return eps
}

// apply renders and applies the table and makes the engine ready.
func (b *bench) apply(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	rendered, err := b.Render(b.table)
	if err != nil {
		t.Fatalf("Render: %v", err)
	}
	if err := b.Engine.Check(ctx, rendered); err != nil {
		t.Fatalf("Check: %v", err)
	}
	b.revision++
	revision := "1." + strconv.Itoa(b.revision)
	if err := b.Engine.Apply(ctx, rendered, revision, b.endpoints); err != nil {
		t.Fatalf("Apply: %v", err)
	}
	if got, err := b.Engine.Running(ctx); got != revision || err != nil {
		t.Fatalf("Running = %q, %v, want %q", got, err, revision)
	}
	if b.revision == 1 {
		b.setHealth(t, engine.Ready)
	}
}

func (b *bench) setHealth(t *testing.T, h engine.Health) {
	t.Helper()
	if err := b.Engine.SetHealth(t.Context(), h); err != nil {
		t.Fatalf("SetHealth: %v", err)
	}
}

func (b *bench) setEndpoints(t *testing.T) {
	t.Helper()
	if err := b.Engine.SetEndpoints(t.Context(), b.endpoints); err != nil {
		t.Fatalf("SetEndpoints: %v", err)
	}
}

func (b *bench) address() string { return loopback(b.table.Base.HTTPPort) }

func loopback(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }

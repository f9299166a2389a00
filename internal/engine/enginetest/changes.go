package enginetest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"interlock/internal/engine"
)

func testHealth(t *testing.T, b *bench) {
	b.route("a.org", "/", startOrigin(t, "a"))
	b.apply(t)
	health := loopback(b.table.Base.HealthPort)
	ask := func() int { return send(t, health, getRequest("x", "/", "Connection: close")).status }
	for _, step := range []struct {
		health engine.Health
		want   int
	}{{engine.NotReady, 503}, {engine.Ready, 200}, {engine.Drain, 503}} {
		b.setHealth(t, step.health)
		if got := ask(); got != step.want {
			t.Errorf("%s: health port answers %d, want %d", step.health, got, step.want)
		}
		b.apply(t)
		if got := ask(); got != step.want {
			t.Errorf("%s after a change: health port answers %d, want %d", step.health, got, step.want)
		}
	}
	if got := send(t, b.address(), getRequest("a.org", "/")); got.origin() != "a" || !got.closed {
		t.Errorf("draining: status %d, closed %v; want an answer and a closed connection", got.status, got.closed)
	}
	b.setHealth(t, engine.Ready)
	if got := send(t, b.address(), getRequest("a.org", "/")); got.closed {
		t.Error("ready again, but connections are closed")
	}
}

func testRefusal(t *testing.T, b *bench) {
	b.route("a.org", "/", startOrigin(t, "a"))
	b.apply(t)
	b.route("b.org", "/", startOrigin(t, "b"))
	rendered, err := b.Render(b.table)
	if err != nil {
		t.Fatal(err)
	}
	bad := b.Break(rendered)
	var refusal *engine.Refusal
	if err := b.Engine.Check(t.Context(), bad); !errors.As(err, &refusal) || refusal.Words == "" {
		t.Errorf("Check = %v, want a refusal in words", err)
	}
	if err := b.Engine.Apply(t.Context(), bad, "9.9", b.endpoints); err == nil {
		t.Error("Apply took a broken bundle")
	}
	if got, _ := b.Engine.Running(t.Context()); got != "1.1" {
		t.Errorf("Running = %q, want 1.1", got)
	}
	if got := b.get(t, "a.org", "/"); got.origin() != "a" {
		t.Errorf("after a refusal: %d", got.status)
	}
}

func testBusyPort(t *testing.T, b *bench) {
	b.route("a.org", "/", startOrigin(t, "a"))
	b.apply(t)
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	table := b.table
	table.Base.HTTPPort = busy.Addr().(*net.TCPAddr).Port
	rendered, err := b.Render(table)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Engine.Check(t.Context(), rendered); err == nil {
		t.Error("Check took a port on which another process listens")
	}
	if got := b.get(t, "a.org", "/"); got.origin() != "a" {
		t.Errorf("after the check: %d", got.status)
	}
}

// load is clients that keep their connections and send one request after
// another; one that the engine announced to close is dialled anew.
type load struct {
	stop   context.CancelFunc
	ended  sync.WaitGroup
	mu     sync.Mutex
	sent   int
	each   []int // requests of each client
	failed []string
}

func (b *bench) startLoad(t *testing.T, host string, clients int) *load {
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{stop: cancel, each: make([]int, clients)}
	for i := range clients {
		l.ended.Go(func() {
			for ctx.Err() == nil {
				l.connection(ctx, b.address(), host, i)
			}
		})
	}
	return l
}

// connection sends requests of a client on one connection until it is closed.
func (l *load) connection(ctx context.Context, address, host string, client int) {
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		l.count(client, "dial: "+err.Error())
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * patience))
	from := bufio.NewReader(conn)
	request := getRequest(host, "/")
	if client%2 == 1 {
		request = "POST / HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 3\r\n\r\nabc"
	}
	for ctx.Err() == nil {
		got, err := ask(conn, from, request)
		switch {
		case err != nil:
			l.count(client, err.Error())
			return
		case got.status != 200:
			l.count(client, fmt.Sprint(got.status))
		default:
			l.count(client, "")
		}
		if got.closed {
			return
		}
	}
}

func (l *load) count(client int, failure string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent++
	l.each[client]++
	if failure != "" {
		l.failed = append(l.failed, failure)
	}
}

// reach waits until n further requests were sent, two at least by each client:
// what was under way before has then ended.
func (l *load) reach(t *testing.T, n int) {
	t.Helper()
	total, each := l.totals()
	reached := func() bool {
		now, nowEach := l.totals()
		for i := range each {
			if nowEach[i] < each[i]+2 {
				return false
			}
		}
		return now >= total+n
	}
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !reached(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("the load stands still")
		}
	}
}

func (l *load) totals() (int, []int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sent, slices.Clone(l.each)
}

// end stops the load and fails the test if a request was lost.
func (l *load) end(t *testing.T) {
	t.Helper()
	l.stop()
	l.ended.Wait()
	t.Logf("%d requests, %d failed", l.sent, len(l.failed))
	if len(l.failed) > 0 {
		t.Errorf("lost %d of %d requests, first: %s", len(l.failed), l.sent, l.failed[0])
	}
}

func testEndpointsUnderLoad(t *testing.T, b *bench) {
	origins := []*origin{startOrigin(t, "0"), startOrigin(t, "1"), startOrigin(t, "2")}
	b.route("a.org", "/", origins[0])
	b.apply(t)
	l := b.startLoad(t, "a.org", 4)
	for i := range 12 {
		b.endpoints[b.table.Backends[0].ID] = endpointsOf(origins[i%3])
		b.setEndpoints(t)
		l.reach(t, 20)
	}
	if got := b.get(t, "a.org", "/"); got.origin() != "2" {
		t.Errorf("after the last change endpoint %q answers", got.origin())
	}
	l.end(t)
}

func testApplyUnderLoad(t *testing.T, b *bench) {
	one, two := startOrigin(t, "one"), startOrigin(t, "two")
	b.route("steady.org", "/", one)
	b.route("a.org", "/", one)
	b.route("b.org", "/", two)
	b.apply(t)
	l := b.startLoad(t, "steady.org", 4)
	for i := range 6 {
		routes := b.table.Routes
		routes[1].Backends, routes[2].Backends = routes[2].Backends, routes[1].Backends
		b.table.Base.ClientTimeout++ // a setting of the listener itself
		b.apply(t)
		if got, want := b.get(t, "a.org", "/").origin(), []string{"two", "one"}[i%2]; got != want {
			t.Errorf("change %d: a.org is answered by %q, want %q", i, got, want)
		}
		l.reach(t, 40)
	}
	l.end(t)
}

// testEndpointsLeaveUnderLoad: each endpoint leaves and then stops, also where
// a change of structure came before: no worker may go on sending to it.
func testEndpointsLeaveUnderLoad(t *testing.T, b *bench) {
	first := startOrigin(t, "first")
	b.route("a.org", "/", first)
	b.apply(t)
	l := b.startLoad(t, "a.org", 4)
	for i := range 5 {
		next := startOrigin(t, fmt.Sprint("next", i))
		b.table.Base.ServerTimeout++
		b.apply(t)
		l.reach(t, 20)
		b.endpoints[b.table.Backends[0].ID] = endpointsOf(next)
		b.setEndpoints(t)
		l.reach(t, 20)
		first.stop()
		l.reach(t, 20)
		first = next
	}
	l.end(t)
}

package enginetest

import (
	"bufio"
	"testing"
	"time"

	"interlock/routing"
)

// spread counts which application answered n requests.
func (b *bench) spread(t *testing.T, host string, n int) map[string]int {
	t.Helper()
	seen := map[string]int{}
	for range n {
		got := b.get(t, host, "/")
		if got.status != 200 {
			t.Errorf("%s: status %d", host, got.status)
		}
		seen[got.origin()]++
	}
	return seen
}

func testRoundRobin(t *testing.T, b *bench) {
	b.route("a.org", "/", startOrigin(t, "1"), startOrigin(t, "2"), startOrigin(t, "3"))
	b.apply(t)
	for name, n := range b.spread(t, "a.org", 30) {
		if n != 10 {
			t.Errorf("endpoint %s got %d of 30 requests, want 10", name, n)
		}
	}
}

func testIPHash(t *testing.T, b *bench) {
	b.route("a.org", "/", startOrigin(t, "1"), startOrigin(t, "2"), startOrigin(t, "3"))
	b.table.Backends[0].Algorithm = routing.IPHash
	b.apply(t)
	if seen := b.spread(t, "a.org", 10); len(seen) != 1 {
		t.Errorf("one client was spread over %v", seen)
	}
}

func testPool(t *testing.T, b *bench) {
	b.route("a.org", "/", startOrigin(t, "stable"))
	b.route("b.org", "/", startOrigin(t, "canary"))
	b.table.Routes[0].Backends = append(b.table.Routes[0].Backends, b.table.Backends[1].ID)
	b.apply(t)
	if seen := b.spread(t, "a.org", 20); seen["stable"] != 10 || seen["canary"] != 10 {
		t.Errorf("pool of two was spread %v", seen)
	}
	if seen := b.spread(t, "b.org", 4); seen["canary"] != 4 {
		t.Errorf("b.org was spread %v", seen)
	}
}

func testDeadEndpoint(t *testing.T, b *bench) {
	b.route("a.org", "/", deadOrigin(t), startOrigin(t, "live"))
	b.apply(t)
	if seen := b.spread(t, "a.org", 20); seen["live"] != 20 {
		t.Errorf("beside a dead endpoint: %v", seen)
	}
	for range 4 {
		body := "POST / HTTP/1.1\r\nHost: a.org\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"
		if got := send(t, b.address(), body); got.origin() != "live" {
			t.Errorf("POST beside a dead endpoint: %d", got.status)
		}
	}
}

func testNoEndpoint(t *testing.T, b *bench) {
	b.route("a.org", "/")
	b.route("b.org", "/", deadOrigin(t))
	b.apply(t)
	for _, host := range []string{"a.org", "b.org"} {
		if got := b.get(t, host, "/"); got.status != 503 {
			t.Errorf("%s: status %d, want 503", host, got.status)
		}
	}
	b.endpoints[b.table.Backends[0].ID] = endpointsOf(startOrigin(t, "a"))
	b.setEndpoints(t)
	if got := b.get(t, "a.org", "/"); got.origin() != "a" {
		t.Errorf("after the first endpoint: %d", got.status)
	}
}

// testShare: a service that hangs may hold its share of the connections and no
// more; what is refused is closed; others don't notice (I13).
func testShare(t *testing.T, b *bench) {
	arrived, release := make(chan struct{}, 100), make(chan struct{})
	b.route("slow.org", "/", startSlow(t, arrived, release))
	b.route("fast.org", "/", startOrigin(t, "fast"))
	b.table.Base.MaxConnections, b.table.Base.MaxShare = 20, 50
	b.apply(t)
	request := getRequest("slow.org", "/")
	for range 10 {
		conn := dial(t, b.address())
		defer conn.Close()
		if _, err := conn.Write([]byte(request)); err != nil {
			t.Fatal(err)
		}
		receive(t, arrived)
	}
	for range 30 {
		conn := dial(t, b.address())
		defer conn.Close()
		got, err := ask(conn, bufio.NewReader(conn), request)
		if err != nil || got.status != 503 || !got.closed {
			t.Fatalf("above the share: %d, closed %v, %v", got.status, got.closed, err)
		}
	}
	if got := b.get(t, "fast.org", "/"); got.origin() != "fast" {
		t.Errorf("beside a hanging service: %d", got.status)
	}
	close(release)
}

func receive(t *testing.T, from <-chan struct{}) {
	t.Helper()
	select {
	case <-from:
	case <-time.After(patience):
		t.Fatal("the application saw no request")
	}
}

package enginetest

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"interlock/routing"
)

// hour is far more than a test's patience, in ms.
const hour = 3_600_000

func testRandom(t *testing.T, b *bench) {
	b.route("a.org", "/", startOrigin(t, "1"), startOrigin(t, "2"))
	b.table.Backends[0].Algorithm = routing.Random
	b.apply(t)
	if seen := b.spread(t, "a.org", 60); len(seen) != 2 {
		t.Errorf("60 requests at random were spread %v", seen)
	}
	b.endpoints[b.table.Backends[0].ID] = endpointsOf(startOrigin(t, "3"))
	b.setEndpoints(t)
	if seen := b.spread(t, "a.org", 4); seen["3"] != 4 {
		t.Errorf("after a change of endpoints: %v", seen)
	}
}

// silentOrigin is a port that answers no attempt to connect: its backlog is
// full.
func silentOrigin(t *testing.T) *origin {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	o := &origin{name: "silent", port: name.(*syscall.SockaddrInet4).Port}
	for range 20 {
		conn, err := net.DialTimeout("tcp", loopback(o.port), 200*time.Millisecond)
		if err != nil {
			return o
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	t.Fatal("the backlog does not fill")
	return nil
}

func testConnectTimeout(t *testing.T, b *bench) {
	b.route("a.org", "/", silentOrigin(t))
	b.table.Base.ConnectTimeout, b.table.Backends[0].ConnectTimeout = hour, 200
	b.apply(t)
	if got := b.get(t, "a.org", "/"); got.status != 503 {
		t.Errorf("an endpoint that does not answer: %d, want 503", got.status)
	}
}

// testResponseTimeout: a service's own time for an answer counts whether it is
// shorter or longer than the cluster's, and than the client's.
func testResponseTimeout(t *testing.T, b *bench) {
	arrived, release := make(chan struct{}, 10), make(chan struct{})
	b.route("short.org", "/", startSlow(t, arrived, release))
	b.route("long.org", "/", startSlow(t, arrived, release))
	b.table.Base.ServerTimeout, b.table.Backends[0].ResponseTimeout = hour, 300
	b.apply(t)
	if got := b.get(t, "short.org", "/"); got.status != 504 {
		t.Errorf("above its own timeout: %d, want 504", got.status)
	}
	receive(t, arrived)
	b.table.Base.ServerTimeout, b.table.Base.ClientTimeout = 300, 300
	b.table.Backends[0].ResponseTimeout, b.table.Backends[1].ResponseTimeout = 0, hour
	b.apply(t)
	long := make(chan reply, 1)
	go func() { long <- b.get(t, "long.org", "/") }()
	receive(t, arrived)
	if got := b.get(t, "short.org", "/"); got.status != 504 {
		t.Errorf("above the cluster's timeout: %d, want 504", got.status)
	}
	close(release)
	if got := <-long; got.origin() != "slow" {
		t.Errorf("below its own timeout, above the cluster's: %d", got.status)
	}
}

func testIdleTimeout(t *testing.T, b *bench) {
	b.route("ws.org", "/chat", startEcho(t))
	b.table.Backends[0].IdleTimeout = 1000
	b.table.Base.ClientTimeout, b.table.Base.ServerTimeout = hour, hour
	b.apply(t)
	conn, from := b.upgrade(t)
	if _, err := io.WriteString(conn, "hello\n"); err != nil {
		t.Fatal(err)
	}
	if echoed, err := from.ReadString('\n'); echoed != "hello\n" {
		t.Fatalf("echo %q, %v", echoed, err)
	}
	if _, err := from.ReadByte(); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("an idle connection: %v, want its end", err)
	}
}

// upgrade opens a websocket to ws.org.
func (b *bench) upgrade(t *testing.T) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn := dial(t, b.address())
	t.Cleanup(func() { _ = conn.Close() })
	from := bufio.NewReader(conn)
	got, err := ask(conn, from, getRequest("ws.org", "/chat", "Connection: Upgrade", "Upgrade: websocket",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="))
	if err != nil || got.status != 101 {
		t.Fatalf("upgrade: %d, %v", got.status, err)
	}
	return conn, from
}

// testMaxConnections: what is above the bound waits for the connect timeout and
// is then refused; other services and later requests don't notice.
func testMaxConnections(t *testing.T, b *bench) {
	arrived, release := make(chan struct{}, 10), make(chan struct{})
	b.route("a.org", "/", startSlow(t, arrived, release), startSlow(t, arrived, release))
	b.route("b.org", "/", startOrigin(t, "b"))
	b.table.Backends[0].MaxConnections = 1
	b.apply(t)
	var served sync.WaitGroup
	for range 2 {
		served.Go(func() {
			if got := b.get(t, "a.org", "/"); got.status != 200 {
				t.Errorf("within the bound: %d", got.status)
			}
		})
		receive(t, arrived)
	}
	if got := b.get(t, "a.org", "/"); got.status != 503 {
		t.Errorf("above the bound: %d, want 503", got.status)
	}
	if got := b.get(t, "b.org", "/"); got.origin() != "b" {
		t.Errorf("beside it: %d", got.status)
	}
	close(release)
	served.Wait()
	for range 4 {
		if got := b.get(t, "a.org", "/"); got.status != 200 {
			t.Errorf("afterwards: %d", got.status)
		}
	}
}

// testMaxConnectionsQueue: no endpoint ever has more than its bound under way,
// one added at run time neither, and all that waits is served.
func testMaxConnectionsQueue(t *testing.T, b *bench) {
	var most atomic.Int64
	b.route("a.org", "/", startCounting(t, &most))
	b.table.Backends[0].MaxConnections, b.table.Base.ConnectTimeout = 2, 60_000
	b.apply(t)
	for range 2 {
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if got := b.get(t, "a.org", "/"); got.status != 200 {
					t.Errorf("a request that had to wait: %d", got.status)
				}
			})
		}
		all.Wait()
		b.endpoints[b.table.Backends[0].ID] = endpointsOf(startCounting(t, &most))
		b.setEndpoints(t)
	}
	if n := most.Load(); n != 2 {
		t.Errorf("an endpoint had %d requests at once, want 2", n)
	}
}

// startCounting starts an application that keeps in most how many requests it
// had at once. It answers one when another has arrived or some time has passed.
func startCounting(t *testing.T, most *atomic.Int64) *origin {
	var now atomic.Int64
	next := make(chan struct{})
	return serveOrigin(t, "counting", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		late := time.NewTimer(20 * time.Millisecond)
		defer late.Stop()
		select {
		case next <- struct{}{}:
		case <-next:
		case <-late.C:
		}
	}))
}

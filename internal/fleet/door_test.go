package fleet

import (
	"context"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"interlock/internal/identity"
	fleetv1 "interlock/proto/fleet/v1"
)

// dialFrom connects from an address of the loopback.
func dialFrom(t *testing.T, host, addr string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(host)}, Timeout: patience}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// greets reports whether the server at the other end lets c in: it says hello.
func greets(c net.Conn) bool {
	n, _ := io.ReadFull(c, make([]byte, 5))
	return n == 5
}

// TestDoorBoundsAnAddress: one that opens ever more connections shuts out
// itself and nobody else, and is let in again when it has closed some.
func TestDoorBoundsAnAddress(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := newDoor(l, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { d.Close() })
	inside := make(chan net.Conn, 2*maxFromAddress)
	go func() {
		for {
			c, err := d.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, "hello")
			inside <- c
		}
	}()
	for range maxFromAddress {
		if !greets(dialFrom(t, "127.0.0.1", l.Addr().String())) {
			t.Fatal("not let in")
		}
	}
	if greets(dialFrom(t, "127.0.0.1", l.Addr().String())) {
		t.Error("one too many is let in")
	}
	if !greets(dialFrom(t, "127.0.0.2", l.Addr().String())) {
		t.Error("another address is not let in")
	}
	c := take(t, inside)
	c.Close()
	c.Close() // twice, as gRPC may
	if !greets(dialFrom(t, "127.0.0.1", l.Addr().String())) {
		t.Error("not let in again")
	}
	if greets(dialFrom(t, "127.0.0.1", l.Addr().String())) {
		t.Error("a connection that was closed twice counts twice")
	}
}

func TestDoorBoundsAll(t *testing.T) {
	d := newDoor(nil, slog.New(slog.DiscardHandler))
	for i := range maxConnections {
		if host := hostOf(&net.TCPAddr{IP: net.IPv4(10, 0, byte(i>>8), byte(i))}); !d.enter(host) {
			t.Fatalf("connection %d is not let in", i)
		}
	}
	last := hostOf(&net.TCPAddr{IP: net.IPv4(10, 1, 0, 0)})
	if d.enter(last) {
		t.Error("one too many is let in")
	}
	d.leave(hostOf(&net.TCPAddr{IP: net.IPv4(10, 0, 0, 1)}))
	if !d.enter(last) || len(d.from) != maxConnections {
		t.Errorf("%d addresses are remembered", len(d.from))
	}
}

// TestWhoSaysNothingIsEnded: neither a connection without a handshake nor a
// stream without Hello stays.
func TestWhoSaysNothingIsEnded(t *testing.T) {
	w := start(t, Timing{Silence: time.Hour, Hello: 100 * time.Millisecond})
	w.server.Add("prod", newRecorder())
	if n, err := dialFrom(t, "127.0.0.1", w.addr).Read(make([]byte, 1)); n != 0 || isTimeout(err) {
		t.Errorf("read %d bytes, %v", n, err)
	}
	stream := w.dial(t, identity.ClusterURI("prod"))
	if _, err := stream.Recv(); status.Code(err) != codes.DeadlineExceeded && status.Code(err) != codes.Unavailable {
		t.Errorf("got %v", err)
	}
}

func isTimeout(err error) bool {
	e, ok := err.(net.Error)
	return ok && e.Timeout()
}

// from opens a session from an address of the loopback.
func (w *world) from(t *testing.T, host string, hello *fleetv1.Hello) fleetv1.Fleet_SessionClient {
	t.Helper()
	id, err := w.core.Mint(identity.ClusterURI("prod"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(host)}}
	conn, err := grpc.NewClient("passthrough:///"+w.addr, grpc.WithTransportCredentials(credentials.NewTLS(id.ClientTLS(identity.CoreURI))),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) { return d.DialContext(ctx, "tcp", addr) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	stream, err := fleetv1.NewFleetClient(conn).Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&fleetv1.FromAgent{Kind: &fleetv1.FromAgent_Hello{Hello: hello}}); err != nil {
		t.Fatal(err)
	}
	return stream
}

// TestNobodyEndsAnothersSession: whoever says that it is a task that is elsewhere
// does not end that one's session.
func TestNobodyEndsAnothersSession(t *testing.T) {
	w, prod := start(t, Timing{}), newRecorder()
	w.server.Add("prod", prod)
	honest := w.from(t, "127.0.0.2", &fleetv1.Hello{Task: "t1"})
	recv(t, honest)
	take(t, prod.sessions)
	claimed := w.from(t, "127.0.0.3", &fleetv1.Hello{Task: "t1"})
	recv(t, claimed)
	take(t, prod.sessions)
	w.server.Drain("prod", "t1", "still there")
	if recv(t, honest).GetDrain() == nil {
		t.Error("the session of the task itself is disturbed")
	}
}

func TestTooManySessionsOfAnAddress(t *testing.T) {
	w, prod := start(t, Timing{}), newRecorder()
	w.server.Add("prod", prod)
	for range maxOfHost {
		recv(t, w.from(t, "127.0.0.1", &fleetv1.Hello{}))
		take(t, prod.sessions)
	}
	if _, err := w.from(t, "127.0.0.1", &fleetv1.Hello{}).Recv(); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("got %v", err)
	}
	recv(t, w.from(t, "127.0.0.2", &fleetv1.Hello{}))
}

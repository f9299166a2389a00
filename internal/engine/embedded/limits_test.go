package embedded_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	render "interlock/extension/embedded"
	"interlock/internal/engine/embedded"
	"interlock/routing"
)

const patience = time.Minute

// startWith runs an engine whose a.org is answered by handler, and returns its
// address and what ends it.
func startWith(t *testing.T, base routing.Base, handler http.HandlerFunc) (address string, stop func() error) {
	t.Helper()
	app := httptest.NewServer(handler)
	t.Cleanup(app.Close)
	base.HTTPPort, base.HealthPort = 1, 2 // whatever Listen makes of them
	listeners := map[int]net.Listener{}
	e := embedded.New(embedded.Options{Log: slog.New(slog.DiscardHandler), Listen: func(port int) (ln net.Listener, err error) {
		ln, err = net.Listen("tcp", "127.0.0.1:0")
		listeners[port] = ln
		return ln, err
	}})
	b, err := render.Render(routing.Table{
		Base:     base,
		Routes:   []routing.Route{{Host: "a.org", Path: "/", Backends: []string{"be_a"}}},
		Backends: []routing.Backend{{ID: "be_a", Port: 80}},
	})
	if err != nil {
		t.Fatal(err)
	}
	port := app.Listener.Addr().(*net.TCPAddr).Port
	if err := e.Apply(t.Context(), b, "1", routing.Endpoints{"be_a": {{Address: "127.0.0.1", Port: port}}}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(cancel)
	return listeners[1].Addr().String(), func() error { cancel(); return <-done }
}

func hello(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }

type conn struct {
	net.Conn
	from *bufio.Reader
}

func dial(t *testing.T, address string) conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return conn{c, bufio.NewReader(c)}
}

// status sends a request for target and returns the answer's status.
func (c conn) status(t *testing.T, target string) int {
	t.Helper()
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: a.org\r\n\r\n", target)
	response, err := http.ReadResponse(c.from, nil)
	if err != nil {
		t.Fatalf("GET %s: %v", target, err)
	}
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

// The Host of an absolute-form can be seen only in a connection's first
// request; later ones are refused, never guessed.
func TestAbsoluteFormOnUsedConnection(t *testing.T) {
	address, _ := startWith(t, routing.Base{}, hello)
	if got := dial(t, address).status(t, "http://a.org/"); got != 200 {
		t.Errorf("first request: %d, want 200", got)
	}
	used := dial(t, address)
	if got := used.status(t, "/"); got != 200 {
		t.Errorf("first request: %d, want 200", got)
	}
	if got := used.status(t, "http://a.org/"); got != 400 {
		t.Errorf("second request: %d, want 400", got)
	}
}

func TestMaxConnections(t *testing.T) {
	address, _ := startWith(t, routing.Base{MaxConnections: 2}, hello)
	first, second := dial(t, address), dial(t, address)
	first.status(t, "/")
	second.status(t, "/")
	third := dial(t, address)
	_ = first.Close()
	if got := third.status(t, "/"); got != 200 {
		t.Errorf("a connection that waited: %d, want 200", got)
	}
}

// A client that does not finish its head or its body is let go.
func TestSlowClients(t *testing.T) {
	address, _ := startWith(t, routing.Base{ClientTimeout: 200}, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	})
	for _, start := range []string{
		"GET / HTTP/1.1\r\nHost: a.",
		"POST / HTTP/1.1\r\nHost: a.org\r\nContent-Length: 10\r\n\r\nabc",
	} {
		c := dial(t, address)
		_, _ = io.WriteString(c, start)
		answer, err := io.ReadAll(c.from)
		if err != nil {
			t.Errorf("%q: %v; want the connection closed", start, err)
		}
		if strings.HasPrefix(string(answer), "HTTP/1.1 200") {
			t.Errorf("%q was answered %q", start, answer)
		}
	}
}

// A slow answer is not the client's fault: its timeout does not cut it.
func TestSlowAnswerAfterBody(t *testing.T) {
	address, _ := startWith(t, routing.Base{ClientTimeout: 1500}, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		timer := time.NewTimer(3 * time.Second)
		<-timer.C
		hello(w, r)
	})
	c := dial(t, address)
	_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: a.org\r\nContent-Length: 3\r\n\r\nabc")
	response, err := http.ReadResponse(c.from, nil)
	if err != nil || response.StatusCode != 200 {
		t.Fatalf("ReadResponse = %v, %v, want 200", response, err)
	}
}

func TestHeadLimit(t *testing.T) {
	address, _ := startWith(t, routing.Base{}, hello)
	c := dial(t, address)
	go func() { fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: a.org\r\nX: %s\r\n\r\n", strings.Repeat("x", 64<<10)) }()
	response, err := http.ReadResponse(c.from, nil)
	if err != nil || response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Fatalf("ReadResponse = %v, %v, want 431", response, err)
	}
}

// Run ends after the requests under way, not before.
func TestRunFinishesRequests(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	address, stop := startWith(t, routing.Base{GraceTimeout: 10_000}, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-release
		hello(w, r)
	})
	c := dial(t, address)
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a.org\r\n\r\n")
	<-arrived
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	close(release)
	response, err := http.ReadResponse(c.from, nil)
	if err != nil || response.StatusCode != 200 {
		t.Errorf("the request under way: %v, %v", response, err)
	}
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	if late, err := net.Dial("tcp", address); err == nil {
		_ = late.Close()
		t.Error("still listening after Run")
	}
}

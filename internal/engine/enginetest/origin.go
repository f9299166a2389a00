package enginetest

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"testing"
)

// origin is an application. It answers with its name in header Origin and, in
// the body, the request's line, Host and headers as they arrived.
type origin struct {
	name string
	port int
	// stop ends it as a container ends on SIGTERM: nothing new is accepted,
	// what is under way is finished.
	stop func()
}

// startOrigin starts an application that serves until the test ends.
func startOrigin(t *testing.T, name string) *origin {
	t.Helper()
	return serveOrigin(t, name, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Origin", name)
		w.Header().Set("X-Request-Id", "the application's own")
		fmt.Fprintf(w, "%s %s\nHost: %s\n", r.Method, r.RequestURI, r.Host)
		_ = r.Header.Write(w)
	}))
}

func serveOrigin(t *testing.T, name string, handler http.Handler) *origin {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveProtocols(t, name, handler, nil, ln)
}

// serveProtocols serves with the given protocols, nil for HTTP/1.1.
func serveProtocols(t *testing.T, name string, handler http.Handler, protocols *http.Protocols, ln net.Listener) *origin {
	server := &http.Server{Handler: handler, DisableGeneralOptionsHandler: true, Protocols: protocols}
	go func() { _ = server.Serve(ln) }()
	t.Cleanup(func() { _ = server.Close() })
	return &origin{name: name, port: ln.Addr().(*net.TCPAddr).Port, stop: func() { _ = server.Shutdown(context.Background()) }}
}

// startSlow starts an application that answers when release is closed and
// sends to arrived for each request.
func startSlow(t *testing.T, arrived chan<- struct{}, release <-chan struct{}) *origin {
	t.Helper()
	return serveOrigin(t, "slow", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Origin", "slow")
		arrived <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
}

// startEcho starts an application that switches protocols and echoes lines.
func startEcho(t *testing.T) *origin {
	t.Helper()
	return serveOrigin(t, "echo", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, stream, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		key := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // RFC 6455 §4.2.2
		fmt.Fprintf(stream, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n",
			base64.StdEncoding.EncodeToString(key[:]))
		_ = stream.Flush()
		echo(stream)
	}))
}

func echo(stream *bufio.ReadWriter) {
	for {
		line, err := stream.ReadString('\n')
		if err != nil {
			return
		}
		_, _ = stream.WriteString(line)
		_ = stream.Flush()
	}
}

// deadOrigin is a port on which nobody listens.
func deadOrigin(t *testing.T) *origin {
	t.Helper()
	return &origin{name: "dead", port: freePorts(t, 1)[0]}
}

package enginetest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// reply is what a client saw.
type reply struct {
	status int
	header http.Header
	body   string
	// closed says that the engine closed the connection after it.
	closed bool
}

// origin is the application that answered, "" for the router's own answer.
func (r reply) origin() string { return r.header.Get("Origin") }

// line returns the value of a header as the application saw it.
func (r reply) line(name string) string {
	for line := range strings.Lines(r.body) {
		if key, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ": "); ok && strings.EqualFold(key, name) {
			return value
		}
	}
	return ""
}

// target is the request-target as the application saw it.
func (r reply) target() string {
	first, _, _ := strings.Cut(r.body, "\n")
	_, target, _ := strings.Cut(first, " ")
	return target
}

// send writes raw bytes on a connection of its own and reads one answer.
func send(t *testing.T, address, raw string) reply {
	t.Helper()
	conn := dial(t, address)
	defer conn.Close()
	r, err := ask(conn, bufio.NewReader(conn), raw)
	if err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	return r
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// ask sends a raw request on conn and reads the answer.
func ask(conn net.Conn, from *bufio.Reader, raw string) (reply, error) {
	if _, err := io.WriteString(conn, raw); err != nil {
		return reply{}, err
	}
	method, _, _ := strings.Cut(raw, " ")
	response, err := http.ReadResponse(from, &http.Request{Method: method})
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return reply{status: response.StatusCode, header: response.Header, body: string(body), closed: response.Close}, err
}

// get asks for a path of a host on a connection of its own.
func (b *bench) get(t *testing.T, host, path string, headers ...string) reply {
	t.Helper()
	return send(t, b.address(), getRequest(host, path, append(headers, "Connection: close")...))
}

func getRequest(host, path string, headers ...string) string {
	lines := append([]string{fmt.Sprintf("GET %s HTTP/1.1", path), "Host: " + host}, headers...)
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

package enginetest

import (
	"bufio"
	"io"
	"strings"
	"testing"
)

func testForwardedHeaders(t *testing.T, b *bench) {
	b.route("a.org", "/", startOrigin(t, "a"))
	b.apply(t)
	got := b.get(t, "A.org:8080", "/x", "X-Forwarded-For: 6.6.6.6", "X-Real-IP: 6.6.6.6", "X-Forwarded-Proto: https",
		"X-Forwarded-Host: evil.org", "X_Forwarded_For: 6.6.6.6", "X-Request-Id: mine", "Cookie: a=b")
	for name, want := range map[string]string{
		"Host": "A.org:8080", "X-Forwarded-For": "127.0.0.1", "X-Real-Ip": "127.0.0.1", "X-Forwarded-Proto": "http",
		"X-Forwarded-Host": "A.org:8080", "X_Forwarded_For": "", "Cookie": "a=b",
	} {
		if seen := got.line(name); seen != want {
			t.Errorf("the application saw %s: %q, want %q", name, seen, want)
		}
	}
	id := got.header.Values("X-Request-Id")
	if len(id) != 1 || len(id[0]) < 16 || id[0] != got.line("X-Request-Id") {
		t.Errorf("x-request-id: client saw %q, application %q", id, got.line("X-Request-Id"))
	}
	if again := b.get(t, "a.org", "/", "Connection: X-Real-IP, X-Forwarded-For"); again.line("X-Real-Ip") != "127.0.0.1" {
		t.Errorf("a Connection header removed X-Real-IP:\n%s", again.body)
	}
	if refused := b.get(t, "unknown.org", "/"); refused.status != 503 || refused.header.Get("X-Request-Id") == "" || !strings.Contains(refused.body, "<") {
		t.Errorf("unknown host: %d %v %q", refused.status, refused.header, refused.body)
	}
}

func testProxyProtocol(t *testing.T, b *bench) {
	b.route("a.org", "/", startOrigin(t, "a"))
	b.table.Base.ProxyProtocol, b.table.Base.TrustedProxies = true, []string{"127.0.0.0/8"}
	b.apply(t)
	request := getRequest("a.org", "/", "Connection: close")
	got := send(t, b.address(), "PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\n"+request)
	if got.line("X-Real-Ip") != "192.0.2.7" || got.line("X-Forwarded-For") != "192.0.2.7" {
		t.Errorf("version 1: the application saw\n%s", got.body)
	}
	v2 := "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + "\xc0\x00\x02\x08" + "\xc0\x00\x02\x01" + "\x12\x34\x00\x50"
	if got := send(t, b.address(), v2+request); got.line("X-Real-Ip") != "192.0.2.8" {
		t.Errorf("version 2: the application saw\n%s", got.body)
	}
	conn := dial(t, b.address())
	defer conn.Close()
	if got, err := ask(conn, bufio.NewReader(conn), request); err == nil && got.origin() != "" {
		t.Error("a trusted proxy without a header was served")
	}
	b.table.Base.TrustedProxies = []string{"192.0.2.0/24"}
	b.apply(t)
	if got := send(t, b.address(), request); got.line("X-Real-Ip") != "127.0.0.1" {
		t.Errorf("untrusted: the application saw\n%s", got.body)
	}
	if got := send(t, b.address(), "PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\n"+request); got.status != 400 {
		t.Errorf("an untrusted client's PROXY header: %d", got.status)
	}
}

func testWebsocket(t *testing.T, b *bench) {
	b.route("ws.org", "/chat", startEcho(t))
	b.apply(t)
	conn, from := b.upgrade(t)
	b.apply(t) // the connection outlives a change
	for _, line := range []string{"hello\n", "again\n"} {
		_, _ = io.WriteString(conn, line)
		if echoed, err := from.ReadString('\n'); echoed != line {
			t.Fatalf("echo %q, %v, want %q", echoed, err, line)
		}
	}
}

package embedded_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"interlock/routing"
)

// TestNoTunnelPastTheRules: a service that would speak HTTP/2 in clear text on
// the same connection is not asked to, for no rule would see its requests.
func TestNoTunnelPastTheRules(t *testing.T) {
	address, _ := startWith(t, routing.Base{}, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			hello(w, r)
			return
		}
		c, out, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		fmt.Fprintf(out, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", r.Header.Get("Upgrade"))
		_ = out.Flush()
	})
	for upgrade, want := range map[string]int{"h2c": 200, "H2C": 200, "websocket, h2c": 200, "websocket": 101} {
		c := dial(t, address)
		_ = c.SetDeadline(time.Now().Add(patience))
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: a.org\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: %s\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", upgrade)
		res, err := http.ReadResponse(c.from, nil)
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != want {
			t.Errorf("%s: %d, want %d", upgrade, res.StatusCode, want)
		}
	}
}

// TestForwardedHeadersAreOurs: no header of that family is the client's.
func TestForwardedHeadersAreOurs(t *testing.T) {
	address, _ := startWith(t, routing.Base{}, func(w http.ResponseWriter, r *http.Request) {
		for name := range r.Header {
			fmt.Fprintln(w, name, r.Header.Get(name))
		}
	})
	c := dial(t, address)
	_ = c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a.org\r\nConnection: close, X-Forwarded-For\r\nForwarded: for=6.6.6.6\r\n"+
		"X-Forwarded-Prefix: /6.6.6.6\r\nX-Forwarded-Port: 6.6.6.6\r\nX-Forwarded-Ssl: 6.6.6.6\r\nX_Real_Ip: 6.6.6.6\r\n\r\n")
	res, err := http.ReadResponse(c.from, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil || strings.Contains(string(body), "6.6.6.6") || !strings.Contains(string(body), "X-Forwarded-For 127.0.0.1") {
		t.Errorf("%v, the service got:\n%s", err, body)
	}
}

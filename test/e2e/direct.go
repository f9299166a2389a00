package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// answers asks an environment's proxies and its balancer, each of them several
// times on new connections, and wants 200 each time. The balancer finds its
// proxies later than we do.
func (l *Lab) answers(ctx context.Context, e Env, host, path string) error {
	for _, n := range e.Proxies {
		at := netip.AddrPortFrom(l.Swarm.Nodes[n].Addr(), e.Public)
		if err := l.wantOK(ctx, at, l.viaBalancer, host, path); err != nil {
			return fmt.Errorf("the proxy on %s: %w", l.Swarm.Nodes[n].Name(), err)
		}
	}
	if err := l.wantOK(ctx, l.balancer(e), plain, host, path); err != nil {
		return fmt.Errorf("the balancer of %s: %w", e.Name, err)
	}
	return nil
}

func (l *Lab) wantOK(ctx context.Context, at netip.AddrPort, begin func(net.Conn) error, host, path string) error {
	for range 2 {
		status, body, err := l.ask(ctx, at, begin, host, path)
		if err != nil {
			return err
		}
		if status != http.StatusOK {
			return fmt.Errorf("http://%s%s is answered with %d %s", host, path, status, body)
		}
	}
	return nil
}

// viaBalancer says what a load balancer says first: the client's address.
func (l *Lab) viaBalancer(c net.Conn) error {
	us, err := netip.ParseAddrPort(c.LocalAddr().String())
	if err != nil {
		return err
	}
	them, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c, "PROXY TCP4 %s %s %d %d\r\n", us.Addr(), them.Addr(), us.Port(), them.Port())
	return err
}

// plain begins a connection with nothing.
func plain(net.Conn) error { return nil }

// ask makes one request on a new connection, after begin.
func (l *Lab) ask(ctx context.Context, at netip.AddrPort, begin func(net.Conn) error, host, path string) (int, string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", at.String())
		if err != nil {
			return nil, err
		}
		return c, begin(c)
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: dial}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+path, nil)
	if err != nil {
		return 0, "", err
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<16))
	return res.StatusCode, string(body), err
}

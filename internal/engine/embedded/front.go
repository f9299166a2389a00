package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pires/go-proxyproto"

	"interlock/routing"
)

// maxHeadBytes bounds a request's head, as HAProxy's buffer does.
const maxHeadBytes = 16 << 10

// settings are what a front can't change while it serves. They are comparable.
type settings struct {
	connections int
	// trusted are the CIDRs, joined by blanks, that must send a PROXY header.
	trusted         string
	client, idle    time.Duration
	grace, headTime time.Duration
}

var probeSettings = settings{connections: 256, client: 5 * time.Second, idle: 5 * time.Second, grace: time.Second, headTime: 5 * time.Second}

func settingsOf(b routing.Base) (settings, error) {
	s := settings{
		connections: b.MaxConnections,
		client:      milliseconds(b.ClientTimeout, time.Minute),
		idle:        milliseconds(b.KeepaliveTimeout, 3*time.Second),
		grace:       milliseconds(b.GraceTimeout, 30*time.Second),
	}
	s.headTime = min(s.client, 10*time.Second)
	if !b.ProxyProtocol {
		return s, nil
	}
	s.trusted = strings.Join(b.TrustedProxies, " ")
	_, err := prefixes(s.trusted)
	return s, err
}

func prefixes(list string) (out []netip.Prefix, err error) {
	for _, cidr := range strings.Fields(list) {
		p, err := netip.ParsePrefix(cidr)
		if err != nil {
			return nil, fmt.Errorf("trusted proxy: %w", err)
		}
		out = append(out, p)
	}
	return out, nil
}

// front is an http.Server that is fed connections.
type front struct {
	settings settings
	trusted  []netip.Prefix
	server   *http.Server
	conns    chan net.Conn
	done     chan struct{}
	closing  sync.Once
	// retired makes each connection close after its next answer.
	retired atomic.Bool
}

// newFront starts a front that serves with handler until it is closed.
func newFront(s settings, handler func(*front) http.Handler, log *slog.Logger) *front {
	f := &front{settings: s, conns: make(chan net.Conn), done: make(chan struct{})}
	f.trusted, _ = prefixes(s.trusted) // settingsOf has seen it
	f.server = &http.Server{
		Handler:                      handler(f),
		ReadHeaderTimeout:            s.headTime,
		IdleTimeout:                  s.idle,
		MaxHeaderBytes:               maxHeadBytes,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ConnContext:                  withClient,
	}
	go func() { _ = f.server.Serve(f) }()
	return f
}

// take serves one connection; left is called once when it is closed.
func (f *front) take(conn net.Conn, left func()) {
	c := &client{Conn: conn, left: left, timeout: f.settings.client}
	if f.trusts(conn.RemoteAddr()) {
		c.Conn = proxyproto.NewConn(conn, proxyproto.WithPolicy(proxyproto.REQUIRE),
			proxyproto.SetReadHeaderTimeout(f.settings.headTime))
	}
	select {
	case f.conns <- c:
	case <-f.done:
		_ = c.Close()
	}
}

func (f *front) trusts(addr net.Addr) bool {
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return false
	}
	for _, p := range f.trusted {
		if p.Contains(ap.Addr().Unmap()) {
			return true
		}
	}
	return false
}

// Accept, Close and Addr make a front the net.Listener of its own server.
func (f *front) Accept() (net.Conn, error) {
	select {
	case c := <-f.conns:
		return c, nil
	case <-f.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (f *front) Close() error {
	f.closing.Do(func() { close(f.done) })
	return nil
}

// Addr is required of a net.Listener; the server makes no use of it.
func (f *front) Addr() net.Addr { return &net.TCPAddr{} }

// close cuts what is left.
func (f *front) close() { _ = f.server.Close() }

type clientKey struct{}

func withClient(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, clientKey{}, conn)
}

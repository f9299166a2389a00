package embedded

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"interlock/internal/engine"
	"interlock/routing"
)

// exchange is one request on its way.
type exchange struct {
	state   *state
	pool    *pool
	answer  routing.Decision
	client  string // address without port
	host    string // as sent
	id      string
	header  http.Header // of the answer
	sticky  sticky
	chosen  member // the endpoint that is being tried or answered
	started time.Time
}

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange { return ctx.Value(exchangeKey{}).(*exchange) }

// publicFront serves what clients ask for.
func (e *Engine) publicFront(s settings) *front {
	return newFront(s, func(f *front) http.Handler {
		proxy := e.newReverseProxy()
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { e.handle(f, proxy, w, r) })
	}, e.options.Log)
}

func (e *Engine) handle(f *front, proxy http.Handler, w http.ResponseWriter, r *http.Request) {
	x := &exchange{state: e.state.Load(), id: newID(), header: w.Header(), started: time.Now()}
	x.client, _, _ = net.SplitHostPort(r.RemoteAddr)
	w.Header().Set("X-Request-Id", x.id)
	x.resolve(r)
	if closes := f.retired.Load() || e.draining() || r.RequestURI[0] != '/'; closes && r.Header.Get("Upgrade") == "" {
		w.Header().Set("Connection", "close")
	}
	if x.answer.Route != nil {
		x.pool = x.state.pools[x.answer.Route]
	}
	if x.pool != nil && !x.pool.allows(x.client) {
		writePage(w, http.StatusForbidden, "This service is not open to your address.")
		return
	}
	switch x.answer.Status {
	case routing.Forward:
		e.forward(f, proxy, w, r, x)
	case routing.Moved:
		w.Header().Set("Location", x.answer.Location)
		w.WriteHeader(routing.Moved)
	case routing.BadRequest:
		w.Header().Set("Connection", "close")
		writePage(w, routing.BadRequest, "The request is not in the form that this router accepts: "+x.answer.Reason+".")
	default:
		writePage(w, x.answer.Status, "No service is registered here for this request: "+x.answer.Reason+".")
	}
}

func (x *exchange) resolve(r *http.Request) {
	hosts, ok := hostsOf(r)
	if !ok {
		x.answer = routing.Decision{Status: routing.BadRequest, Reason: "absolute target on a connection in use"}
		return
	}
	if len(hosts) == 1 {
		x.host = hosts[0]
	}
	x.answer = x.state.resolver.Resolve(routing.Request{Method: r.Method, Target: r.RequestURI, Proto: r.Proto, Hosts: hosts})
}

// forward sends the request to the route's pool if it has not used its share.
func (e *Engine) forward(f *front, proxy http.Handler, w http.ResponseWriter, r *http.Request, x *exchange) {
	if !x.pool.enter() {
		// Kept alive, refused connections would fill the proxy all the same [E30].
		w.Header().Set("Connection", "close")
		writePage(w, routing.NotAvailable, "This service has all the connections that it may have.")
		return
	}
	defer x.pool.leave()
	defer x.release()
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &patientBody{body: r.Body, control: http.NewResponseController(w), timeout: f.settings.client}
	}
	proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x)))
}

// patientBody gives each read of a request's body its own deadline, so that a
// long upload may take its time and a stalled one may not.
type patientBody struct {
	body    io.ReadCloser
	control *http.ResponseController
	timeout time.Duration
}

func (b *patientBody) Read(p []byte) (int, error) {
	_ = b.control.SetReadDeadline(time.Now().Add(b.timeout))
	n, err := b.body.Read(p)
	if errors.Is(err, io.EOF) {
		// From here on the server reads to notice that the client leaves.
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

func (b *patientBody) Close() error { return b.body.Close() }

// newID is a fresh request id: clients are not trusted with it.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// probeFront answers the front load balancer on the health port.
func (e *Engine) probeFront(s settings) *front {
	return newFront(s, func(*front) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			h := e.health.Load().(engine.Health)
			w.Header().Set("Connection", "close")
			w.Header().Set("Content-Type", "text/plain")
			if h != engine.Ready {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			_, _ = io.WriteString(w, string(h)+"\n")
		})
	}, e.options.Log)
}

// writePage answers with a page of our own. It says nothing that the client
// sent: message is made of fixed words.
func writePage(w http.ResponseWriter, status int, message string) {
	title := http.StatusText(status)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, strings.NewReplacer("TITLE", title, "MESSAGE", message).Replace(page))
}

const page = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>TITLE</title></head>
<body><h1>TITLE</h1><p>MESSAGE</p></body></html>
`

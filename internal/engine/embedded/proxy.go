package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	"interlock/routing"
)

// retries is how many further endpoints a request may try (as HAProxy's).
const retries = 3

var errNoEndpoint = errors.New("no endpoint is up")

// upstreamSettings are what all endpoints of a pool have in common.
type upstreamSettings struct {
	connect, response time.Duration
	h2                bool
}

func upstreamSettingsOf(b routing.Base, o routing.Backend) upstreamSettings {
	return upstreamSettings{
		connect:  milliseconds(o.ConnectTimeout, milliseconds(b.ConnectTimeout, time.Second)),
		response: milliseconds(o.ResponseTimeout, milliseconds(b.ServerTimeout, time.Minute)),
	}
}

// upstream holds the connections to endpoints.
type upstream struct {
	// kept re-uses connections; once does not. A re-used connection may be
	// closed by the other end while a request is on its way: only what may be
	// sent twice goes there.
	kept, once *http.Transport
}

func newUpstream(s upstreamSettings) *upstream {
	u := &upstream{kept: &http.Transport{
		DialContext:            (&net.Dialer{Timeout: s.connect}).DialContext,
		ResponseHeaderTimeout:  s.response,
		DisableCompression:     true,
		MaxIdleConns:           1024,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        2 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		Protocols:              protocols(s.h2),
	}}
	u.once = u.kept.Clone()
	u.once.DisableKeepAlives = true
	return u
}

// protocols are those of an endpoint: nothing is negotiated.
func protocols(h2 bool) *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(!h2)
	p.SetUnencryptedHTTP2(h2)
	return p
}

// retire lets requests under way finish and closes idle connections.
func (u *upstream) retire() { u.kept.CloseIdleConnections() }

func (u *upstream) transport(r *http.Request) *http.Transport {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		if r.Body == nil || r.Body == http.NoBody {
			return u.kept
		}
	}
	return u.once
}

func (e *Engine) newReverseProxy() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite:        rewrite,
		Transport:      roundTripper{},
		ModifyResponse: e.modifyResponse,
		ErrorHandler:   e.explainFailure,
		BufferPool:     &bufferPool{sync.Pool{New: func() any { return make([]byte, 32<<10) }}},
		ErrorLog:       slog.NewLogLogger(e.options.Log.Handler(), slog.LevelDebug),
	}
}

// rewrite makes the request that goes out: the target that was matched, byte
// for byte, Host as sent, and forwarding headers that only we write.
func rewrite(p *httputil.ProxyRequest) {
	x := exchangeOf(p.In.Context())
	p.Out.URL = outURL(x.answer)
	p.Out.Host = x.host
	h := p.Out.Header
	if name := x.pool.options.StickyCookie; name != "" {
		x.sticky = unmark(h, name)
	}
	for name := range h {
		if !isPlainName(name) || strings.HasPrefix(name, "X-Forwarded-") {
			delete(h, name)
		}
	}
	if strings.Contains(strings.ToLower(h.Get("Upgrade")), "h2c") {
		// It would open a tunnel past all rules.
		h.Del("Upgrade")
		h.Del("Connection")
	}
	h.Set("X-Real-Ip", x.client)
	h.Set("X-Forwarded-For", x.client)
	h.Set("X-Forwarded-Proto", "http")
	h.Set("X-Forwarded-Host", x.host)
	h.Set("X-Request-Id", x.id)
	setHeaders(h, x.pool.options.RequestHeaders)
}

func setHeaders(h http.Header, list []routing.Header) {
	for _, own := range list {
		h.Set(own.Name, own.Value)
	}
}

// isPlainName says whether a header's name is of letters, digits and "-". Many
// applications read "X_Real_Ip" as X-Real-Ip.
func isPlainName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-') {
			return false
		}
	}
	return true
}

// outURL makes net/http write path and query as they stand. Host is filled in
// for each endpoint that is tried.
func outURL(d routing.Decision) *url.URL {
	u := &url.URL{Scheme: "http", Opaque: d.Path}
	if query, ok := strings.CutPrefix(d.Query, "?"); ok {
		u.RawQuery, u.ForceQuery = query, true
	}
	if strings.HasPrefix(d.Path, "//") {
		// Opaque would be taken for an authority; such a path is relaxed.
		u.Opaque = ""
		u.Path, _ = url.PathUnescape(d.Path)
		u.RawPath = d.Path
	}
	return u
}

// roundTripper sends a request to an endpoint of its pool, and to another one
// when no connection could be made: then nothing was sent, and any method may
// be tried again.
type roundTripper struct{}

func (roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	x := exchangeOf(r.Context())
	var tried []*target
	var failure error
	full := time.NewTimer(x.pool.patience)
	defer full.Stop()
	for range retries + 1 {
		if err := x.take(r.Context(), tried, full.C); err != nil {
			return nil, cmp.Or(failure, err)
		}
		m := x.chosen
		response, err := m.upstream.transport(r).RoundTrip(addressed(r, m))
		if err == nil {
			return response, nil
		}
		if r.Context().Err() != nil {
			return nil, err
		}
		m.failed(time.Now())
		if !isConnectFailure(err) {
			return nil, err
		}
		failure = err
		tried = append(tried, m.target)
	}
	return nil, failure
}

// addressed is r for one endpoint. A transport closes the body of a request
// that it could not send; the body must live for the next.
func addressed(r *http.Request, m member) *http.Request {
	u := *r.URL
	u.Host = m.target.address
	out := *r
	out.URL = &u
	if r.Body != nil && r.Body != http.NoBody {
		out.Body = io.NopCloser(r.Body)
	}
	return &out
}

func isConnectFailure(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

func (e *Engine) modifyResponse(r *http.Response) error {
	x := exchangeOf(r.Request.Context())
	r.Header.Del("X-Request-Id")
	setHeaders(r.Header, x.pool.options.ResponseHeaders)
	if _, ok := r.Header["Content-Type"]; !ok {
		x.header["Content-Type"] = nil // no guessing
	}
	limitTunnel(r, x.pool.options)
	if name := x.pool.options.StickyCookie; name != "" {
		mark(r.Header, name, x.chosen.mark, x.sticky)
	}
	if x.state.base.InfoHeaders {
		r.Header.Set("X-Proxy-Id", e.options.ProxyID)
		r.Header.Set("X-Server-Info", "interlock")
		r.Header.Set("X-Upstream-Addr", x.chosen.target.address)
		r.Header.Set("X-Upstream-Response-Time", fmt.Sprintf("%.3f", time.Since(x.started).Seconds()))
	}
	return nil
}

// explainFailure answers for an endpoint that did not.
func (e *Engine) explainFailure(w http.ResponseWriter, r *http.Request, err error) {
	x := exchangeOf(r.Context())
	var timeout net.Error
	switch {
	case errors.Is(err, context.Canceled):
		panic(http.ErrAbortHandler) // the client has left
	case errors.Is(err, errFull):
		writePage(w, http.StatusServiceUnavailable, "This service has all the requests that it may have.")
	case errors.Is(err, errNoEndpoint), isConnectFailure(err):
		writePage(w, http.StatusServiceUnavailable, "No instance of this service can be reached.")
	case errors.As(err, &timeout) && timeout.Timeout():
		writePage(w, http.StatusGatewayTimeout, "The service did not answer in time.")
	default:
		writePage(w, http.StatusBadGateway, "The service's answer was not complete or not HTTP.")
	}
	e.options.Log.Debug("request failed", "id", x.id, "host", x.answer.Host, "error", err)
}

type bufferPool struct{ pool sync.Pool }

func (b *bufferPool) Get() []byte { return b.pool.Get().([]byte) }

//lint:ignore SA6002 one small allocation per answer, as in the standard library
func (b *bufferPool) Put(p []byte) { b.pool.Put(p) }

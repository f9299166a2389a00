package embedded

import (
	"io"
	"net/http"
	"time"

	"interlock/routing"
)

// tunnelTimeout is for upgraded connections without traffic (as HAProxy's).
const tunnelTimeout = time.Hour

// tunnel is an upgraded connection to an endpoint. It is closed when nothing
// was read or written for idle.
type tunnel struct {
	io.ReadWriteCloser
	idle  time.Duration
	timer *time.Timer
}

// limitTunnel makes a tunnel of the body of an answer that switches protocols.
func limitTunnel(r *http.Response, o routing.Backend) {
	conn, ok := r.Body.(io.ReadWriteCloser)
	if !ok || r.StatusCode != http.StatusSwitchingProtocols {
		return
	}
	t := &tunnel{ReadWriteCloser: conn, idle: milliseconds(o.IdleTimeout, tunnelTimeout)}
	t.timer = time.AfterFunc(t.idle, func() { _ = conn.Close() })
	r.Body = t
}

func (t *tunnel) Read(p []byte) (int, error) {
	n, err := t.ReadWriteCloser.Read(p)
	t.moved(n)
	return n, err
}

func (t *tunnel) Write(p []byte) (int, error) {
	n, err := t.ReadWriteCloser.Write(p)
	t.moved(n)
	return n, err
}

func (t *tunnel) moved(n int) {
	if n > 0 {
		t.timer.Reset(t.idle)
	}
}

func (t *tunnel) Close() error {
	t.timer.Stop()
	return t.ReadWriteCloser.Close()
}

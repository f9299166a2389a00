package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// socket keeps one websocket open and sends a message at the target's rate,
// each of which must come back. A socket that was closed between messages is
// opened anew, and counted as reopened: a proxy that ends may close it. A
// message without its echo is a failure.
func (g *Generator) socket(ctx context.Context, t Target) {
	tick := time.NewTicker(time.Second / time.Duration(max(1, t.Rate)))
	defer tick.Stop()
	var s *echoes
	defer func() { s.close() }()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		step := g.Record.step()
		if s.closed() {
			if s != nil {
				g.Record.reopened(step, t.Env)
			}
			var res Result
			s, res = g.open(t)
			g.Record.add(step, res)
			if s == nil {
				continue
			}
		}
		g.Record.add(step, s.echo(t, fmt.Sprintf("message %d", n), g.Timeout))
	}
}

// echoes is an open websocket whose reader notices a close at once.
type echoes struct {
	conn  *websocket.Conn
	local netip.AddrPort
	got   chan string   // one message at a time
	ended chan struct{} // closed when reading ended
	err   error         // why; valid after ended
}

func (g *Generator) open(t Target) (*echoes, Result) {
	res := Result{Env: t.Env, Target: t.Name, Kind: "websocket open", Began: time.Now()}
	ctx, cancel := context.WithTimeout(context.Background(), g.Timeout)
	defer cancel()
	s := &echoes{got: make(chan string, 1), ended: make(chan struct{})}
	dialed := false
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", t.Via.String())
		if err == nil {
			dialed, s.local = true, local(c)
		}
		return c, err
	}}
	conn, answer, err := websocket.Dial(ctx, "ws://"+t.Host+t.Path, &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
	res.Took, res.Local = time.Since(res.Began), s.local
	if err != nil {
		res.Class, res.Code = openClass(err, dialed, answer)
		res.Err = err
		return nil, res
	}
	s.conn = conn
	go s.read()
	res.Class = OK
	return s, res
}

func openClass(err error, dialed bool, answer *http.Response) (Class, int) {
	switch {
	case answer != nil:
		return Status, answer.StatusCode
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout, 0
	case !dialed:
		return Dial, 0
	default:
		return classify(err), 0
	}
}

func (s *echoes) read() {
	defer close(s.ended)
	for {
		_, data, err := s.conn.Read(context.Background())
		if err != nil {
			s.err = err
			return
		}
		s.got <- string(data)
	}
}

// echo sends one message and waits for it to come back.
func (s *echoes) echo(t Target, message string, timeout time.Duration) Result {
	res := Result{Env: t.Env, Target: t.Name, Kind: "websocket", Began: time.Now(), Local: s.local}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if err := s.conn.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
		res.Class, res.Err = Reset, err
		s.close()
		return res
	}
	select {
	case got := <-s.got:
		res.Class = OK
		if !strings.EqualFold(got, message) {
			res.Class, res.Err = Wrong, fmt.Errorf("%q came back for %q", clip([]byte(got)), message)
		}
	case <-s.ended:
		res.Class, res.Err = EOF, s.err
	case <-ctx.Done():
		res.Class, res.Err = Timeout, ctx.Err()
		s.close()
	}
	res.Took = time.Since(res.Began)
	return res
}

func (s *echoes) closed() bool {
	if s == nil {
		return true
	}
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// close ends the socket and its reader.
func (s *echoes) close() {
	if s == nil {
		return
	}
	s.conn.CloseNow()
	for {
		select {
		case <-s.got:
		case <-s.ended:
			return
		}
	}
}

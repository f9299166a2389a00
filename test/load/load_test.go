package load

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func target(t *testing.T, h http.HandlerFunc, adjust ...func(*http.Server)) Target {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	for _, f := range adjust {
		f(server.Config)
	}
	server.Start()
	t.Cleanup(server.Close)
	return Target{Env: "dev", Name: "web", Via: netip.MustParseAddrPort(server.Listener.Addr().String()),
		Host: "web.dev.example.com", Path: "/", Apps: []string{"web"}, Rate: 50}
}

func good(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"app":"web","env":"dev"}`) }

// until runs load until enough requests were sent.
func until(t *testing.T, g *Generator, sent int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for g.Record.Sent("dev", "one") < sent {
		select {
		case <-ctx.Done():
			t.Fatal("too few requests were sent")
		case <-tick.C:
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestAllKindsSucceed(t *testing.T) {
	var kinds [4]atomic.Int64
	tg := target(t, func(w http.ResponseWriter, r *http.Request) {
		n := 0
		if r.Method == http.MethodPost {
			n = 1
			if data, _ := io.ReadAll(r.Body); string(data) != body {
				http.Error(w, "the body is not whole", http.StatusBadRequest)
			}
		}
		if r.Close {
			n += 2
		}
		kinds[n].Add(1)
		good(w, r)
	})
	g := &Generator{Targets: []Target{tg}, Record: NewRecord("one")}
	until(t, g, 40)
	if g.Record.Failed() != 0 {
		t.Errorf("failures: %v", g.Record.Failures())
	}
	for n := range kinds {
		if kinds[n].Load() == 0 {
			t.Errorf("no request of kind %d arrived", n)
		}
	}
}

// A connection that the server closed while it was idle is noticed before it is
// used: nothing fails, though every kept connection is closed after one answer.
func TestNoticesClose(t *testing.T) {
	var closed atomic.Int64
	tg := target(t, good, func(s *http.Server) {
		s.IdleTimeout = time.Millisecond
		s.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				closed.Add(1)
			}
		}
	})
	tg.Rate = 5 // the close has long come when the next request is due
	g := &Generator{Targets: []Target{tg}, Record: NewRecord("one")}
	until(t, g, 20)
	if g.Record.Failed() != 0 || closed.Load() == 0 {
		t.Errorf("%d connections closed, failures: %v", closed.Load(), g.Record.Failures())
	}
}

// silent never answers; a client's leaving is seen only once its body is read.
func silent(_ http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// Every failure is counted once, in its class, and nothing is sent twice.
func TestCountsEveryFailure(t *testing.T) {
	cut := func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			c.Close()
		}
	}
	for name, tc := range map[string]struct {
		answer  http.HandlerFunc
		want    Class
		timeout time.Duration
	}{
		"closed without an answer": {cut, EOF, time.Minute},
		"error":                    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, Status, time.Minute},
		"another environment":      {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"app":"web","env":"prod"}`) }, Wrong, time.Minute},
		"another application":      {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"app":"x","env":"dev"}`) }, Wrong, time.Minute},
		"no answer":                {silent, Timeout, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			var arrived atomic.Int64
			tg := target(t, func(w http.ResponseWriter, r *http.Request) { arrived.Add(1); tc.answer(w, r) })
			g := &Generator{Targets: []Target{tg}, Record: NewRecord("one"), Timeout: tc.timeout}
			until(t, g, 8)
			for _, f := range g.Record.Failures() {
				// A close while the body is still being sent is a reset.
				if f.Class != tc.want && (tc.want != EOF || f.Class != Reset) {
					t.Errorf("want class %s: %v", tc.want, f)
				}
			}
			if sent := int64(g.Record.Sent("dev", "one")); arrived.Load() != sent || int64(g.Record.Failed()) != sent {
				t.Errorf("%d sent, %d arrived, %d failed", sent, arrived.Load(), g.Record.Failed())
			}
		})
	}
}

// echoing answers so many messages, then ends the websocket.
func echoing(messages int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for range messages {
			kind, data, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), kind, data) != nil {
				return
			}
		}
	}
}

func TestSocketEchoes(t *testing.T) {
	g := &Generator{Sockets: []Target{target(t, echoing(1<<30))}, Record: NewRecord("one")}
	until(t, g, 30)
	if g.Record.Failed() != 0 {
		t.Errorf("failures: %v", g.Record.Failures())
	}
}

// A websocket that the server ended is seen as closed without sending on it.
func TestSocketNoticesClose(t *testing.T) {
	tg := target(t, echoing(1))
	g := &Generator{Timeout: 10 * time.Second}
	s, res := g.open(tg)
	if res.Class != OK {
		t.Fatal(res)
	}
	defer s.close()
	if res := s.echo(tg, "hello", g.Timeout); res.Class != OK {
		t.Fatal(res)
	}
	select {
	case <-s.ended:
	case <-time.After(30 * time.Second):
	}
	if !s.closed() {
		t.Error("the close was not noticed")
	}
}

func TestTable(t *testing.T) {
	r := NewRecord("one")
	r.add("one", Result{Env: "dev", Class: OK, Took: 3 * time.Millisecond})
	r.add("one", Result{Env: "dev", Class: Reset})
	r.add("one", Result{Env: "dev", Class: EOF})
	r.Step("two")
	r.add("two", Result{Env: "prod", Class: OK})
	r.Explain(func(f Failure) string {
		if f.Class == EOF {
			return "in flight on a killed process"
		}
		return ""
	})
	var out bytes.Buffer
	if err := r.Table(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"one dev 3 1 (reset 1) 3ms in flight on a killed process 1", "two prod 1 0 0s"} {
		if !strings.Contains(strings.Join(strings.Fields(out.String()), " "), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	if r.Failed() != 1 || len(r.Failures()) != 1 {
		t.Errorf("%d failed", r.Failed())
	}
}

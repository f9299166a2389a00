package haproxy

import (
	"context"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"interlock/routing"
)

// relay stands between an Engine and the Runtime API of its worker: it hands
// commands on, notes them, and never answers those that have held in them.
type relay struct {
	to   string
	held string

	mu   sync.Mutex
	seen []string
}

// newRelay changes r's way to its worker.
func newRelay(t *testing.T, r *rig, held string) *relay {
	t.Helper()
	y := &relay{to: r.worker.socket, held: held}
	r.worker.socket = filepath.Join(r.run, "relay.sock")
	l, err := net.Listen("unix", r.worker.socket)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { defer conn.Close(); y.pass(conn) })
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return y
}

// pass gets a command as a whole: its client has finished sending.
func (y *relay) pass(conn net.Conn) {
	line, err := io.ReadAll(conn)
	if err != nil {
		return
	}
	y.mu.Lock()
	y.seen = append(y.seen, strings.Split(strings.TrimSpace(string(line)), ";")...)
	y.mu.Unlock()
	if y.held != "" && strings.Contains(string(line), y.held) {
		<-time.After(commandTimeout + time.Second)
		return
	}
	worker, err := net.Dial("unix", y.to)
	if err != nil {
		return
	}
	defer worker.Close()
	if _, err := worker.Write(line); err == nil && worker.(*net.UnixConn).CloseWrite() == nil {
		io.Copy(conn, worker)
	}
}

// order says when a command was seen first; -1: it was not.
func (y *relay) order(command string) int {
	y.mu.Lock()
	defer y.mu.Unlock()
	for i, s := range y.seen {
		if strings.HasPrefix(s, command) {
			return i
		}
	}
	return -1
}

func key(t *testing.T, r *rig, e routing.Endpoint) string {
	t.Helper()
	s, err := newServer("be_a", r.bundle("").Backends[0], e)
	if err != nil {
		t.Fatal(err)
	}
	return s.key()
}

func maintenance(t *testing.T, r *rig, e routing.Endpoint) string {
	return "set server " + key(t, r, e) + " state maint"
}

// TestRemovalComesFirst: what leaves is out of use before anything is added
// where another server serves, and after it where none does.
func TestRemovalComesFirst(t *testing.T) {
	ctx := context.Background()
	for name, c := range map[string]struct {
		down  bool // the server that stays
		first bool
	}{
		"the one that stays serves":  {false, true},
		"the one that stays is down": {true, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			one, two, three := origin(t, "one"), origin(t, "two"), origin(t, "three")
			b := r.bundle("")
			b.Backends[0].Server = "check inter 1h"
			r.apply(b, "1-1", endpoints(one, two))
			if c.down {
				if err := r.worker.expect(ctx, "", "set", "server", key(t, r, two), "health", "down"); err != nil {
					t.Fatal(err)
				}
			}
			y := newRelay(t, r, "")
			if err := r.SetEndpoints(ctx, endpoints(two, three)); err != nil {
				t.Fatal(err)
			}
			out, in := y.order(maintenance(t, r, one)), y.order("add server")
			if out < 0 || in < 0 || (out < in) != c.first {
				t.Errorf("out of use as command %d, added as command %d", out, in)
			}
		})
	}
	t.Run("none stays", func(t *testing.T) {
		r := newRig(t)
		one, two := origin(t, "one"), origin(t, "two")
		r.apply(r.bundle(""), "1-1", endpoints(one))
		y := newRelay(t, r, "")
		if err := r.SetEndpoints(ctx, endpoints(two)); err != nil {
			t.Fatal(err)
		}
		if out, in := y.order(maintenance(t, r, one)), y.order("add server"); in < 0 || out < in {
			t.Errorf("out of use as command %d, added as command %d", out, in)
		}
	})
}

// TestAdditionThatHangsDelaysNoRemoval: while the worker does not answer to an
// addition, what leaves is not used any more; the reload brings the rest.
func TestAdditionThatHangsDelaysNoRemoval(t *testing.T) {
	r := newRig(t)
	one, two, three := origin(t, "one"), origin(t, "two"), origin(t, "three")
	r.apply(r.bundle(""), "1-1", endpoints(one, two))
	y := newRelay(t, r, "add server")
	done := make(chan error, 1)
	go func() { done <- r.SetEndpoints(context.Background(), endpoints(two, three)) }()
	await(t, "an addition", func() bool { return y.order("add server") >= 0 })
	for range 10 {
		if _, body := r.get("a.test"); body == "one" {
			t.Error("one was used while an addition hangs")
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 10 {
		_, body := r.get("a.test")
		seen[body] = true
	}
	if len(seen) != 2 || !seen["two"] || !seen["three"] {
		t.Errorf("answered by %v after the reload", seen)
	}
}

// TestFailedAdditionDelaysNoRemoval: the last server of a section leaves even
// where the one that comes can't be added by command.
func TestFailedAdditionDelaysNoRemoval(t *testing.T) {
	r := newRig(t)
	one, two := origin(t, "one"), origin(t, "two")
	b := r.bundle("")
	b.Backends[0].Server = "init-addr none" // not for servers added at run time
	r.apply(b, "1-1", endpoints(one))
	y := newRelay(t, r, "")
	if err := r.SetEndpoints(context.Background(), endpoints(two)); err != nil {
		t.Fatal(err)
	}
	if y.order(maintenance(t, r, one)) < 0 {
		t.Error("one stayed in use until the reload")
	}
	if _, body := r.get("a.test"); body != "two" {
		t.Errorf("answered by %q", body)
	}
}

package embedded

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// door is one listening port. Its listener stays open as long as any table
// wants the port; the front behind it is replaced when its settings change.
type door struct {
	port  int
	ln    net.Listener
	gate  *gate
	front atomic.Pointer[front]
	once  sync.Once
}

func newDoor(port int, ln net.Listener) *door {
	return &door{port: port, ln: ln, gate: newGate()}
}

func (d *door) on(port int) bool { return d != nil && d.port == port }

// serve sends connections from now on to a front with these settings. An
// earlier front with others keeps its connections, closes each after its next
// answer, and ends after its grace time.
func (d *door) serve(s settings, make func(settings) *front) {
	old := d.front.Load()
	d.gate.resize(s.connections)
	if old != nil && old.settings == s {
		return
	}
	d.front.Store(make(s))
	if old != nil {
		old.retired.Store(true)
		time.AfterFunc(old.settings.grace, old.close)
	}
	d.once.Do(func() { go d.accept() })
}

// accept hands connections to the present front. While the gate is full they
// wait in the kernel's backlog.
func (d *door) accept() {
	for d.gate.enter() {
		conn, err := d.ln.Accept()
		if err == nil {
			d.front.Load().take(conn, d.gate.leave)
			continue
		}
		d.gate.leave()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		// Out of descriptors, most likely: a pause lets others end.
		pause := time.NewTimer(50 * time.Millisecond)
		<-pause.C
	}
}

// shut stops listening and waits up to grace for requests under way.
func (d *door) shut(grace time.Duration) {
	_ = d.ln.Close()
	d.gate.close()
	f := d.front.Load()
	if f == nil {
		return
	}
	f.retired.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	_ = f.server.Shutdown(ctx)
	f.close()
}

// gate bounds connections.
type gate struct {
	mu     sync.Mutex
	freed  *sync.Cond
	in     int
	max    int // 0 for no bound
	closed bool
}

func newGate() *gate {
	g := &gate{}
	g.freed = sync.NewCond(&g.mu)
	return g
}

// enter waits for a place; false when the gate is closed.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for !g.closed && g.max > 0 && g.in >= g.max {
		g.freed.Wait()
	}
	g.in++
	return !g.closed
}

func (g *gate) leave() {
	g.mu.Lock()
	g.in--
	g.mu.Unlock()
	g.freed.Signal()
}

func (g *gate) resize(n int) {
	g.mu.Lock()
	g.max = n
	g.mu.Unlock()
	g.freed.Broadcast()
}

func (g *gate) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.freed.Broadcast()
}

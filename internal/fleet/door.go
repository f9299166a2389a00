package fleet

import (
	"log/slog"
	"net"
	"net/netip"
	"sync"
)

// Bounds of connections, before anything is known of who is there. An agent
// needs one; those of a proxy that lost its network stay until they are silent
// for too long.
const (
	maxConnections = 2048
	maxFromAddress = 32
)

// door is a listener that lets no address in too often, so that one proxy that
// was broken into can't keep the others out. What is too much is closed at once:
// a queue would be everybody's.
type door struct {
	net.Listener
	log *slog.Logger

	mu    sync.Mutex
	total int
	from  map[netip.Addr]*visitor
}

// visitor is an address with connections; told: that there were too many.
type visitor struct {
	open int
	told bool
}

func newDoor(l net.Listener, log *slog.Logger) *door {
	return &door{Listener: l, log: log, from: map[netip.Addr]*visitor{}}
}

// Accept waits for a connection that is not too much.
func (d *door) Accept() (net.Conn, error) {
	for {
		conn, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		host := hostOf(conn.RemoteAddr())
		if d.enter(host) {
			return &guest{Conn: conn, leave: sync.OnceFunc(func() { d.leave(host) })}, nil
		}
		conn.Close()
	}
}

func (d *door) enter(host netip.Addr) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	v := d.from[host]
	if v != nil && v.open >= maxFromAddress || d.total >= maxConnections {
		if v != nil && !v.told {
			v.told = true
			d.log.Warn("an address has too many connections, more are closed", "address", host.String(), "open", v.open, "all", d.total)
		}
		return false
	}
	if v == nil {
		v = &visitor{}
		d.from[host] = v
	}
	v.open++
	d.total++
	return true
}

func (d *door) leave(host netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.total--
	v := d.from[host]
	if v.open--; v.open == 0 {
		delete(d.from, host)
	}
}

// guest is a connection that says when it is closed.
type guest struct {
	net.Conn
	leave func()
}

func (g *guest) Close() error {
	defer g.leave()
	return g.Conn.Close()
}

// hostOf is the address without port, the zero Addr when it has none.
func hostOf(a net.Addr) netip.Addr {
	p, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr().Unmap()
}

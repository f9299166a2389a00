package agent

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"
)

// firstBackoff is the wait after a session's first failure; it doubles.
const firstBackoff = 200 * time.Millisecond

// dialer keeps a session with every address of core.
type dialer struct {
	*Agent
	port string

	mu   sync.Mutex
	want map[string]bool // addresses in the latest answer
	held map[string]bool // addresses with a goroutine
	wg   sync.WaitGroup
}

// dialAll looks core's name up again and again, and keeps sessions with what is
// found. A failed look-up changes nothing: sessions live as long as they work.
func (a *Agent) dialAll(ctx context.Context) error {
	host, port, err := net.SplitHostPort(a.Core)
	if err != nil {
		return fmt.Errorf("core's address: %w", err)
	}
	d := &dialer{Agent: a, port: port, want: map[string]bool{}, held: map[string]bool{}}
	defer d.wg.Wait()
	for {
		if addresses, err := d.resolve(ctx, host); err != nil {
			a.Log.Debug("core is not found", "error", err)
		} else {
			d.keep(ctx, addresses)
		}
		if !pause(ctx, jitter(a.Timing.Redial)) {
			return ctx.Err()
		}
	}
}

func (d *dialer) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return d.Lookup(ctx, host)
}

func (d *dialer) keep(ctx context.Context, addresses []netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.want)
	for _, a := range addresses {
		address := net.JoinHostPort(a.String(), d.port)
		d.want[address] = true
		if !d.held[address] {
			d.held[address] = true
			d.wg.Go(func() { d.hold(ctx, address) })
		}
	}
}

// hold keeps a session with one address while the name has it.
func (d *dialer) hold(ctx context.Context, address string) {
	wait := firstBackoff
	for {
		start := time.Now()
		err := d.converse(ctx, address)
		if ctx.Err() != nil || !d.stillWanted(address) {
			return
		}
		d.Log.Info("no session with core", "error", err)
		if time.Since(start) > d.Timing.MaxBackoff {
			wait = firstBackoff
		}
		if !pause(ctx, jitter(wait)) {
			return
		}
		wait = min(2*wait, d.Timing.MaxBackoff)
	}
}

// stillWanted gives an address up that is no longer core's.
func (d *dialer) stillWanted(address string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.want[address] {
		delete(d.held, address)
	}
	return d.want[address]
}

// jitter is between half of d and d.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

// pause waits and reports whether ctx is still good.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

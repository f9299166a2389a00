package embedded

import (
	"hash/maphash"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"interlock/routing"
)

// pool is where the requests of a route go.
type pool struct {
	options routing.Backend // see routing.Pool
	members []member        // by key
	tally   *tally
	limit   int64          // of tally.busy; 0 for none
	allow   []netip.Prefix // empty allows all
	// A request waits for freed up to patience when all endpoints are full.
	freed    *bell
	patience time.Duration
}

// member is a target with its backend's options.
type member struct {
	target      *target
	maxFails    int
	failTimeout time.Duration
	most        int64 // requests under way; 0 for no bound
	mark        string
	h2          bool
	upstream    *upstream
}

// target is one endpoint of one backend.
type target struct {
	key, address string
	busy         atomic.Int64
	// down is the verdict of the checks.
	down atomic.Bool
	// due is when the next check may begin; only the checker touches it.
	due time.Time
	// checking is set while a check is under way, which alone touches misses:
	// checks failed in a row.
	checking atomic.Bool
	misses   int

	mu    sync.Mutex
	fails int       // since first
	first time.Time // of the present run of failures
	out   time.Time // passive failure: not to be used before
}

// failed counts a failure at now (passive health): maxFails of them within
// failTimeout take the endpoint out for failTimeout.
func (m member) failed(now time.Time) {
	if m.maxFails <= 0 {
		return
	}
	t := m.target
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.first) > m.failTimeout {
		t.fails, t.first = 0, now
	}
	if t.fails++; t.fails >= m.maxFails {
		t.fails, t.out = 0, now.Add(m.failTimeout)
	}
}

func (m member) isOut(now time.Time) bool {
	if m.maxFails <= 0 {
		return false
	}
	m.target.mu.Lock()
	defer m.target.mu.Unlock()
	return now.Before(m.target.out)
}

var seed = maphash.MakeSeed()

func (m member) full() bool { return m.most > 0 && m.target.busy.Load() >= m.most }

// enter counts a request in; false when the endpoint is full.
func (m member) enter() bool {
	if n := m.target.busy.Add(1); m.most > 0 && n > m.most {
		m.target.busy.Add(-1)
		return false
	}
	return true
}

// pick chooses a member for a client's address, none of tried and none that is
// down. The one with the mark comes before all others: a client that is kept
// there waits for it. One that is out by passive failures is chosen where no other is left.
// full says, where none is chosen, that some are full.
func (p *pool) pick(client, mark string, tried []*target, now time.Time) (best member, ok, full bool) {
	if len(p.members) == 0 {
		return member{}, false, false
	}
	for _, m := range p.members {
		if mark != "" && m.mark == mark && !m.target.down.Load() && !slices.Contains(tried, m.target) && !m.isOut(now) {
			return m, !m.full(), m.full()
		}
	}
	start := int((p.tally.next.Add(1) - 1) % uint64(len(p.members)))
	var bestOut bool
	var bestScore int64
	for i := range p.members {
		m := p.members[(start+i)%len(p.members)]
		if m.target.down.Load() || slices.Contains(tried, m.target) {
			continue
		}
		if m.full() {
			full = true
			continue
		}
		out, score := m.isOut(now), p.score(m, client)
		if !ok || bestOut && !out || bestOut == out && score > bestScore {
			best, bestOut, bestScore, ok = m, out, score, true
		}
	}
	return best, ok, full && !ok
}

// score is the greater the better; the first of equals in turn is taken.
func (p *pool) score(m member, client string) int64 {
	switch p.options.Algorithm {
	case routing.LeastConn:
		return -m.target.busy.Load()
	case routing.IPHash:
		// Highest random weight: an endpoint that comes or goes moves only
		// the clients that it takes or leaves.
		return int64(maphash.String(seed, client+" "+m.target.key) >> 1)
	case routing.Random:
		return rand.Int64()
	}
	return 0
}

// allows says whether a client, an address without port, is served.
func (p *pool) allows(client string) bool {
	if len(p.options.Allow) == 0 {
		return true
	}
	addr, err := netip.ParseAddr(client)
	return err == nil && slices.ContainsFunc(p.allow, func(n netip.Prefix) bool { return n.Contains(addr.Unmap().WithZone("")) })
}

// enter counts a request in; false when the pool has its share already.
func (p *pool) enter() bool {
	if n := p.tally.busy.Add(1); p.limit > 0 && n > p.limit {
		p.tally.busy.Add(-1)
		return false
	}
	return true
}

func (p *pool) leave() { p.tally.busy.Add(-1) }

// Package load keeps steady load on several environments and counts every
// request that fails.
//
// Its client is the one that promises about lost requests speak of: it notices
// a close before it sends. Before a kept connection is used again, the socket is
// looked at without waiting; closed or with bytes nobody asked for, it is thrown
// away. After the first byte is sent nothing is ever repeated, for any method:
// the standard library's transport repeats requests on connections that break
// early, which would hide what is to be counted.
//
// The load is open: requests start at a fixed rate, however long answers take.
// Their number under way is bounded; a request that finds no place is counted as
// not sent, which is a finding about the generator or a pile-up, never silence.
package load

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// Target is one address that is asked steadily.
type Target struct {
	Env  string         // what the table is grouped by
	Name string         // of the flow, for samples
	Via  netip.AddrPort // the load balancer
	Host string         // the Host header
	Path string
	// Apps are the values of "app" that may answer; another one is a failure of
	// class Wrong, and so is another environment's application.
	Apps []string
	// Rate is requests a second for each of the four kinds: GET and POST, on
	// kept connections and on new ones.
	Rate int
	// Light asks only with GET on new connections.
	Light bool
}

// Generator makes the load. Its fields are set before Run.
type Generator struct {
	Targets []Target
	// Sockets are websocket paths, asked for an echo at Rate.
	Sockets []Target
	Record  *Record
	// Timeout is a request's time in all; default 10 s.
	Timeout time.Duration
	// Busy bounds the requests of one kind and target under way; default 200.
	Busy int
}

// Run makes load until ctx ends, then waits for the requests under way.
func (g *Generator) Run(ctx context.Context) error {
	if g.Timeout == 0 {
		g.Timeout = 10 * time.Second
	}
	if g.Busy == 0 {
		g.Busy = 200
	}
	var flows sync.WaitGroup
	for _, t := range g.Targets {
		for _, k := range t.kinds() {
			flows.Go(func() { g.flow(ctx, t, k.method, k.keep) })
		}
	}
	for _, t := range g.Sockets {
		flows.Go(func() { g.socket(ctx, t) })
	}
	flows.Wait()
	return nil
}

type requestKind struct {
	method string
	keep   bool
}

func (t Target) kinds() []requestKind {
	if t.Light {
		return []requestKind{{"GET", false}}
	}
	return []requestKind{{"GET", true}, {"GET", false}, {"POST", true}, {"POST", false}}
}

// flow sends one kind of request at the target's rate.
func (g *Generator) flow(ctx context.Context, t Target, method string, keep bool) {
	c := &client{target: t, method: method, keep: keep, timeout: g.Timeout}
	defer c.closeIdle()
	places := make(chan struct{}, g.Busy)
	var underway sync.WaitGroup
	defer underway.Wait()
	tick := time.NewTicker(time.Second / time.Duration(max(1, t.Rate)))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		step := g.Record.step()
		select {
		case places <- struct{}{}:
			underway.Go(func() {
				g.Record.add(step, c.do())
				<-places
			})
		default:
			g.Record.add(step, Result{Env: t.Env, Target: t.Name, Class: NotSent, Began: time.Now()})
		}
	}
}

// Class is how a request ended.
type Class string

// Only OK is success. A websocket message counts as a request.
const (
	OK      Class = "ok"
	Dial    Class = "dial"    // no connection
	Reset   Class = "reset"   // the connection broke after the request was sent
	EOF     Class = "eof"     // the connection was closed without an answer
	Timeout Class = "timeout" // no complete answer in time
	Status  Class = "status"  // an answer other than 200
	Wrong   Class = "wrong"   // another application's answer
	NotSent Class = "not sent"
)

// Result is one request's end.
type Result struct {
	Env, Target, Kind string
	Class             Class
	Code              int // of Status
	Began             time.Time
	Took              time.Duration
	Local             netip.AddrPort // the client's end, by which the balancer's log names the proxy
	Err               error
}

func (r Result) String() string {
	s := fmt.Sprintf("%s %s/%s %s: %s", r.Began.Format("15:04:05.000"), r.Env, r.Target, r.Kind, r.Class)
	if r.Code != 0 {
		s += fmt.Sprintf(" %d", r.Code)
	}
	s += fmt.Sprintf(" after %s from %s", r.Took.Round(time.Millisecond), r.Local)
	if r.Err != nil {
		s += ": " + r.Err.Error()
	}
	return s
}

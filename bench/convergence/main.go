// Command convergence measures how fast the proxies of a cluster follow the
// Swarm, on a real one: from the creation of a service to its first 200 through
// every proxy, and from the end of a task's desired state RUNNING to the last
// request that it gets. It ends with 1 when a request failed or reached a task
// whose container had been told to stop.
//
//	make images
//	go run ./bench/convergence                  # a Swarm of its own, removed after
//	go run ./bench/convergence -rounds 30 -json
//	go run ./bench/convergence -lab up          # the one of make up
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"interlock/test/swarm"
)

type options struct {
	rounds int
	lab    string
	env    string
	keep   bool
	down   bool
	json   bool
	limit  time.Duration
}

func main() {
	var o options
	flag.IntVar(&o.rounds, "rounds", 20, "services to create, follow and remove")
	flag.StringVar(&o.lab, "lab", "", "use the running laboratory of this name (make up's is up) instead of a new one")
	flag.StringVar(&o.env, "env", "dev", "environment whose cluster is measured")
	flag.BoolVar(&o.keep, "keep", false, "leave the new laboratory running, for -lab "+labName)
	flag.BoolVar(&o.down, "down", false, "only remove what -keep left")
	flag.BoolVar(&o.json, "json", false, "print JSON")
	flag.DurationVar(&o.limit, "limit", 40*time.Minute, "all must be over by then")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, o.limit)
	defer cancel()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench/convergence:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, out io.Writer) error {
	if o.down {
		return swarm.Down(ctx, "", labName)
	}
	w, err := open(ctx, o, os.Stderr)
	if err != nil {
		return err
	}
	results, err := rounds(ctx, w, o.rounds)
	err = errors.Join(err, w.close(context.WithoutCancel(ctx)))
	if len(results) == 0 {
		return err
	}
	r := summarize(results)
	r.Machine, r.Proxies = machine(), len(w.proxies)
	if o.json {
		err = errors.Join(err, json.NewEncoder(out).Encode(r))
	} else {
		r.print(out)
	}
	return errors.Join(err, r.verdict())
}

// maxFailed rounds may fail before the command gives up.
const maxFailed = 2

// rounds returns what was measured, also when it ends early. A round that does
// not get to its end is an error beside the results of the others.
func rounds(ctx context.Context, w *world, n int) (all []result, failed error) {
	signals := newSignals()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for _, engine := range w.nodes {
		go func() { cancel(signals.follow(ctx, engine)) }()
	}
	failures := 0
	for i := range n {
		r, err := w.round(ctx, signals, i)
		if err != nil {
			failures++
			failed = errors.Join(failed, fmt.Errorf("round %d: %w", i+1, errors.Join(err, context.Cause(ctx))))
			fmt.Fprintf(w.log, "round %2d of %d: %v\n", i+1, n, err)
			if ctx.Err() != nil || failures > maxFailed {
				break
			}
			continue
		}
		all = append(all, r)
		fmt.Fprintf(w.log, "round %2d of %d: create to 200 %d ms, RUNNING to 200 %d ms; desired not RUNNING to last answer in ms:%s\n",
			i+1, n, ms(r.created), ms(r.running), departures(r.left))
	}
	return all, failed
}

func departures(left []departure) string {
	s := ""
	for _, d := range left {
		s += fmt.Sprintf(" %s %d,", d.how, ms(d.last))
	}
	return strings.TrimSuffix(s, ",")
}

func ms(d time.Duration) int64 { return d.Milliseconds() }

// Command throughput compares requests per second through a HAProxy that
// Interlock configures with two configurations for the same binary written by
// hand, and with nginx and Caddy, in the same run: the same hosts, origin and
// load, one after the other in every round. Only ratios of one round mean
// anything.
//
// The minimal configuration does nothing but route. The like one also does what
// services see of a proxy's work, as a person would write it: checks, forwarded
// headers, a request id. What is left between it and Interlock's is hardening.
//
//	scripts/peers.sh && go run ./bench/throughput
//	go run ./bench/throughput -services 1000 -rounds 15 -seconds 2
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"time"
)

func main() {
	var o options
	flag.IntVar(&o.services, "services", 1000, "number of services, one host each")
	flag.IntVar(&o.rounds, "rounds", 15, "rounds")
	flag.IntVar(&o.seconds, "seconds", 2, "seconds of load for each peer and round")
	flag.IntVar(&o.connections, "connections", 64, "connections of the load")
	flag.BoolVar(&o.json, "json", false, "print JSON")
	flag.StringVar(&o.haproxy, "haproxy", filepath.Join(".run", "haproxy"), "HAProxy's binary")
	flag.StringVar(&o.peers, "peers", filepath.Join(".run", "peers"), "root of nginx and Caddy (scripts/peers.sh)")
	judge := flag.Bool("judge", false, "used by the command itself")
	flag.Parse()
	if *judge {
		os.Exit(runJudge(flag.Args()))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench/throughput:", err)
		os.Exit(1)
	}
}

type options struct {
	services, rounds, seconds, connections int
	json                                   bool
	haproxy, peers                         string
}

// result is one peer: requests per second in each round, and the ratios to the
// hand-written configurations of the same round.
type result struct {
	Peer      string    `json:"peer"`
	Rates     []float64 `json:"requests_per_second"`
	ToMinimal []float64 `json:"ratio_to_minimal"`
	ToLike    []float64 `json:"ratio_to_like"`
	P99       []float64 `json:"p99_ms"`
}

func run(ctx context.Context, o options) error {
	if err := have(o); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "interlock-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	stop, err := startOrigin(ctx, o, dir)
	if err != nil {
		return err
	}
	defer stop()
	peers := []peer{minimal(o), like(o), interlock(o), nginx(o), caddy(o)}
	results := make([]result, len(peers))
	for round := range o.rounds {
		if err := runRound(ctx, o, dir, round, peers, results); err != nil {
			return err
		}
	}
	if o.json {
		return json.NewEncoder(os.Stdout).Encode(results)
	}
	print(o, results)
	return nil
}

// runRound measures every peer once. Each round begins with another peer, so
// that what the machine does meanwhile hits none of them always.
func runRound(ctx context.Context, o options, dir string, round int, peers []peer, results []result) error {
	for k := range peers {
		i := (k + round) % len(peers)
		fmt.Fprintf(os.Stderr, "round %d of %d: %s…\n", round+1, o.rounds, peers[i].name)
		rate, p99, err := measure(ctx, o, peers[i], filepath.Join(dir, fmt.Sprint(i)))
		if err != nil {
			return fmt.Errorf("%s: %w", peers[i].name, err)
		}
		r := &results[i]
		r.Peer, r.Rates, r.P99 = peers[i].name, append(r.Rates, rate), append(r.P99, p99)
	}
	for i := range results {
		r := &results[i]
		r.ToMinimal = append(r.ToMinimal, r.Rates[round]/results[0].Rates[round])
		r.ToLike = append(r.ToLike, r.Rates[round]/results[1].Rates[round])
	}
	return nil
}

// have says what is missing before anything is started.
func have(o options) error {
	if _, err := os.Stat(o.haproxy); err != nil {
		return fmt.Errorf("no HAProxy: %w: run make tools", err)
	}
	if _, err := os.Stat(filepath.Join(o.peers, "usr", "bin", "caddy")); err != nil {
		return fmt.Errorf("no nginx and Caddy: %w: run scripts/peers.sh", err)
	}
	return nil
}

func measure(ctx context.Context, o options, p peer, dir string) (rate, p99 float64, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return 0, 0, err
	}
	stop, err := p.start(ctx, dir)
	if err != nil {
		return 0, 0, err
	}
	defer stop()
	if err := awaitOK(ctx, proxyAddr, hostOf(o.services-1)); err != nil {
		said, _ := os.ReadFile(filepath.Join(dir, logFile))
		return 0, 0, fmt.Errorf("%w; it said: %s", err, said)
	}
	return load(ctx, o, dir)
}

func print(o options, results []result) {
	fmt.Printf("%d services, %d connections, %d rounds of %d s, load, proxy and origin on one machine.\n",
		o.services, o.connections, o.rounds, o.seconds)
	fmt.Printf("%-22s %10s %8s %13s %8s %13s %7s\n", "peer", "requests/s", "minimal", "", "like", "", "p99 ms")
	for _, r := range results {
		fmt.Printf("%-22s %10.0f %8.3f %13s %8.3f %13s %7.2f\n", r.Peer, median(r.Rates),
			median(r.ToMinimal), spread(r.ToMinimal), median(r.ToLike), spread(r.ToLike), median(r.P99))
	}
}

func spread(v []float64) string {
	return fmt.Sprintf("%.3f…%.3f", slices.Min(v), slices.Max(v))
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

const startTimeout = 20 * time.Second

// Command compile measures admission, compiling and rendering of a cluster:
// time, memory and growth. One core, a process of its own for each size. Beside
// the time on the clock it says the processor time, which other work on the
// machine does not stretch.
//
//	go run ./bench/compile
//	go run ./bench/compile -sizes 1000,10000 -rounds 7 -json
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"interlock/bench/synthetic"
	"interlock/bundle"
	"interlock/extension/haproxy"
	"interlock/internal/compile"
	"interlock/internal/config"
	"interlock/internal/policy"
	"interlock/internal/swarm"
)

// result is one size. Times are medians in milliseconds.
type result struct {
	Services int     `json:"services"`
	Tasks    int     `json:"tasks"`
	Rounds   int     `json:"rounds"`
	Admit    float64 `json:"admit_ms"`
	Compile  float64 `json:"compile_ms"`
	Render   float64 `json:"render_ms"`
	Total    float64 `json:"total_ms"`
	Slowest  float64 `json:"slowest_total_ms"`
	CPU      float64 `json:"cpu_ms"` // of Total's work, garbage collection included
	Routes   int     `json:"routes"`
	Bundle   int     `json:"bundle_bytes"`
	MaxRSS   int64   `json:"max_rss_bytes"`
}

func main() {
	sizes := flag.String("sizes", "1000,10000,50000", "numbers of services, comma-separated")
	rounds := flag.Int("rounds", 5, "rounds for each size")
	asJSON := flag.Bool("json", false, "print JSON")
	one := flag.Int("one", 0, "measure one size in this process (used by the command itself)")
	flag.Parse()
	if err := run(*sizes, *rounds, *asJSON, *one); err != nil {
		fmt.Fprintln(os.Stderr, "bench/compile:", err)
		os.Exit(1)
	}
}

func run(sizes string, rounds int, asJSON bool, one int) error {
	if one > 0 {
		runtime.GOMAXPROCS(1)
		r, err := measure(one, rounds)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(r)
	}
	var results []result
	for _, s := range strings.Split(sizes, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < 1 {
			return fmt.Errorf("-sizes: %q is not a positive number", s)
		}
		fmt.Fprintf(os.Stderr, "%d services…\n", n)
		r, err := inChild(n, rounds)
		if err != nil {
			return err
		}
		results = append(results, r)
	}
	if asJSON {
		return json.NewEncoder(os.Stdout).Encode(results)
	}
	print(results)
	return nil
}

func inChild(n, rounds int) (result, error) {
	var r result
	cmd := exec.Command(os.Args[0], "-one", strconv.Itoa(n), "-rounds", strconv.Itoa(rounds))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return r, fmt.Errorf("measure %d services: %w", n, err)
	}
	return r, json.NewDecoder(bytes.NewReader(out)).Decode(&r)
}

func measure(n, rounds int) (result, error) {
	const tasks = 3
	snapshot := synthetic.Snapshot(n, tasks)
	cluster := synthetic.Cluster()
	cluster.Policy.MaxRoutes = n
	r := result{Services: n, Tasks: n * tasks, Rounds: rounds}
	var admit, comp, render, total, cpu []float64
	var state compile.State
	for range rounds {
		before := used()
		t, err := once(snapshot, cluster, &state, &r)
		if err != nil {
			return r, err
		}
		cpu = append(cpu, used()-before)
		admit, comp = append(admit, t[0]), append(comp, t[1])
		render, total = append(render, t[2]), append(total, t[0]+t[1]+t[2])
	}
	r.Admit, r.Compile, r.Render, r.Total = median(admit), median(comp), median(render), median(total)
	r.Slowest, r.CPU = slices.Max(total), median(cpu)
	r.MaxRSS = usage().Maxrss * 1024
	return r, nil
}

func usage() (u syscall.Rusage) {
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // fails for a bad address only
	return u
}

// used is this process's processor time so far, in milliseconds.
func used() float64 {
	u := usage()
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e6
}

// once goes the whole way from a snapshot to an encoded bundle.
func once(s swarm.Snapshot, c config.Cluster, state *compile.State, r *result) ([3]float64, error) {
	var times [3]float64
	start := time.Now()
	admitted := policy.Admit(policy.Input{Snapshot: s, Clusters: []config.Cluster{c}})
	times[0] = lap(&start)
	in := compile.NewInput(c, s, admitted.Admitted[c.Name], nil)
	in.State = *state
	out := compile.Compile(in)
	times[1] = lap(&start)
	b, err := haproxy.Render(out.Table)
	if err != nil {
		return times, err
	}
	encoded, err := bundle.Encode(b)
	if err != nil {
		return times, err
	}
	times[2] = lap(&start)
	*state = out.State
	r.Routes, r.Bundle = len(out.Table.Routes), len(encoded)
	if r.Routes != r.Services {
		return times, fmt.Errorf("%d routes of %d services: %v", r.Routes, r.Services, out.Problems[:min(3, len(out.Problems))])
	}
	return times, nil
}

func lap(since *time.Time) float64 {
	now := time.Now()
	d := now.Sub(*since)
	*since = now
	return float64(d.Microseconds()) / 1000
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

func print(results []result) {
	fmt.Println("Admission, compiling and rendering on one core; medians in ms.")
	fmt.Printf("%9s %8s %8s %8s %8s %8s %8s %8s %9s %8s %7s\n",
		"services", "tasks", "admit", "compile", "render", "total", "slowest", "cpu", "bundle MB", "RSS MB", "growth")
	for i, r := range results {
		growth := "-"
		if i > 0 {
			p := results[i-1]
			growth = fmt.Sprintf("%.2f", (r.CPU/p.CPU)/(float64(r.Services)/float64(p.Services)))
		}
		fmt.Printf("%9d %8d %8.1f %8.1f %8.1f %8.1f %8.1f %8.1f %9.1f %8.1f %7s\n", r.Services, r.Tasks,
			r.Admit, r.Compile, r.Render, r.Total, r.Slowest, r.CPU, float64(r.Bundle)/1e6, float64(r.MaxRSS)/1e6, growth)
	}
	fmt.Println("cpu: processor time of total. growth: that for each service, against the size before; 1.00 is linear.")
}

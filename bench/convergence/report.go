package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// measure is one distribution, in milliseconds.
type measure struct {
	Name string  `json:"name"`
	N    int     `json:"n"`
	Min  float64 `json:"min_ms"`
	P50  float64 `json:"p50_ms"`
	P90  float64 `json:"p90_ms"`
	P99  float64 `json:"p99_ms"`
	Max  float64 `json:"max_ms"`
}

// report is what the command prints.
type report struct {
	Machine  string           `json:"machine"`
	Proxies  int              `json:"proxies"`
	Rounds   int              `json:"rounds"`
	Measures []measure        `json:"measures"`
	Left     int              `json:"tasks_left"`
	Late     int              `json:"tasks_answering_after_sigterm"`
	Requests map[string]count `json:"requests"`
	Failures []string         `json:"failures"`
}

// distribution sorts values; the p-quantile is the smallest value that at least
// p of all do not exceed.
func distribution(name string, values []time.Duration) measure {
	m := measure{Name: name, N: len(values)}
	if m.N == 0 {
		return m
	}
	values = slices.Sorted(slices.Values(values))
	at := func(percent int) float64 {
		return float64(values[(m.N*percent+99)/100-1].Microseconds()) / 1000
	}
	m.Min = float64(values[0].Microseconds()) / 1000
	m.P50, m.P90, m.P99, m.Max = at(50), at(90), at(99), at(100)
	return m
}

func summarize(all []result) report {
	r := report{Rounds: len(all), Requests: map[string]count{}, Failures: []string{}}
	var created, running, shown, joined, margin []time.Duration
	last := map[string][]time.Duration{}
	for _, one := range all {
		created, running, shown = append(created, one.created), append(running, one.running), append(shown, one.shown)
		joined = append(joined, one.joined...)
		for _, d := range one.left {
			last[d.how] = append(last[d.how], d.last)
			margin = append(margin, d.notice-d.last)
			r.Left++
			if d.late() {
				r.Late++
			}
		}
		r.addRequests(one)
	}
	r.Measures = []measure{
		distribution("service create → first 200 through every proxy", created),
		distribution("  task RUNNING on its node → the same", running),
		distribution("  task RUNNING at the manager → the same", shown),
		distribution("one more task: RUNNING → first answer, every proxy", joined),
		distribution("scale down: desired not RUNNING → last answer", last[shrinks]),
		distribution("update: desired not RUNNING → last answer", last[replaces]),
		distribution("service rm: desired not RUNNING → last answer", last[removes]),
		distribution("last answer → SIGTERM", margin),
	}
	return r
}

func (r *report) addRequests(one result) {
	for phase, c := range one.counts {
		sum := r.Requests[phase]
		r.Requests[phase] = count{sum.Sent + c.Sent, sum.Failed + c.Failed}
	}
	r.Failures = append(r.Failures, one.failures...)
}

// failed are the requests that should have been answered: while the service is
// created and after it was removed there is nobody to answer.
func (r report) failed() int {
	return r.Requests[grows].Failed + r.Requests[shrinks].Failed + r.Requests[replaces].Failed
}

// verdict is an error when a promise was broken.
func (r report) verdict() error {
	var errs []error
	if r.Late > 0 {
		errs = append(errs, fmt.Errorf("%d of %d tasks answered after SIGTERM", r.Late, r.Left))
	}
	if n := r.failed(); n > 0 {
		errs = append(errs, fmt.Errorf("%d requests failed", n))
	}
	return errors.Join(errs...)
}

func (r report) print(out io.Writer) {
	fmt.Fprintf(out, "%d rounds on a Swarm of three nodes, %d proxies; %s.\n\n", r.Rounds, r.Proxies, r.Machine)
	fmt.Fprintf(out, "%-52s %5s %8s %8s %8s %8s %8s\n", "ms", "n", "min", "p50", "p90", "p99", "max")
	for _, m := range r.Measures {
		fmt.Fprintf(out, "%s %5d %8d %8d %8d %8d %8d\n", padded(m.Name, 52), m.N,
			whole(m.Min), whole(m.P50), whole(m.P90), whole(m.P99), whole(m.Max))
	}
	fmt.Fprintf(out, "\n%d tasks left, %d of them answered after SIGTERM.\n", r.Left, r.Late)
	for _, phase := range []string{grows, shrinks, replaces} {
		fmt.Fprintf(out, "%-10s %7d requests, %d failed\n", phase, r.Requests[phase].Sent, r.Requests[phase].Failed)
	}
	for _, f := range r.Failures {
		fmt.Fprintln(out, "failed:", f)
	}
}

// whole milliseconds, of which a float would show -0.
func whole(ms float64) int64 { return int64(math.Round(ms)) }

// padded counts characters, not bytes.
func padded(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-len([]rune(s))))
}

// machine says where the figures are from.
func machine() string {
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease") // without it the rest still helps
	load, _ := os.ReadFile("/proc/loadavg")
	busy, _, _ := bytes.Cut(load, []byte(" "))
	return fmt.Sprintf("%d cores, Linux %s, load average %s at the end", runtime.NumCPU(), bytes.TrimSpace(release), busy)
}

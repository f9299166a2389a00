package load

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"text/tabwriter"
	"time"
)

// maxFailures bounds the failures that are kept one by one; more are counted only.
const maxFailures = 20000

// Record counts by environment and step. It is safe for concurrent use.
type Record struct {
	mu       sync.Mutex
	steps    []string
	counts   map[cell]*Count
	failures []Failure
}

type cell struct{ env, step string }

// Count is one cell of the table.
type Count struct {
	Sent   int
	Failed map[Class]int
	// Apart counts failures that were explained (see Explain), by reason; they
	// are not in Failed.
	Apart    map[string]int
	Reopened int // websockets closed between messages
	Slowest  time.Duration
}

// Failure is one failed request and the step in which it was sent.
type Failure struct {
	Result
	Step string
}

// NewRecord starts in the given step.
func NewRecord(step string) *Record {
	return &Record{steps: []string{step}, counts: map[cell]*Count{}}
}

// Step begins a step: requests sent from now on belong to it.
func (r *Record) Step(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps = append(r.steps, name)
}

func (r *Record) step() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.steps[len(r.steps)-1]
}

func (r *Record) at(env, step string) *Count {
	c := r.counts[cell{env, step}]
	if c == nil {
		c = &Count{Failed: map[Class]int{}, Apart: map[string]int{}}
		r.counts[cell{env, step}] = c
	}
	return c
}

func (r *Record) add(step string, res Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.at(res.Env, step)
	c.Slowest = max(c.Slowest, res.Took)
	if res.Class != NotSent {
		c.Sent++
	}
	if res.Class == OK {
		return
	}
	c.Failed[res.Class]++
	if len(r.failures) < maxFailures {
		r.failures = append(r.failures, Failure{res, step})
	}
}

func (r *Record) reopened(step, env string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at(env, step).Reopened++
}

// Explain moves failures for which reason is not "" to the column apart. It is
// called once, when the load has ended and the evidence is complete.
func (r *Record) Explain(reason func(Failure) string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = slices.DeleteFunc(r.failures, func(f Failure) bool {
		why := reason(f)
		if why == "" {
			return false
		}
		c := r.at(f.Env, f.Step)
		c.Failed[f.Class]--
		c.Apart[why]++
		return true
	})
}

// Failures are those that count, oldest first.
func (r *Record) Failures() []Failure {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.failures)
}

// Failed is the number of failures that count.
func (r *Record) Failed() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	sum := 0
	for _, c := range r.counts {
		sum += c.failed()
	}
	return sum
}

// Sent is the number of requests sent in a step of an environment.
func (r *Record) Sent(env, step string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at(env, step).Sent
}

func (c *Count) failed() int {
	sum := 0
	for _, n := range c.Failed {
		sum += n
	}
	return sum
}

// Table prints requests sent and failed by environment and step.
func (r *Record) Table(w io.Writer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	envs := map[string]bool{}
	for c := range r.counts {
		envs[c.env] = true
	}
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, "STEP\tENVIRONMENT\tSENT\tFAILED\tSLOWEST\tAPART")
	for _, step := range r.steps {
		for _, env := range slices.Sorted(maps.Keys(envs)) {
			c := r.at(env, step)
			fmt.Fprintf(tw, "%s\t%s\t%d\t%s\t%s\t%s\n", step, env, c.Sent, tally(c.failed(), c.Failed),
				c.Slowest.Round(time.Millisecond), c.apart())
		}
	}
	return tw.Flush()
}

func (c *Count) apart() string {
	notes := map[string]int{}
	maps.Copy(notes, c.Apart)
	if c.Reopened > 0 {
		notes["websocket reopened"] = c.Reopened
	}
	return list(notes)
}

// tally is a sum with its parts: "3 (reset 1, timeout 2)".
func tally[K cmp.Ordered](sum int, parts map[K]int) string {
	if sum == 0 {
		return "0"
	}
	return fmt.Sprintf("%d (%s)", sum, list(parts))
}

func list[K cmp.Ordered](parts map[K]int) string {
	s := ""
	for _, k := range slices.Sorted(maps.Keys(parts)) {
		if parts[k] == 0 {
			continue
		}
		if s != "" {
			s += ", "
		}
		s += fmt.Sprintf("%v %d", k, parts[k])
	}
	return s
}

// Total is the number of all requests.
func (r *Record) Total() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, c := range r.counts {
		n += c.Sent
	}
	return n
}

package provision

import (
	"fmt"
	"strings"
	"time"

	"interlock/internal/problems"
	"interlock/routing"
)

// Running is how Docker runs a service: what to look at when it does not answer.
type Running struct {
	// Exists is false where there is no such service; the rest is zero then.
	Exists   bool
	Replicas uint64
	Tasks    []RunningTask
}

// RunningTask is one of a service's tasks, those that ended included. Err is in
// Docker's words, Node a host name, "" while the task has no node.
type RunningTask struct {
	State, Desired string
	Err            string
	Node           string
	Updated        time.Time
}

// maxWords bounds how much of Docker's words is repeated, in bytes.
const maxWords = 200

// Fault says in words why nothing of the service answers, and what to do about
// it; "" while a task of it runs.
func (r Running) Fault(service string) (message, fix string) {
	switch {
	case !r.Exists:
		return "there is no service " + service, "interlock install --config config.toml"
	case r.Replicas == 0:
		return service + " does not run (0 replicas)", "docker service scale " + service + "=1"
	case r.Node() != "":
		return "", ""
	}
	message = service + " does not run"
	if last := r.last(); last.Err != "" {
		message += fmt.Sprintf(": its last task is %s: %s", last.State, clipWords(last.Err))
	} else if last.State != "" {
		message += ": its last task is " + last.State
	}
	return message, fmt.Sprintf("see `docker service logs %s` and `docker service ps --no-trunc %s`", service, service)
}

// Node is where a task of the service runs, "" where none does.
func (r Running) Node() string {
	for _, t := range r.Tasks {
		if t.State == "running" && t.Desired == "running" {
			return t.Node
		}
	}
	return ""
}

// last is the newest task that says why it does not run, else the newest.
func (r Running) last() RunningTask {
	var newest, telling RunningTask
	for _, t := range r.Tasks {
		if !t.Updated.Before(newest.Updated) {
			newest = t
		}
		if t.Err != "" && !t.Updated.Before(telling.Updated) {
			telling = t
		}
	}
	if telling.Err != "" {
		return telling
	}
	return newest
}

// clipWords makes one bounded line of Docker's words.
func clipWords(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxWords {
		return strings.ToValidUTF8(text[:maxWords], "") + "…"
	}
	return text
}

// CoreProblems are none while core runs, and one while nothing is decided or
// changed because it does not.
func CoreProblems(core Running) []routing.Problem {
	message, fix := core.Fault(CoreService)
	if message == "" {
		return nil
	}
	p := problems.New(problems.CoreNotRunning, message, fix)
	p.Service = CoreService
	return []routing.Problem{p}
}

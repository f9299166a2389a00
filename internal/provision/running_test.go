package provision_test

import (
	"strings"
	"testing"
	"time"

	"interlock/internal/provision"
	"interlock/routing"
)

// TestCoreProblems: why core does not run, and what to do about it.
func TestCoreProblems(t *testing.T) {
	at := func(second int64, state, desired, err, node string) provision.RunningTask {
		return provision.RunningTask{State: state, Desired: desired, Err: err, Node: node, Updated: time.Unix(second, 0)}
	}
	running := at(5, "running", "running", "", "n1")
	failed := at(3, "failed", "shutdown", "task: non-zero\nexit (2)", "n1")
	older := at(2, "rejected", "shutdown", "No such image", "n2")
	waiting := at(4, "ready", "running", "", "n1")
	for _, c := range []struct {
		name         string
		core         provision.Running
		message, fix string
	}{
		{"absent", provision.Running{}, "there is no service interlock-core", "interlock install"},
		{"scaled down", provision.Running{Exists: true, Tasks: []provision.RunningTask{failed}},
			"interlock-core does not run (0 replicas)", "docker service scale interlock-core=1"},
		{"failing", provision.Running{Exists: true, Replicas: 1, Tasks: []provision.RunningTask{older, waiting, failed}},
			"interlock-core does not run: its last task is failed: task: non-zero exit (2)", "docker service logs interlock-core"},
		{"starting", provision.Running{Exists: true, Replicas: 1, Tasks: []provision.RunningTask{waiting}},
			"interlock-core does not run: its last task is ready", "docker service ps"},
		{"no task yet", provision.Running{Exists: true, Replicas: 1}, "interlock-core does not run", "docker service ps"},
		{"running", provision.Running{Exists: true, Replicas: 1, Tasks: []provision.RunningTask{failed, running}}, "", ""},
	} {
		found := provision.CoreProblems(c.core)
		if c.message == "" {
			if len(found) > 0 {
				t.Errorf("%s: %+v", c.name, found)
			}
			continue
		}
		if len(found) != 1 || found[0].Severity != routing.Error || found[0].Message != c.message || !strings.Contains(found[0].Hint, c.fix) {
			t.Errorf("%s: %+v", c.name, found)
		}
	}
	long := provision.Running{Exists: true, Replicas: 1, Tasks: []provision.RunningTask{at(1, "failed", "shutdown", strings.Repeat("ä", 4000), "")}}
	if message, _ := long.Fault("x"); len(message) > 300 {
		t.Errorf("%d bytes of Docker's words", len(message))
	}
}

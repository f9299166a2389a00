package compile

import (
	"fmt"

	"interlock/internal/problems"
	"interlock/internal/swarm"
)

// spot is an address on a network.
type spot struct{ network, address string }

// addresses says which task uses an address now. It is asked only about tasks
// that are missing, so that what others do changes nothing else.
func (c *compiler) addresses() map[spot]string {
	users := map[spot]string{}
	if len(c.in.State.Seen) == 0 {
		return users
	}
	for _, t := range c.in.Tasks {
		if t.State != swarm.TaskRunning {
			continue
		}
		for network, address := range t.Addresses {
			at := spot{network, address}
			if user, taken := users[at]; !taken || t.ID < user {
				users[at] = t.ID
			}
		}
	}
	return users
}

// serving are the tasks of s that requests may be sent to. A task that served
// before and is missing without a reason stays for GuardHold; what is there and
// has ended is obeyed at once (I6).
func (c *compiler) serving(s *service, users map[spot]string) []swarm.Task {
	var serving []swarm.Task
	present := map[string]bool{}
	for _, t := range c.tasks[s.ID] {
		present[t.ID] = true
		if t.Serving() {
			serving = append(serving, t)
			c.seen[t.ID] = SeenTask{Task: t}
		}
	}
	missing := 0
	for _, was := range c.missing(s, present) {
		if c.explained(s, was.Task, len(serving), users) {
			continue
		}
		if was.Gone {
			was.Missing += c.in.Elapsed
		}
		if was.Gone = true; was.Missing >= c.cluster.GuardHold {
			continue
		}
		missing++
		c.seen[was.Task.ID] = was
		serving = append(serving, was.Task)
	}
	if missing > 0 {
		s.report(problem(problems.DoubtMissing, "", fmt.Sprintf("%d of its tasks are missing without a reason; requests still go to them", missing), "nothing, if it passes"))
	}
	return serving
}

// missing are the tasks of s seen before that are in the snapshot no more, by id.
func (c *compiler) missing(s *service, present map[string]bool) []SeenTask {
	var gone []SeenTask
	for _, was := range c.seenOf[s.ID] {
		if !present[was.Task.ID] {
			gone = append(gone, was)
		}
	}
	return gone
}

// explained says whether there is a reason for a task to be gone: another took
// its place or its address, or the service has as many as it wants.
func (c *compiler) explained(s *service, t swarm.Task, serving int, users map[spot]string) bool {
	for network, address := range t.Addresses {
		if user, taken := users[spot{network, address}]; taken && user != t.ID {
			return true
		}
	}
	if !s.Global && uint64(serving) >= s.Replicas {
		return true
	}
	for _, other := range c.tasks[s.ID] {
		if other.Desired == swarm.TaskRunning && other.Slot == t.Slot && (t.Slot != 0 || other.NodeID == t.NodeID) {
			return true
		}
	}
	return false
}

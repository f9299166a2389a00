package compile

import (
	"fmt"
	"slices"

	"interlock/internal/problems"
	"interlock/internal/swarm"
)

// spot is an address on a network.
type spot struct{ network, address string }

// user is the task that uses an address now, "" for none. It is asked only
// about tasks that are missing, so that what others do changes nothing else.
func (c *compiler) user(at spot) string {
	if c.users == nil {
		c.users = addresses(c.in.Tasks)
	}
	return c.users[at]
}

// addresses says which running task uses an address, the first by id.
func addresses(tasks []swarm.Task) map[spot]string {
	users := make(map[spot]string, len(tasks))
	for i := range tasks {
		t := &tasks[i]
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
func (c *compiler) serving(s *service) []*swarm.Task {
	var serving []*swarm.Task
	for _, t := range c.tasks[s.ID] {
		if t.Serving() {
			serving = append(serving, t)
			c.seen[t.ID] = SeenTask{Task: *t}
		}
	}
	held, there := 0, len(serving)
	for _, was := range c.missing[s.ID] {
		if c.explained(s, was.Task, there) || !c.hold(&was) {
			continue
		}
		held++
		c.seen[was.Task.ID] = was
		serving = append(serving, &was.Task)
	}
	if held > 0 {
		s.report(problem(problems.DoubtMissing, "", fmt.Sprintf("%d of its tasks are missing without a reason; requests still go to them", held), "nothing, if it passes"))
	}
	return serving
}

// hold counts how long a task has been missing and says whether that is less
// than GuardHold.
func (c *compiler) hold(was *SeenTask) bool {
	if was.Gone {
		was.Missing += c.in.Elapsed
	}
	was.Gone = true
	return was.Missing < c.cluster.GuardHold
}

// explained says whether there is a reason for a task to be gone: another took
// its place or its address, or the service has as many as it wants.
func (c *compiler) explained(s *service, t swarm.Task, serving int) bool {
	for network, address := range t.Addresses {
		if user := c.user(spot{network, address}); user != "" && user != t.ID {
			return true
		}
	}
	if !s.Global && uint64(serving) >= s.Replicas {
		return true
	}
	return slices.ContainsFunc(c.tasks[s.ID], func(other *swarm.Task) bool {
		return other.Desired == swarm.TaskRunning && other.Slot == t.Slot && (t.Slot != 0 || other.NodeID == t.NodeID)
	})
}

package swarm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// remove ends and removes all the state names, as much of it as there is. The
// state file goes last, so that a failed removal can be repeated.
func (s *Swarm) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	errs := []error{s.endExtras()}
	for _, n := range s.Nodes {
		errs = append(errs, n.end())
	}
	for _, n := range s.Nodes {
		errs = append(errs, n.ended(ctx))
	}
	s.removeNetwork(ctx)
	removeCgroups(cgroup(s.state, ""))
	errs = append(errs, os.RemoveAll(s.state.Dir))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remove Swarm %s: %w", s.state.Name, err)
	}
	return os.Remove(stateFile(s.state.Root, s.state.Name))
}

// end kills the node's unshare, with which the kernel ends all of its PID
// namespace: engine, shims and containers.
func (n *Node) end() error {
	left, err := marked(n.dir)
	for _, p := range left {
		if p.Name == "nsenter" || p.Name == "unshare" || p.PID == n.record.PID && n.record.running() {
			err = errors.Join(err, p.Kill())
		}
	}
	return err
}

// ended waits until no process of the node is left.
func (n *Node) ended(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		left, err := marked(n.dir)
		if err != nil || len(left) == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("node %s still has %d processes, the first is %d %s", n.Name(), len(left), left[0].PID, left[0].Name)
		case <-tick.C:
		}
	}
}

// removeNetwork removes what there is; what is not there can't be removed, and
// ip says so.
func (s *Swarm) removeNetwork(ctx context.Context) {
	for _, n := range s.state.Nodes {
		_ = run(ctx, "ip", "link", "del", n.Link)
		_ = run(ctx, "ip", "netns", "del", n.Namespace)
	}
	_ = run(ctx, "ip", "link", "del", s.state.Bridge)
	delete := s.forwardRule("-D")
	_ = run(ctx, delete[0], delete[1:]...)
}

// removeCgroups removes the empty control groups below name in each hierarchy,
// deepest first; one that is not empty stays.
func removeCgroups(name string) {
	mounts, _ := filepath.Glob("/sys/fs/cgroup/*" + name)
	mounts = append(mounts, "/sys/fs/cgroup"+name)
	for _, root := range mounts {
		var dirs []string
		_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		for i := len(dirs) - 1; i >= 0; i-- {
			_ = os.Remove(dirs[i])
		}
	}
}

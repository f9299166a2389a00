package swarm

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// join makes the engines one Swarm.
func (s *Swarm) join(ctx context.Context, managers int) error {
	s.say("engines answer, joining them")
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	first := s.Manager()
	if _, err := first.Docker(ctx, "swarm", "init", "--advertise-addr", first.Addr().String()); err != nil {
		return err
	}
	for i, n := range s.Nodes[1:] {
		role := "worker"
		if i+1 < managers {
			role = "manager"
		}
		token, err := first.Docker(ctx, "swarm", "join-token", "--quiet", role)
		if err != nil {
			return err
		}
		if _, err := n.Docker(ctx, "swarm", "join", "--advertise-addr", n.Addr().String(), "--token", token, first.Addr().String()+":2377"); err != nil {
			return err
		}
	}
	return s.ready(ctx)
}

// ready waits until the manager sees all nodes ready.
func (s *Swarm) ready(ctx context.Context) error {
	for _, n := range s.Nodes {
		err := Poll(ctx, 100*time.Millisecond, func() (bool, error) {
			state, err := s.Manager().Docker(ctx, "node", "inspect", "--format", "{{.Status.State}}", n.Name())
			return state == "ready", err
		})
		if err != nil {
			return fmt.Errorf("wait for node %s: %w", n.Name(), err)
		}
	}
	return nil
}

// Label sets labels of a node.
func (s *Swarm) Label(ctx context.Context, n *Node, labels map[string]string) error {
	args := []string{"node", "update"}
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		args = append(args, "--label-add", k+"="+labels[k])
	}
	_, err := s.Manager().Docker(ctx, append(args, n.Name())...)
	return err
}

// Load loads image archives, as `docker save` writes them, on all nodes.
func (s *Swarm) Load(ctx context.Context, archives ...string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2) // unpacking is work for a processor each
	for _, n := range s.Nodes {
		group.Go(func() error {
			for _, a := range archives {
				if err := n.load(ctx, a); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func (n *Node) load(ctx context.Context, archive string) error {
	f, err := os.Open(archive)
	if err != nil {
		return fmt.Errorf("load an image on %s: %w", n.Name(), err)
	}
	defer f.Close()
	_, err = n.DockerInput(ctx, f, "load", "--quiet")
	return err
}

// Poll calls done every interval until it is true, and returns the context's
// error, with done's last one, when that does not happen in time.
func Poll(ctx context.Context, interval time.Duration, done func() (bool, error)) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		ok, err := done()
		if ok && err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			if err != nil {
				return fmt.Errorf("%w, and at last: %w", ctx.Err(), err)
			}
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// Package swarm runs a real Docker Swarm on one machine for tests and
// demonstrations: each node is a network namespace on a bridge of our own with
// a dockerd of its own, in mount, UTS and PID namespaces of its own.
//
// Everything a Swarm consists of is written to a state file before it is made,
// and a node's processes all live in one PID namespace. So Down removes exactly
// what Start made, from any process, also after a crash. No engine, Swarm,
// bridge or rule that was there before is touched.
//
// It needs root and Debian's docker.io, iproute2, iptables and util-linux.
// On kernels without IP_VS service VIPs and the ingress mesh don't work there;
// tasks' addresses, tasks.<service> names and host-mode ports do.
package swarm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"golang.org/x/sync/errgroup"
)

// Options say which Swarm to start. The zero value of a field is its default.
type Options struct {
	// Name tells Swarms on one machine apart: at most 6 of [a-z0-9]. Required.
	Name string
	// Nodes is their number; default 3. The first Managers of them (default 1)
	// are managers.
	Nodes, Managers int
	// Subnet is the /24 of the bridge, whose own address is .1 and whose nodes
	// are .11, .12, …; default the first 10.77–126.0.0/24 that is not in use.
	Subnet netip.Prefix
	// Labels are node labels by the node's number, from 0.
	Labels map[int]map[string]string
	// Fresh removes a running Swarm of this name instead of using it again.
	Fresh bool
	// Root is the folder of all Swarms' state; default /var/lib/interlock-lab.
	// It must be on a file system that can hold overlays (not tmpfs).
	Root string
	// Log receives progress, one line for each step; nil is silence.
	Log io.Writer
}

// Swarm is a running Swarm.
type Swarm struct {
	state state
	log   io.Writer
	Nodes []*Node
}

var nameForm = regexp.MustCompile(`^[a-z0-9]{1,6}$`)

const defaultRoot = "/var/lib/interlock-lab"

func (o *Options) fill() error {
	if !nameForm.MatchString(o.Name) {
		return fmt.Errorf("name %q of a Swarm is not 1 to 6 of [a-z0-9]", o.Name)
	}
	if o.Nodes == 0 {
		o.Nodes = 3
	}
	if o.Managers == 0 {
		o.Managers = 1
	}
	if o.Nodes < 1 || o.Nodes > 9 || o.Managers > o.Nodes {
		return fmt.Errorf("%d nodes with %d managers: give 1 to 9 nodes and no more managers than nodes", o.Nodes, o.Managers)
	}
	if o.Root == "" {
		o.Root = defaultRoot
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	return nil
}

// Start returns the Swarm of that name, starting it when it does not run. What
// is left of one that ended otherwise is removed first. When Start fails,
// nothing of it remains.
func Start(ctx context.Context, o Options) (*Swarm, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	if os.Geteuid() != 0 {
		return nil, errors.New("start a Swarm: nodes are network namespaces, which needs root")
	}
	unlock, err := lock(o.Root)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if old, err := readState(o.Root, o.Name); err == nil {
		s := attach(old, o.Log)
		if !o.Fresh && len(s.Nodes) == o.Nodes && s.alive(ctx) {
			return s, nil
		}
		if err := s.remove(ctx); err != nil {
			return nil, err
		}
	}
	return create(ctx, o)
}

// Open returns the Swarm of that name that an earlier Start left running.
func Open(ctx context.Context, root, name string) (*Swarm, error) {
	if root == "" {
		root = defaultRoot
	}
	st, err := readState(root, name)
	if err != nil {
		return nil, err
	}
	s := attach(st, io.Discard)
	if !s.alive(ctx) {
		return nil, fmt.Errorf("the Swarm %q is recorded but does not run", name)
	}
	return s, nil
}

func create(ctx context.Context, o Options) (_ *Swarm, err error) {
	subnet, err := o.subnet()
	if err != nil {
		return nil, err
	}
	s := attach(newState(o, subnet), o.Log)
	defer func() {
		if err != nil {
			err = errors.Join(err, s.remove(context.WithoutCancel(ctx)))
		}
	}()
	if err := s.state.write(); err != nil {
		return nil, err
	}
	if err := s.startNetwork(ctx); err != nil {
		return nil, err
	}
	if err := s.startNodes(ctx); err != nil {
		return nil, err
	}
	if err := s.join(ctx, o.Managers); err != nil {
		return nil, err
	}
	for i, labels := range o.Labels {
		if err := s.Label(ctx, s.Nodes[i], labels); err != nil {
			return nil, err
		}
	}
	s.say("%d nodes are ready, manager %s", len(s.Nodes), s.Manager().Host())
	return s, nil
}

func attach(st state, log io.Writer) *Swarm {
	s := &Swarm{state: st, log: log}
	for i := range st.Nodes {
		s.Nodes = append(s.Nodes, &Node{record: &s.state.Nodes[i], dir: filepath.Join(st.Dir, st.Nodes[i].Name)})
	}
	return s
}

func (s *Swarm) say(format string, args ...any) {
	fmt.Fprintf(s.log, "swarm %s: "+format+"\n", append([]any{s.state.Name}, args...)...)
}

// Manager is the first node, which is a manager.
func (s *Swarm) Manager() *Node { return s.Nodes[0] }

// Gateway is the machine's own address on the nodes' network: processes in the
// root namespace that nodes shall reach listen there.
func (s *Swarm) Gateway() netip.Addr { return s.state.Gateway }

// Dir is a folder that is removed with the Swarm, for the caller's own files.
func (s *Swarm) Dir() string { return s.state.Dir }

// Down removes the Swarm.
func (s *Swarm) Down(ctx context.Context) error { return Down(ctx, s.state.Root, s.state.Name) }

// Down removes all that is left of the Swarm of that name; none is no error.
func Down(ctx context.Context, root, name string) error {
	if root == "" {
		root = defaultRoot
	}
	if _, err := os.Stat(root); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	unlock, err := lock(root)
	if err != nil {
		return err
	}
	defer unlock()
	st, err := readState(root, name)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return attach(st, io.Discard).remove(ctx)
}

func (s *Swarm) alive(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for _, n := range s.Nodes {
		if _, err := n.Docker(ctx, "info", "--format", "{{.Swarm.LocalNodeState}}"); err != nil {
			return false
		}
	}
	return true
}

func (s *Swarm) startNodes(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, n := range s.Nodes {
		if err := n.start(s.state); err != nil {
			return err
		}
		if err := s.state.write(); err != nil {
			return err
		}
		group.Go(func() error { return n.wait(ctx) })
	}
	return group.Wait()
}

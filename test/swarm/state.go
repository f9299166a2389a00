package swarm

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
)

// state is what Down needs to know, written before the things it names exist.
type state struct {
	Root, Name, Dir string
	Bridge          string
	Gateway         netip.Addr
	Bits            int
	Nodes           []nodeRecord
	Extras          []string // names of spawned processes
}

type nodeRecord struct {
	Name      string
	Namespace string
	Link      string // the root namespace's end of the veth pair
	Addr      netip.Addr
	PID       int    // of unshare, whose death ends the node; 0 before
	Started   uint64 // its start time, so that another process with that PID is left alone
}

func newState(o Options, subnet netip.Prefix) state {
	st := state{
		Root: o.Root, Name: o.Name, Dir: filepath.Join(o.Root, o.Name),
		Bridge: "il-" + o.Name, Bits: subnet.Bits(), Gateway: host(subnet, 1),
	}
	for i := range o.Nodes {
		name := fmt.Sprintf("n%d", i+1)
		st.Nodes = append(st.Nodes, nodeRecord{
			Name: name, Namespace: "il-" + o.Name + "-" + name, Link: "il-" + o.Name + name,
			Addr: host(subnet, byte(11+i)),
		})
	}
	return st
}

func host(subnet netip.Prefix, last byte) netip.Addr {
	a := subnet.Addr().As4()
	a[3] = last
	return netip.AddrFrom4(a)
}

func stateFile(root, name string) string { return filepath.Join(root, name+".json") }

func (st state) write() error {
	data, err := json.MarshalIndent(st, "", "\t")
	if err != nil {
		return fmt.Errorf("encode the state of Swarm %s: %w", st.Name, err)
	}
	file := stateFile(st.Root, st.Name)
	if err := os.WriteFile(file+".new", data, 0o600); err != nil {
		return fmt.Errorf("record the Swarm: %w", err)
	}
	return os.Rename(file+".new", file)
}

// readState's error satisfies os.ErrNotExist when there is none.
func readState(root, name string) (state, error) {
	data, err := os.ReadFile(stateFile(root, name))
	if err != nil {
		return state{}, fmt.Errorf("no Swarm %q is recorded: %w", name, err)
	}
	var st state
	if err := json.Unmarshal(data, &st); err != nil {
		return state{}, fmt.Errorf("read the record of Swarm %q: %w", name, err)
	}
	return st, nil
}

// lock keeps two processes from starting or removing Swarms at once.
func lock(root string) (unlock func(), err error) {
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of Swarms: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(root, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the folder of Swarms: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, fmt.Errorf("lock the folder of Swarms: %w", err)
	}
	return func() { f.Close() }, nil
}

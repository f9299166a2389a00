package swarm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
)

// run runs a program; its error carries what the program said.
func run(ctx context.Context, name string, args ...string) error {
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(said.String()))
	}
	return nil
}

// all runs commands, each given as one list of words, until one fails.
func all(ctx context.Context, commands ...[]string) error {
	for _, c := range commands {
		if err := run(ctx, c[0], c[1:]...); err != nil {
			return err
		}
	}
	return nil
}

// subnet is the one that was asked for or, without, the first of our range that
// no interface of this machine uses.
func (o Options) subnet() (netip.Prefix, error) {
	used, err := net.InterfaceAddrs()
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("list this machine's addresses: %w", err)
	}
	if o.Subnet.IsValid() {
		if overlaps(o.Subnet, used) {
			return netip.Prefix{}, fmt.Errorf("subnet %s is in use on this machine", o.Subnet)
		}
		return o.Subnet, nil
	}
	for n := range 50 {
		free := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(77 + n), 0, 0}), 24)
		if !overlaps(free, used) {
			return free, nil
		}
	}
	return netip.Prefix{}, errors.New("no free subnet for a Swarm: 10.77.0.0/24 to 10.126.0.0/24 are all in use")
}

func overlaps(subnet netip.Prefix, used []net.Addr) bool {
	for _, a := range used {
		p, err := netip.ParsePrefix(a.String())
		if err == nil && p.Overlaps(subnet) {
			return true
		}
	}
	return false
}

// forwardRule lets nodes talk where another engine's FORWARD policy would drop
// what crosses the bridge.
func (s *Swarm) forwardRule(op string) []string {
	return []string{"iptables", "-w", op, "FORWARD", "-i", s.state.Bridge, "-o", s.state.Bridge, "-j", "ACCEPT"}
}

func (s *Swarm) startNetwork(ctx context.Context) error {
	br, gw := s.state.Bridge, s.state.Gateway.String()
	s.say("bridge %s, %s/%d", br, gw, s.state.Bits)
	err := all(ctx,
		[]string{"ip", "link", "add", br, "type", "bridge"},
		[]string{"ip", "address", "add", fmt.Sprintf("%s/%d", gw, s.state.Bits), "dev", br},
		[]string{"ip", "link", "set", br, "up"},
		s.forwardRule("-I"),
	)
	for _, n := range s.state.Nodes {
		if err == nil {
			err = all(ctx, n.connect(br, s.state.Bits)...)
		}
	}
	return err
}

// connect are the commands that make a node's namespace and plug it in. There is
// no default route: with one that leads nowhere, an engine that looks for an
// image's registry before each task waits 20 s for name servers.
func (n nodeRecord) connect(bridge string, bits int) [][]string {
	inside := func(args ...string) []string { return append([]string{"ip", "-n", n.Namespace}, args...) }
	return [][]string{
		{"ip", "netns", "add", n.Namespace},
		{"ip", "link", "add", n.Link, "type", "veth", "peer", "name", "eth0", "netns", n.Namespace},
		{"ip", "link", "set", n.Link, "master", bridge, "up"},
		inside("link", "set", "lo", "up"),
		inside("address", "add", fmt.Sprintf("%s/%d", n.Addr, bits), "dev", "eth0"),
		inside("link", "set", "eth0", "up"),
	}
}

// Cut unplugs the node from the network; its processes go on running.
func (n *Node) Cut(ctx context.Context) error {
	return run(ctx, "ip", "link", "set", n.record.Link, "down")
}

// Heal plugs the node in again.
func (n *Node) Heal(ctx context.Context) error {
	return run(ctx, "ip", "link", "set", n.record.Link, "up")
}

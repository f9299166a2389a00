package swarm

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Node is one node: a dockerd in namespaces of its own.
type Node struct {
	record *nodeRecord
	dir    string
}

// Name is the node's host name, as Swarm shows it.
func (n *Node) Name() string { return n.record.Name }

// Addr is the node's address, where host-mode ports are published.
func (n *Node) Addr() netip.Addr { return n.record.Addr }

// Host is what DOCKER_HOST is set to for this node's engine.
func (n *Node) Host() string { return "unix://" + n.socket() }

// LogFile is the engine's log.
func (n *Node) LogFile() string { return filepath.Join(n.dir, "dockerd.log") }

func (n *Node) socket() string { return filepath.Join(n.dir, "docker.sock") }

// daemon is run by sh as the node's first process but one, with values as
// arguments only. /run is the node's own, so that a container that mounts
// /var/run/docker.sock gets this node's engine. cgroups stay mounted.
const daemon = `
set -e
hostname "$1"
mount -t tmpfs tmpfs /run
mkdir -p /run/lock
ulimit -n "$(ulimit -Hn)"
exec docker-init -s -- dockerd --data-root "$2/data" --pidfile /run/dockerd.pid \
	-H unix:///run/docker.sock -H "unix://$2/docker.sock" \
	--exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "$3" --log-level warn
`

func cgroup(s state, node string) string { return "/interlock-lab/" + s.Name + "/" + node }

// start starts the engine and records its process. The process does not end
// with ours.
func (n *Node) start(s state) error {
	if err := os.MkdirAll(filepath.Join(n.dir, "data"), 0o711); err != nil {
		return fmt.Errorf("make the folder of node %s: %w", n.Name(), err)
	}
	log, err := os.Create(n.LogFile())
	if err != nil {
		return fmt.Errorf("make the log of node %s: %w", n.Name(), err)
	}
	defer log.Close()
	cmd := exec.Command("nsenter", "--net=/run/netns/"+n.record.Namespace,
		"unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc",
		"sh", "-c", daemon, "sh", n.Name(), n.dir, cgroup(s, n.Name()))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), marker+n.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the engine of node %s: %w", n.Name(), err)
	}
	n.record.PID = cmd.Process.Pid
	n.record.Started, err = startTime(cmd.Process.Pid)
	go cmd.Wait() // so that it is no zombie when it ends before us
	return err
}

// wait waits until the engine answers.
func (n *Node) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := n.Docker(ctx, "version", "--format", "{{.Server.Version}}")
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the engine of node %s does not answer (%w); its log is %s: %s", n.Name(), err, n.LogFile(), n.lastWords())
		case <-tick.C:
		}
	}
}

func (n *Node) lastWords() string {
	data, err := os.ReadFile(n.LogFile())
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(data[max(0, len(data)-2000):]))
}

// Command is `docker args…` against this node's engine, not yet started.
func (n *Node) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+n.Host(), "DOCKER_CONTEXT=", "DOCKER_CONFIG="+n.dir)
	return cmd
}

// Docker runs `docker args…` against this node's engine and returns its
// output without the last newline.
func (n *Node) Docker(ctx context.Context, args ...string) (string, error) {
	return n.DockerInput(ctx, nil, args...)
}

// DockerInput is Docker with a standard input.
func (n *Node) DockerInput(ctx context.Context, in io.Reader, args ...string) (string, error) {
	var out, said bytes.Buffer
	cmd := n.Command(ctx, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &out, &said
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("docker %s on %s: %w: %s", strings.Join(args, " "), n.Name(), err, strings.TrimSpace(said.String()))
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

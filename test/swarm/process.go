package swarm

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// marker is in the environment of a node's processes, for the case that we end
// between starting a node and recording it.
const marker = "INTERLOCK_LAB_NODE="

// startTime is when the process started, in clock ticks after boot: with the
// PID it names a process for good (proc(5), stat, field 22).
func startTime(pid int) (uint64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read when process %d started: %w", pid, err)
	}
	_, rest, _ := bytes.Cut(data, []byte(") ")) // the name before it may contain blanks
	fields := strings.Fields(string(rest))
	if len(fields) < 20 {
		return 0, fmt.Errorf("read when process %d started: %d fields", pid, len(fields))
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

func (r nodeRecord) running() bool {
	if r.PID == 0 {
		return false
	}
	started, err := startTime(r.PID)
	return err == nil && started == r.Started
}

// Process is one process of a container, as the machine sees it.
type Process struct {
	PID  int
	Name string   // as in /proc/PID/comm: 15 bytes at most
	Args []string // as in /proc/PID/cmdline
}

// Kill sends the process SIGKILL.
func (p Process) Kill() error { return syscall.Kill(p.PID, syscall.SIGKILL) }

// Processes are those of a container of this node, by its full id.
func (n *Node) Processes(container string) ([]Process, error) {
	return find(func(pid int) bool {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
		return err == nil && bytes.Contains(data, []byte("/"+container))
	})
}

// marked are the processes whose environment says that they are of dir's node.
func marked(dir string) ([]Process, error) {
	want := []byte(marker + dir + "\x00")
	return find(func(pid int) bool {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		return err == nil && bytes.Contains(data, want)
	})
}

func find(match func(pid int) bool) ([]Process, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var found []Process
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil || !match(pid) {
			continue
		}
		comm, _ := os.ReadFile(dir + "/comm") // gone in between: the name stays empty
		args, _ := os.ReadFile(dir + "/cmdline")
		found = append(found, Process{PID: pid, Name: strings.TrimSpace(string(comm)),
			Args: strings.Split(strings.TrimSuffix(string(args), "\x00"), "\x00")})
	}
	return found, nil
}

package supervisor

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

// child is one process that should run.
type child struct {
	name    string
	command []string
	env     []string
	stdin   *os.File

	pid     int // 0 while none runs
	started time.Time
	ending  time.Time
	// wait is the back-off after the latest death, over at notBefore.
	wait      time.Duration
	notBefore time.Time
}

func (c *child) due(now time.Time) bool { return c.pid == 0 && !now.Before(c.notBefore) }

// start starts the command in a process group of its own, to be killed when
// the supervisor's thread dies.
func (c *child) start(now time.Time) error {
	p, err := os.StartProcess(c.command[0], c.command, &os.ProcAttr{
		Dir:   "/",
		Env:   c.env,
		Files: []*os.File{c.stdin, os.Stdout, os.Stderr},
		Sys:   &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		c.died(now, true)
		return fmt.Errorf("start %s: %w", c.command[0], err)
	}
	c.pid, c.started = p.Pid, now
	return p.Release() // wait4 reaps it
}

// died plans the next start: at once after a long life.
func (c *child) died(now time.Time, quick bool) {
	c.pid = 0
	if !quick {
		c.forgive(now)
		return
	}
	c.wait = min(max(firstBackoff, 2*c.wait), maxBackoff)
	c.notBefore = now.Add(jitter(c.wait))
}

func (c *child) forgive(now time.Time) { c.wait, c.notBefore = 0, now }

// signal reaches the process, signalGroup also what it has started. The kernel
// keeps the id of a group that has members, so that it can't be another's.
func (c *child) signal(sig syscall.Signal) {
	if c.pid != 0 {
		_ = syscall.Kill(c.pid, sig) // gone already is as good
	}
}

func (c *child) signalGroup(sig syscall.Signal) {
	if c.pid != 0 {
		_ = syscall.Kill(-c.pid, sig) // gone already is as good
	}
}

// Package supervisor is the first process of a proxy's container: it starts the
// engine and the agent, starts either again when it dies, reaps what they leave
// behind, and turns a stop signal into a lame duck. Neither child's death stops
// the other, and it needs nobody: it does not know of core.
//
//	          stop signal           DrainTime                  engine ended
//	serving ──────────────► drain ─────────────► soft stop ───────────────► ended
//	                          │                      │   grace period over      ▲
//	                          └─ another signal ─►   └─► stop ─► kill ──────────┘
//
// While it drains, the health port says so and everything is still served:
// the front load balancer leaves first. The soft stop closes the listeners and
// lets requests finish.
package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"interlock/internal/runfolder"
)

// Options are what a supervisor depends on.
type Options struct {
	Folder runfolder.Folder
	// Engine and Agent are commands with absolute paths. The engine is started
	// once Config, its configuration, is there; Structure is a file beside it
	// that is replaced when the configuration is another one, endpoints apart.
	Engine, Agent     []string
	Config, Structure string
	// EngineEnv and AgentEnv are the children's whole environments.
	EngineEnv, AgentEnv []string
	// Drain has the engine's health port answer "drain". It must work without
	// the agent.
	Drain  func(ctx context.Context) error
	Timing Timing
	Log    *slog.Logger
}

// Timing of a supervisor; zero values mean the defaults.
type Timing struct {
	// DrainTime is how long listeners stay open after a stop signal (10 s).
	DrainTime time.Duration
	// Grace is the time from the stop signal to the end of everything (30 s):
	// the stop grace period of the service, less what the platform needs.
	Grace time.Duration
	// QuickDeath is the life of an engine below which its death counts as one
	// of its configuration (10 s).
	QuickDeath time.Duration
}

func (t Timing) orDefaults() Timing {
	if t.DrainTime <= 0 {
		t.DrainTime = 10 * time.Second
	}
	if t.Grace <= 0 {
		t.Grace = 30 * time.Second
	}
	if t.QuickDeath <= 0 {
		t.QuickDeath = 10 * time.Second
	}
	return t
}

const (
	tickInterval = 50 * time.Millisecond
	// drainAgain repeats the order to drain: an engine or an agent that was
	// just starting may have missed it.
	drainAgain   = time.Second
	drainTimeout = 2 * time.Second
	// killAfter is the wait from SIGTERM to SIGKILL at the end.
	killAfter = time.Second

	// takeOver is the time an engine is given to bind what its predecessor's
	// workers still serve.
	takeOver = time.Second

	// A child is back after firstBackoff, doubling up to maxBackoff with each
	// quick death: always within two seconds.
	firstBackoff = 50 * time.Millisecond
	maxBackoff   = 1500 * time.Millisecond
)

// phase of the supervisor's life, in order.
type phase int

const (
	serving phase = iota
	draining
	softStop
	stopping
	killing
)

func (p phase) String() string {
	return [...]string{"serving", "draining", "soft stop", "stopping", "killing"}[p]
}

// supervisor is the state. Only Run's goroutine touches it.
type supervisor struct {
	Options
	engine, agent child
	life          runfolder.Life
	phase         phase
	since         time.Time // of the phase
	signalled     time.Time // the first stop signal
	drained       time.Time // the latest order to drain
	structure     os.FileInfo
	orphans       []int // process groups of dead engines
}

// Run supervises until a stop signal has been carried out, or ctx ends, which
// is the same as a signal. It takes over the reaping of all children of this
// process: nothing else in it may start any.
func Run(ctx context.Context, o Options) error {
	// Children are told of the death of the thread that started them.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	o.Timing = o.Timing.orDefaults()
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("supervise: become the reaper: %w", err)
	}
	if err := empty(string(o.Folder)); err != nil {
		return fmt.Errorf("supervise: %w", err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return fmt.Errorf("supervise: %w", err)
	}
	defer null.Close()
	s := &supervisor{Options: o}
	s.engine = child{name: "engine", command: o.Engine, env: o.EngineEnv, stdin: null}
	s.agent = child{name: "agent", command: o.Agent, env: o.AgentEnv, stdin: null}
	return s.run(ctx)
}

// empty makes the run folder a new one: what an earlier life of the container
// left in it must not be booted (I9, I15).
func empty(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(folder)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(runfolder.Folder(folder).Path(e.Name())))
	}
	return err
}

func (s *supervisor) run(ctx context.Context) error {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGINT, syscall.SIGCHLD)
	defer signal.Stop(signals)
	tick := time.NewTicker(tickInterval)
	defer tick.Stop()
	done := ctx.Done()
	for {
		select {
		case <-done:
			done = nil
			s.stop(time.Now())
		case sig := <-signals:
			if sig != syscall.SIGCHLD {
				s.stop(time.Now())
			}
		case <-tick.C:
		}
		now := time.Now()
		s.reap(now)
		s.advance(now)
		s.start(now)
		if s.phase >= softStop && s.engine.pid == 0 && s.endAgent(now) {
			s.Log.Info("ended")
			return nil
		}
	}
}

// stop carries a stop signal out: the first one begins the lame duck, each
// further one cuts the present phase short.
func (s *supervisor) stop(now time.Time) {
	if s.phase == serving {
		s.signalled = now
	}
	if s.phase < killing {
		s.enter(s.phase+1, now)
	}
}

// advance enters the next phase when the present one has had its time.
func (s *supervisor) advance(now time.Time) {
	switch s.phase {
	case draining:
		if now.Sub(s.drained) >= drainAgain {
			s.orderDrain(now)
		}
		if now.Sub(s.since) >= s.Timing.DrainTime || now.Sub(s.signalled) >= s.Timing.Grace {
			s.enter(softStop, now)
		}
	case softStop:
		if now.Sub(s.signalled) >= s.Timing.Grace {
			s.enter(stopping, now)
		}
	case stopping:
		if now.Sub(s.since) >= killAfter {
			s.enter(killing, now)
		}
	}
}

func (s *supervisor) enter(p phase, now time.Time) {
	s.phase, s.since = p, now
	s.Log.Info("stopping the proxy", "phase", p.String())
	switch p {
	case draining:
		if err := s.Folder.SetDraining(); err != nil {
			s.Log.Error("the agent can't be told to drain", "error", err)
		}
		s.orderDrain(now)
	case softStop:
		s.engine.signal(syscall.SIGUSR1)
		for _, group := range s.orphans {
			_ = syscall.Kill(-group, syscall.SIGUSR1) // most leave nobody
		}
	case stopping:
		s.engine.signalGroup(syscall.SIGTERM)
	case killing:
		s.engine.signalGroup(syscall.SIGKILL)
		s.agent.signalGroup(syscall.SIGKILL)
	}
}

func (s *supervisor) orderDrain(now time.Time) {
	s.drained = now
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if err := s.Drain(ctx); err != nil {
		s.Log.Error("the engine can't be told to drain", "error", err)
	}
}

// endAgent ends the agent, which followed the endpoints up to now, and reports
// whether it is gone.
func (s *supervisor) endAgent(now time.Time) bool {
	if s.agent.pid == 0 {
		return true
	}
	if s.agent.ending.IsZero() {
		s.agent.ending = now
		s.agent.signal(syscall.SIGTERM)
	} else if now.Sub(s.agent.ending) > killAfter {
		s.agent.signalGroup(syscall.SIGKILL)
	}
	return false
}

// reap takes in whoever has died: a child of ours, or an orphan.
func (s *supervisor) reap(now time.Time) {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		switch pid {
		case s.engine.pid:
			s.engineDied(now, status)
		case s.agent.pid:
			s.agent.died(now, now.Sub(s.agent.started) < s.Timing.QuickDeath)
			s.log(s.agent.name, status, s.agent.wait)
		}
	}
}

func (s *supervisor) engineDied(now time.Time, status syscall.WaitStatus) {
	quick := now.Sub(s.engine.started) < s.Timing.QuickDeath && s.phase == serving
	// Workers of a dead master go on serving until the next engine is there.
	// The id of a group without members may be another's before long.
	s.orphans = slices.DeleteFunc(append(s.orphans, s.engine.pid), deserted)
	s.engine.died(now, quick)
	s.life.PID = 0
	s.life.Deaths++
	if s.life.QuickDeaths++; !quick {
		s.life.QuickDeaths = 0
	}
	s.structure, _ = os.Stat(s.Structure) // none is as good
	s.log(s.engine.name, status, s.engine.wait)
	s.tellLife()
}

// deserted reports whether a process group has no members left.
func deserted(group int) bool { return errors.Is(syscall.Kill(-group, 0), syscall.ESRCH) }

func (s *supervisor) log(name string, status syscall.WaitStatus, wait time.Duration) {
	level := slog.LevelError
	if s.phase >= softStop {
		level = slog.LevelInfo
	}
	s.Log.Log(context.Background(), level, "a child ended", "child", name, "status", describe(status), "back_in", wait.String())
}

func describe(status syscall.WaitStatus) string {
	if status.Signaled() {
		return status.Signal().String()
	}
	return fmt.Sprintf("exit %d", status.ExitStatus())
}

func (s *supervisor) tellLife() {
	if err := s.Folder.SetLife(s.life); err != nil {
		s.Log.Error("the engine's life can't be told", "error", err)
	}
}

// start starts whoever should run and does not.
func (s *supervisor) start(now time.Time) {
	if s.phase >= softStop {
		return
	}
	if s.agent.due(now) {
		s.launch(&s.agent, now)
	}
	s.releaseOrphans(now)
	if !s.configured(now) || !s.engine.due(now) {
		return
	}
	if s.launch(&s.engine, now) {
		s.life.PID = s.engine.pid
		s.tellLife()
	}
}

// configured reports whether there is a configuration. Another structure than
// that of the latest death is tried at once.
func (s *supervisor) configured(now time.Time) bool {
	if _, err := os.Stat(s.Config); err != nil {
		return false
	}
	info, err := os.Stat(s.Structure)
	if err != nil || s.structure == nil || os.SameFile(info, s.structure) {
		return true
	}
	if s.engine.pid == 0 && s.life.QuickDeaths > 0 {
		s.structure = info
		s.life.QuickDeaths = 0
		s.engine.forgive(now)
		s.tellLife()
	}
	return true
}

// releaseOrphans has the workers of dead engines finish what they serve, once
// their successor has had the time to take over.
func (s *supervisor) releaseOrphans(now time.Time) {
	if len(s.orphans) == 0 || s.engine.pid == 0 || now.Sub(s.engine.started) < takeOver {
		return
	}
	for _, group := range s.orphans {
		_ = syscall.Kill(-group, syscall.SIGUSR1) // most leave nobody
	}
	s.orphans = nil
}

func (s *supervisor) launch(c *child, now time.Time) bool {
	if err := c.start(now); err != nil {
		s.Log.Error("a child can't be started", "child", c.name, "error", err, "back_in", c.wait.String())
		return false
	}
	s.Log.Info("started", "child", c.name, "pid", c.pid)
	return true
}

// jitter is between half of d and d: the proxies of a cluster must not fall
// into step.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

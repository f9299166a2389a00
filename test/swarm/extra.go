package swarm

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
)

// Spawn starts a process of the caller's in the root namespace that goes on when
// the caller ends, and that is ended with the Swarm. Its output is in the file
// that LogOf names.
func (s *Swarm) Spawn(name string, cmd *exec.Cmd) error {
	if !slices.Contains(s.state.Extras, name) {
		s.state.Extras = append(s.state.Extras, name)
		if err := s.state.write(); err != nil {
			return err
		}
	}
	log, err := os.OpenFile(s.LogOf(name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("make the log of %s: %w", name, err)
	}
	defer log.Close()
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, marker+s.extra(name))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	go cmd.Wait() // so that it is no zombie when it ends before us
	return nil
}

// Spawned says whether a process of that name runs.
func (s *Swarm) Spawned(name string) bool {
	found, err := marked(s.extra(name))
	return err == nil && len(found) > 0
}

// LogOf is the file with a spawned process's output.
func (s *Swarm) LogOf(name string) string { return filepath.Join(s.state.Dir, name+".log") }

func (s *Swarm) extra(name string) string { return filepath.Join(s.state.Dir, "process", name) }

func (s *Swarm) endExtras() error {
	var errs []error
	for _, name := range s.state.Extras {
		found, err := marked(s.extra(name))
		errs = append(errs, err)
		for _, p := range found {
			errs = append(errs, p.Kill())
		}
	}
	return errors.Join(errs...)
}

// Package runfolder is the folder on memory through which the processes of one
// proxy know of each other: supervisor, agent and engine. It dies with the
// container; nothing in it is ever booted from.
//
//	draining        is there once the proxy was told to stop (by the supervisor)
//	engine.json     the engine's life so far (by the supervisor)
//	endpoints.json  the endpoints in use (by the agent, for the next agent and
//	                for an engine that is started anew)
//
// An engine's own files are named in its package.
package runfolder

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"interlock/routing"
)

// Folder is the run folder's path.
type Folder string

const (
	draining  = "draining"
	engine    = "engine.json"
	endpoints = "endpoints.json"
)

// Life is what the supervisor knows of the engine.
type Life struct {
	// PID of the engine, 0 while none runs.
	PID int `json:"pid"`
	// Deaths since the supervisor started, whatever the reason.
	Deaths int `json:"deaths"`
	// QuickDeaths are the latest deaths in a row that came soon after a start
	// with the same configuration. It is 0 again after a long life or with
	// another configuration.
	QuickDeaths int `json:"quick_deaths"`
}

// Path is the path of a file in the folder.
func (f Folder) Path(name string) string { return filepath.Join(string(f), name) }

// Draining reports whether the proxy is a lame duck.
func (f Folder) Draining() bool {
	_, err := os.Stat(f.Path(draining))
	return err == nil
}

// SetDraining makes the proxy a lame duck for the rest of its life.
func (f Folder) SetDraining() error { return f.Replace(draining, nil) }

// Life is the zero Life until the supervisor has said otherwise.
func (f Folder) Life() (Life, error) {
	var l Life
	err := f.read(engine, &l)
	return l, err
}

// SetLife is the supervisor's.
func (f Folder) SetLife(l Life) error { return f.write(engine, l) }

// Endpoints are nil unless an earlier agent of this container has left them.
func (f Folder) Endpoints() (routing.Endpoints, error) {
	var eps routing.Endpoints
	err := f.read(endpoints, &eps)
	return eps, err
}

// SetEndpoints leaves eps to the next agent and engine of this container.
func (f Folder) SetEndpoints(eps routing.Endpoints) error { return f.write(endpoints, eps) }

func (f Folder) read(name string, v any) error {
	data, err := os.ReadFile(f.Path(name))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

func (f Folder) write(name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return f.Replace(name, data)
}

// Replace lets a reader see the old or the new content, and of two writers at a
// time one. Only this process's user can read it.
func (f Folder) Replace(name string, data []byte) error {
	tmp, err := os.CreateTemp(string(f), name+".new*")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), f.Path(name))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, errors.Join(err, os.Remove(tmp.Name())))
	}
	return nil
}

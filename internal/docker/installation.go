package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/client"

	"interlock/internal/provision"
	"interlock/internal/swarm"
)

// CheckManager returns an error unless the Engine is a manager of a Swarm.
func (c *Client) CheckManager(ctx context.Context) error {
	return c.call(ctx, "see whether the node manages a Swarm", func(ctx context.Context) error {
		info, err := c.api.Info(ctx, client.InfoOptions{})
		if err == nil && !info.Info.Swarm.ControlAvailable {
			err = fmt.Errorf("%s is not a manager of a Swarm (it is %s)", info.Info.Name, info.Info.Swarm.LocalNodeState)
		}
		return err
	})
}

// Snapshot asks for everything once.
func (c *Client) Snapshot(ctx context.Context) (swarm.Snapshot, error) {
	lists, err := c.Lists(ctx, false)
	if err != nil {
		return swarm.Snapshot{}, err
	}
	return lists.Snapshot()
}

// ConfigData returns the data of the config of that name.
func (c *Client) ConfigData(ctx context.Context, name string) ([]byte, error) {
	ids, err := c.references(ctx, "configs", []provision.File{{Source: name}})
	if err != nil {
		return nil, err
	}
	return c.ReadConfig(ctx, ids[0])
}

// Removed is an object that RemoveAll removed.
type Removed struct{ Kind, Name string }

// RemoveAll removes everything that Interlock made on the Swarm, its state
// included, and tells tell of each object. Networks are waited for until ctx
// ends: Docker lets go of one only when its last task has.
func (c *Client) RemoveAll(ctx context.Context, tell func(Removed)) error {
	services, err := c.Present(ctx)
	if err != nil {
		return err
	}
	// Core first, to its end: it would make the others again.
	if core, ok := services[provision.CoreService]; ok {
		if err := c.remove(ctx, Removed{"service", provision.CoreService}, core.ID, c.RemoveService, tell); err != nil {
			return err
		}
		if err := c.ended(ctx, core.ID); err != nil {
			return err
		}
		if services, err = c.Present(ctx); err != nil {
			return err
		}
	}
	var errs []error
	for name, s := range services {
		errs = append(errs, c.remove(ctx, Removed{"service", name}, s.ID, c.RemoveService, tell))
	}
	// Nodes show a network until its last container there has drained.
	for _, s := range services {
		errs = append(errs, c.ended(ctx, s.ID))
	}
	s, err := c.Snapshot(ctx)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	for _, o := range s.Secrets {
		if o.Labels[ManagedLabel] == "true" {
			errs = append(errs, c.remove(ctx, Removed{"secret", o.Name}, o.ID, c.RemoveSecret, tell))
		}
	}
	state, err := c.StateConfigs(ctx)
	errs = append(errs, err)
	for _, o := range append(state, s.Configs...) {
		errs = append(errs, c.remove(ctx, Removed{"config", o.Name}, o.ID, c.RemoveConfig, tell))
	}
	for _, n := range s.Networks {
		if n.Labels[ManagedLabel] != "true" {
			continue
		}
		if user := userOf(s, n.ID); user != "" {
			errs = append(errs, fmt.Errorf("network %s stays: service %s uses it", n.Name, user))
			continue
		}
		errs = append(errs, c.remove(ctx, Removed{"network", n.Name}, n.ID, c.RemoveNetwork, tell))
	}
	return errors.Join(errs...)
}

// ended waits until no task of a removed service runs any more.
func (c *Client) ended(ctx context.Context, service string) error {
	for {
		s, err := c.Snapshot(ctx)
		if err == nil && !slices.ContainsFunc(s.Tasks, func(t swarm.Task) bool { return t.ServiceID == service }) {
			return nil
		}
		sleep(ctx, 200*time.Millisecond)
		if ctx.Err() != nil {
			return errors.Join(fmt.Errorf("service %s has not ended yet", service), err)
		}
	}
}

// userOf is a service that is on the network and not ours.
func userOf(s swarm.Snapshot, network string) string {
	for _, service := range s.Services {
		if slices.Contains(service.Networks, network) && service.Labels[ManagedLabel] != "true" {
			return service.Name
		}
	}
	return ""
}

// remove tries again while the object is in use.
func (c *Client) remove(ctx context.Context, what Removed, id string, do func(context.Context, string) error, tell func(Removed)) error {
	for {
		err := do(ctx, id)
		switch {
		case err == nil || errors.Is(err, fs.ErrNotExist) || strings.HasSuffix(err.Error(), "not found"):
			tell(what)
			return nil
		case !strings.Contains(err.Error(), "in use") || ctx.Err() != nil:
			return err
		}
		sleep(ctx, 500*time.Millisecond)
	}
}

// Await waits until as many tasks of the service run as it should have. It tells
// what Docker says about tasks that failed meanwhile, each once.
func (c *Client) Await(ctx context.Context, service string, tell func(string)) error {
	told := map[string]bool{}
	for {
		s, err := c.Snapshot(ctx)
		if err == nil && complete(s, service) {
			return nil
		}
		for _, words := range c.failures(ctx, service) {
			if !told[words] {
				told[words] = true
				tell(words)
			}
		}
		sleep(ctx, 500*time.Millisecond)
		if ctx.Err() != nil {
			return errors.Join(fmt.Errorf("service %s does not run yet", service), err)
		}
	}
}

// failures are what Docker says about a service's tasks that can't run.
func (c *Client) failures(ctx context.Context, service string) (out []string) {
	raws, err := c.list(ctx, "tasks", make(client.Filters).Add("service", service))
	if err != nil {
		return nil // Await asks again
	}
	for _, raw := range raws {
		var t struct{ Status struct{ State, Err string } }
		if json.Unmarshal(raw, &t) == nil && t.Status.Err != "" {
			out = append(out, t.Status.State+": "+t.Status.Err)
		}
	}
	return out
}

func complete(s swarm.Snapshot, service string) bool {
	for _, candidate := range s.Services {
		if candidate.Name != service {
			continue
		}
		running := uint64(0)
		for _, t := range s.Tasks {
			if t.ServiceID == candidate.ID && t.Serving() && t.TemplateDigest == candidate.TemplateDigest {
				running++
			}
		}
		return running >= candidate.Replicas && candidate.UpdateState != "updating"
	}
	return false
}

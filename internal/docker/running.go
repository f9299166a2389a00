package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/moby/moby/client"

	"interlock/internal/provision"
)

// Running looks at how the service runs. It needs a manager.
func (c *Client) Running(ctx context.Context, service string) (provision.Running, error) {
	var out provision.Running
	services, err := c.list(ctx, "services", make(client.Filters).Add("name", service))
	if err != nil {
		return out, err
	}
	for _, raw := range services { // the filter is for prefixes
		if err := takeReplicas(raw, service, &out); err != nil {
			return out, err
		}
	}
	if !out.Exists {
		return out, nil
	}
	tasks, err := c.list(ctx, "tasks", make(client.Filters).Add("service", service))
	if err != nil {
		return out, err
	}
	nodes, err := c.list(ctx, "nodes", nil)
	if err != nil {
		return out, err
	}
	out.Tasks, err = runningTasks(tasks, nodes)
	return out, err
}

func takeReplicas(raw json.RawMessage, service string, into *provision.Running) error {
	var s struct {
		Spec struct {
			Name string
			Mode struct{ Replicated struct{ Replicas uint64 } }
		}
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return fmt.Errorf("docker: read service %s: %w", service, err)
	}
	if s.Spec.Name == service {
		into.Exists, into.Replicas = true, s.Spec.Mode.Replicated.Replicas
	}
	return nil
}

// runningTasks reads tasks with their nodes' names.
func runningTasks(tasks, nodes []json.RawMessage) ([]provision.RunningTask, error) {
	names := map[string]string{}
	for _, raw := range nodes {
		var n struct {
			ID          string
			Description struct{ Hostname string }
		}
		if err := json.Unmarshal(raw, &n); err != nil {
			return nil, fmt.Errorf("docker: read a node: %w", err)
		}
		names[n.ID] = n.Description.Hostname
	}
	var out []provision.RunningTask
	for _, raw := range tasks {
		var t struct {
			NodeID       string
			DesiredState string
			UpdatedAt    time.Time
			Status       struct{ State, Err string }
		}
		if err := json.Unmarshal(raw, &t); err != nil {
			return nil, fmt.Errorf("docker: read a task: %w", err)
		}
		out = append(out, provision.RunningTask{
			State: t.Status.State, Desired: t.DesiredState, Err: t.Status.Err, Node: names[t.NodeID], Updated: t.UpdatedAt,
		})
	}
	return out, nil
}

// ServiceNames are the names of all services of the Swarm.
func (c *Client) ServiceNames(ctx context.Context) ([]string, error) {
	raws, err := c.list(ctx, "services", nil)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, raw := range raws {
		var s struct{ Spec struct{ Name string } }
		if err := json.Unmarshal(raw, &s); err != nil {
			return nil, fmt.Errorf("docker: read a service: %w", err)
		}
		names = append(names, s.Spec.Name)
	}
	return names, nil
}

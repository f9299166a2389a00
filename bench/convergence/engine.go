package main

import (
	"context"
	"fmt"
	"time"

	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"
)

// callWithin bounds one call to an Engine.
const callWithin = 10 * time.Second

// service is one that a round creates, changes and removes.
type service struct {
	engine *client.Client
	name   string
	spec   swarm.ServiceSpec
}

// nameLabel finds a service's tasks, also after the service is gone.
const nameLabel = "bench.service"

func (w *world) service(name, host string) *service {
	one := uint64(1)
	return &service{engine: w.manager, name: name, spec: swarm.ServiceSpec{
		Annotations: swarm.Annotations{Name: name, Labels: map[string]string{
			nameLabel:                     name,
			"com.docker.ucp.access.label": "/" + w.env.Name,
			"com.docker.lb.hosts":         host,
			"com.docker.lb.port":          "8080",
		}},
		TaskTemplate: swarm.TaskSpec{
			ContainerSpec: &swarm.ContainerSpec{
				Image: "interlock-demo:dev",
				// The demo application says its host name in each answer.
				Hostname: "{{.Task.ID}}",
				Env:      []string{"APP=bench", "APP_ENV=" + w.env.Name},
			},
			Networks: []swarm.NetworkAttachmentConfig{{Target: "il-" + w.env.Name}},
		},
		Mode:         swarm.ServiceMode{Replicated: &swarm.ReplicatedService{Replicas: &one}},
		UpdateConfig: &swarm.UpdateConfig{Parallelism: 1, FailureAction: swarm.UpdateFailureActionContinue},
	}}
}

// create is the call that `docker service create` makes.
func (s *service) create(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	if _, err := s.engine.ServiceCreate(ctx, client.ServiceCreateOptions{Spec: s.spec}); err != nil {
		return fmt.Errorf("create service %s: %w", s.name, err)
	}
	return nil
}

func (s *service) scale(ctx context.Context, replicas uint64) error {
	s.spec.Mode.Replicated.Replicas = &replicas
	return s.update(ctx)
}

// replace updates all tasks in the given order.
func (s *service) replace(ctx context.Context, order swarm.UpdateOrder) error {
	s.spec.UpdateConfig.Order = order
	s.spec.TaskTemplate.ForceUpdate++
	return s.update(ctx)
}

func (s *service) update(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	seen, err := s.engine.ServiceInspect(ctx, s.name, client.ServiceInspectOptions{})
	if err == nil {
		_, err = s.engine.ServiceUpdate(ctx, s.name, client.ServiceUpdateOptions{Version: seen.Service.Version, Spec: s.spec})
	}
	if err != nil {
		return fmt.Errorf("update service %s: %w", s.name, err)
	}
	return nil
}

func (s *service) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	if _, err := s.engine.ServiceRemove(ctx, s.name, client.ServiceRemoveOptions{}); err != nil {
		return fmt.Errorf("remove service %s: %w", s.name, err)
	}
	return nil
}

func (s *service) tasks(ctx context.Context) ([]swarm.Task, error) {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	list, err := s.engine.TaskList(ctx, client.TaskListOptions{Filters: make(client.Filters).Add("label", nameLabel+"="+s.name)})
	if err != nil {
		return nil, fmt.Errorf("list the tasks of %s: %w", s.name, err)
	}
	return list.Items, nil
}

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

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"interlock/internal/provision"
)

func ownLabel(key string) bool { return strings.HasPrefix(key, "com.docker.interlock.") }

const (
	dnsrr    = swarm.ResolutionModeDNSRR
	hostMode = swarm.PortConfigPublishModeHost
	// tmpfsMax bounds a proxy's runtime files in bytes.
	tmpfsMax = 256 << 20
	// restartDelay is how soon Swarm starts a task again.
	restartDelay = time.Second
)

// specOf writes a service as the Engine wants it. Secrets and configs are known
// by name and need their ids.
func (c *Client) specOf(ctx context.Context, s provision.Service) (swarm.ServiceSpec, error) {
	secrets, err := c.references(ctx, "secrets", s.Secrets)
	if err != nil {
		return swarm.ServiceSpec{}, err
	}
	configs, err := c.references(ctx, "configs", s.Configs)
	if err != nil {
		return swarm.ServiceSpec{}, err
	}
	box := containerOf(s)
	for i, f := range s.Secrets {
		box.Secrets = append(box.Secrets, &swarm.SecretReference{SecretID: secrets[i], SecretName: f.Source,
			File: &swarm.SecretReferenceFileTarget{Name: f.Target, UID: "0", GID: "0", Mode: 0o400}})
	}
	for i, f := range s.Configs {
		box.Configs = append(box.Configs, &swarm.ConfigReference{ConfigID: configs[i], ConfigName: f.Source,
			File: &swarm.ConfigReferenceFileTarget{Name: f.Target, UID: "0", GID: "0", Mode: 0o444}})
	}
	delay := restartDelay
	spec := swarm.ServiceSpec{
		Annotations: swarm.Annotations{Name: s.Name, Labels: map[string]string{}},
		TaskTemplate: swarm.TaskSpec{
			ContainerSpec: box,
			RestartPolicy: &swarm.RestartPolicy{Condition: swarm.RestartPolicyConditionAny, Delay: &delay},
			Placement:     placement(s),
		},
		Mode:         swarm.ServiceMode{Replicated: &swarm.ReplicatedService{Replicas: &s.Replicas}},
		UpdateConfig: updateConfig(s.Update),
		EndpointSpec: endpoint(s),
	}
	for key, value := range s.Labels {
		spec.Labels[key] = value
	}
	for _, name := range s.Networks {
		spec.TaskTemplate.Networks = append(spec.TaskTemplate.Networks, swarm.NetworkAttachmentConfig{Target: name})
	}
	return spec, nil
}

func containerOf(s provision.Service) *swarm.ContainerSpec {
	grace := s.StopGracePeriod
	box := &swarm.ContainerSpec{
		Image: s.Image, Command: s.Command, Env: s.Env, Labels: s.ContainerLabels,
		StopSignal: s.StopSignal, StopGracePeriod: &grace,
	}
	for _, m := range s.Mounts {
		box.Mounts = append(box.Mounts, mountOf(m))
	}
	if h := s.Health; h != nil {
		box.Healthcheck = &container.HealthConfig{Test: append([]string{"CMD"}, h.Command...),
			Interval: h.Interval, Timeout: h.Timeout, StartPeriod: h.StartPeriod, Retries: h.Retries}
	}
	return box
}

func mountOf(m provision.Mount) mount.Mount {
	out := mount.Mount{Type: mount.Type(m.Type), Source: m.Source, Target: m.Target}
	if m.Type == "tmpfs" {
		out.TmpfsOptions = &mount.TmpfsOptions{SizeBytes: tmpfsMax, Mode: 0o755}
	}
	return out
}

func placement(s provision.Service) *swarm.Placement {
	p := &swarm.Placement{Constraints: s.Constraints}
	for _, spread := range s.Preferences {
		p.Preferences = append(p.Preferences, swarm.PlacementPreference{Spread: &swarm.SpreadOver{SpreadDescriptor: spread}})
	}
	return p
}

func updateConfig(u provision.Update) *swarm.UpdateConfig {
	order := swarm.UpdateOrderStopFirst
	if u.StartFirst {
		order = swarm.UpdateOrderStartFirst
	}
	return &swarm.UpdateConfig{Parallelism: 1, Delay: u.Delay, Monitor: u.Monitor,
		FailureAction: swarm.UpdateFailureActionPause, Order: order}
}

func endpoint(s provision.Service) *swarm.EndpointSpec {
	e := &swarm.EndpointSpec{Mode: swarm.ResolutionModeVIP}
	if s.DNSRR {
		e.Mode = dnsrr
	}
	for _, p := range s.Ports {
		mode := swarm.PortConfigPublishModeIngress
		if p.Host {
			mode = hostMode
		}
		e.Ports = append(e.Ports, swarm.PortConfig{Protocol: network.TCP, PublishMode: mode,
			PublishedPort: uint32(p.Published), TargetPort: uint32(p.Target)})
	}
	return e
}

// references finds the ids of secrets or configs.
func (c *Client) references(ctx context.Context, list string, files []provision.File) ([]string, error) {
	var out []string
	for _, f := range files {
		raws, err := c.list(ctx, list, make(client.Filters).Add("name", f.Source))
		if err != nil {
			return nil, err
		}
		objects, err := each(list, raws, objectOf)
		if err != nil {
			return nil, err
		}
		// The filter matches prefixes.
		id := ""
		for _, o := range objects {
			if o.Name == f.Source {
				id = o.ID
			}
		}
		if id == "" {
			return nil, fmt.Errorf("%s has no %q: %w", list, f.Source, fs.ErrNotExist)
		}
		out = append(out, id)
	}
	return out, nil
}

// Present returns the services of ours as they are, by name.
func (c *Client) Present(ctx context.Context) (map[string]provision.Present, error) {
	raws, err := c.list(ctx, "services", make(client.Filters).Add("label", ManagedLabel+"=true"))
	if err != nil {
		return nil, err
	}
	networks, err := c.networkNames(ctx)
	if err != nil {
		return nil, err
	}
	out, errs := map[string]provision.Present{}, []error(nil)
	for _, raw := range raws {
		var s swarm.Service
		if err := json.Unmarshal(raw, &s); err != nil {
			errs = append(errs, fmt.Errorf("read a service of ours: %w", err))
			continue
		}
		out[s.Spec.Name] = presentOf(s, networks)
	}
	return out, errors.Join(errs...)
}

func (c *Client) networkNames(ctx context.Context) (map[string]string, error) {
	raws, err := c.list(ctx, "networks", swarmScope())
	if err != nil {
		return nil, err
	}
	networks, err := each("networks", raws, networkOf)
	names := map[string]string{}
	for _, n := range networks {
		names[n.ID] = n.Name
	}
	return names, err
}

func presentOf(s swarm.Service, networks map[string]string) provision.Present {
	p := provision.Present{ID: s.ID, Version: s.Version.Index, Spec: serviceOf(s.Spec, networks)}
	if s.PreviousSpec != nil {
		previous := serviceOf(*s.PreviousSpec, networks)
		p.Previous = &previous
	}
	if u := s.UpdateStatus; u != nil {
		p.UpdateState = string(u.State)
		if u.StartedAt != nil {
			p.UpdateStarted = *u.StartedAt
		}
	}
	return p
}

// serviceOf is the reverse of specOf.
func serviceOf(spec swarm.ServiceSpec, networks map[string]string) provision.Service {
	box := spec.TaskTemplate.ContainerSpec
	if box == nil {
		box = &swarm.ContainerSpec{}
	}
	s := provision.Service{
		Name: spec.Name, Labels: spec.Labels,
		Image: box.Image, Command: slices.Concat(box.Command, box.Args), Env: box.Env, ContainerLabels: box.Labels,
		StopSignal: box.StopSignal,
		DNSRR:      spec.EndpointSpec != nil && spec.EndpointSpec.Mode == dnsrr,
	}
	if box.StopGracePeriod != nil {
		s.StopGracePeriod = *box.StopGracePeriod
	}
	if r := spec.Mode.Replicated; r != nil && r.Replicas != nil {
		s.Replicas = *r.Replicas
	}
	for _, n := range spec.TaskTemplate.Networks {
		s.Networks = append(s.Networks, nameOr(networks, n.Target))
	}
	slices.Sort(s.Networks)
	readContainer(&s, box)
	readPlacement(&s, spec)
	return s
}

func nameOr(networks map[string]string, target string) string {
	if name, ok := networks[target]; ok {
		return name
	}
	return target
}

func readContainer(s *provision.Service, box *swarm.ContainerSpec) {
	for _, r := range box.Secrets {
		if r.File != nil {
			s.Secrets = append(s.Secrets, provision.File{Source: r.SecretName, Target: r.File.Name})
		}
	}
	for _, r := range box.Configs {
		if r.File != nil {
			s.Configs = append(s.Configs, provision.File{Source: r.ConfigName, Target: r.File.Name})
		}
	}
	for _, m := range box.Mounts {
		s.Mounts = append(s.Mounts, provision.Mount{Type: string(m.Type), Source: m.Source, Target: m.Target})
	}
	if h := box.Healthcheck; h != nil && len(h.Test) > 1 {
		s.Health = &provision.Health{Command: h.Test[1:], Interval: h.Interval, Timeout: h.Timeout,
			StartPeriod: h.StartPeriod, Retries: h.Retries}
	}
}

func readPlacement(s *provision.Service, spec swarm.ServiceSpec) {
	if p := spec.TaskTemplate.Placement; p != nil {
		s.Constraints = p.Constraints
		for _, preference := range p.Preferences {
			if preference.Spread != nil {
				s.Preferences = append(s.Preferences, preference.Spread.SpreadDescriptor)
			}
		}
	}
	if u := spec.UpdateConfig; u != nil {
		s.Update = provision.Update{StartFirst: u.Order == swarm.UpdateOrderStartFirst, Delay: u.Delay, Monitor: u.Monitor}
	}
	if e := spec.EndpointSpec; e != nil {
		for _, p := range e.Ports {
			s.Ports = append(s.Ports, provision.Port{Published: int(p.PublishedPort), Target: int(p.TargetPort),
				Host: p.PublishMode == hostMode})
		}
	}
}

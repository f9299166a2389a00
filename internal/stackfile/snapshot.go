package stackfile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"interlock/internal/swarm"
)

// firstCreated and the order of the files give services their age: what comes
// first was there first.
var firstCreated = time.Unix(0, 0).UTC()

// Snapshot is what Docker would show after all files were deployed in their
// order, each service that is to run with one running task. Services of files
// that Docker refuses are not in it. networks are names of networks that exist
// besides those of the files. Ids are made of names; addresses are from the
// ranges for documentation.
func (p Project) Snapshot(networks ...string) swarm.Snapshot {
	var snap swarm.Snapshot
	driver := map[string]string{}
	for _, n := range p.Networks {
		networks = append(networks, n.Name)
		driver[n.Name] = n.Driver
	}
	slices.Sort(networks)
	for _, name := range slices.Compact(networks) {
		snap.Networks = append(snap.Networks, swarm.Network{ID: name, Name: name, Driver: cmp.Or(driver[name], overlay)})
	}
	for i, s := range p.Services {
		if s.Refused {
			continue
		}
		service := s.asService(i)
		snap.Services = append(snap.Services, service)
		if s.Global || s.Replicas > 0 {
			snap.Tasks = append(snap.Tasks, s.task(service, i))
		}
	}
	slices.SortFunc(snap.Services, func(a, b swarm.Service) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(snap.Tasks, func(a, b swarm.Task) int { return cmp.Compare(a.ID, b.ID) })
	return snap
}

// id is the id of the i-th service of a project in its snapshot.
func (s Service) id(i int) string { return fmt.Sprintf("%s#%d", s.DeployedName(), i) }

func (s Service) asService(i int) swarm.Service {
	labels := maps.Clone(s.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[swarm.StackLabel] = s.Stack
	out := swarm.Service{
		ID: s.id(i), Name: s.DeployedName(), Created: firstCreated.Add(time.Duration(i) * time.Second),
		Labels: labels, ContainerLabels: s.ContainerLabels, Networks: s.Networks, TemplateDigest: "present",
		ExposedPorts: s.TargetPorts, Constraints: s.Constraints, Replicas: s.Replicas, Global: s.Global, Job: s.Job,
	}
	if !s.DNSRR {
		out.VIPs = addresses("192.0.2", s.Networks, i)
	}
	return out
}

func (s Service) task(service swarm.Service, i int) swarm.Task {
	return swarm.Task{
		ID: service.ID + ".1", ServiceID: service.ID, Slot: 1, State: swarm.TaskRunning, Desired: swarm.TaskRunning,
		TemplateDigest: service.TemplateDigest, Addresses: addresses("198.51.100", s.Networks, i),
	}
}

// addresses gives one address on each network. They need only be well-formed.
func addresses(prefix string, networks []string, i int) map[string]string {
	out := make(map[string]string, len(networks))
	for _, n := range networks {
		out[n] = fmt.Sprintf("%s.%d", prefix, i%254+1)
	}
	return out
}

// ByID are the services by the id that they have in Snapshot.
func (p Project) ByID() map[string]Service {
	out := make(map[string]Service, len(p.Services))
	for i, s := range p.Services {
		out[s.id(i)] = s
	}
	return out
}

// WithLabel is the service with one more label.
func (s Service) WithLabel(name, value string) Service {
	s.Labels = maps.Clone(s.Labels)
	if s.Labels == nil {
		s.Labels = map[string]string{}
	}
	s.Labels[name] = value
	return s
}

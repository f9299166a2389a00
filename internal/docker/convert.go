package docker

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"interlock/internal/swarm"
)

// Lists are the Engine API's answers, object by object: what a snapshot is made
// from, live and from a file. Its JSON is the format of "interlock snapshot".
type Lists struct {
	Services []json.RawMessage `json:"services"`
	Tasks    []json.RawMessage `json:"tasks"`
	Nodes    []json.RawMessage `json:"nodes"`
	Networks []json.RawMessage `json:"networks"`
	Secrets  []json.RawMessage `json:"secrets"`
	Configs  []json.RawMessage `json:"configs"`
}

// Snapshot converts the lists. An object that can't be read is left out, its
// list is marked in doubt, and the error says which one it was; the snapshot is
// usable beside the error.
func (l Lists) Snapshot() (swarm.Snapshot, error) {
	var (
		s    swarm.Snapshot
		errs [6]error
		d    = newDigester()
	)
	s.Services, errs[0] = each("services", l.Services, d.service)
	s.Tasks, errs[1] = each("tasks", l.Tasks, d.liveTask)
	s.Nodes, errs[2] = each("nodes", l.Nodes, nodeOf)
	s.Networks, errs[3] = each("networks", l.Networks, networkOf)
	s.Secrets, errs[4] = each("secrets", l.Secrets, objectOf)
	s.Configs, errs[5] = each("configs", l.Configs, objectOf)
	s.Doubt = swarm.Doubt{
		Services: errs[0] != nil, Tasks: errs[1] != nil, Nodes: errs[2] != nil,
		Networks: errs[3] != nil, Secrets: errs[4] != nil, Configs: errs[5] != nil,
	}
	finish(&s)
	return s, errors.Join(errs[:]...)
}

// each converts a list; an object that convert reports as nil is not for us.
func each[T any](list string, raws []json.RawMessage, convert func(json.RawMessage) (*T, error)) ([]T, error) {
	var (
		out  []T
		errs []error
	)
	for i, raw := range raws {
		v, err := convert(raw)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s[%d]: %w", list, i, err))
			continue
		}
		if v != nil {
			out = append(out, *v)
		}
	}
	return out, errors.Join(errs...)
}

func decode[T any](raw json.RawMessage) (T, error) {
	var v T
	err := json.Unmarshal(raw, &v)
	return v, err
}

var errNoID = errors.New("the object has no ID")

func nodeOf(raw json.RawMessage) (*swarm.Node, error) {
	r, err := decode[rawNode](raw)
	if err == nil && r.ID == "" {
		err = errNoID
	}
	n := r.node()
	return &n, err
}

func networkOf(raw json.RawMessage) (*swarm.Network, error) {
	r, err := decode[rawNetwork](raw)
	if err == nil && r.ID == "" {
		err = errNoID
	}
	if err == nil && r.Scope != "" && r.Scope != "swarm" {
		return nil, nil
	}
	n := r.network()
	return &n, err
}

func objectOf(raw json.RawMessage) (*swarm.Object, error) {
	r, err := decode[rawObject](raw)
	if err == nil && r.ID == "" {
		err = errNoID
	}
	o := r.object()
	return &o, err
}

func (d *digester) service(raw json.RawMessage) (*swarm.Service, error) {
	r, err := decode[rawService](raw)
	if err != nil {
		return nil, err
	}
	if r.ID == "" {
		return nil, errNoID
	}
	var template rawTemplate
	if len(r.Spec.TaskTemplate) > 0 {
		if err := json.Unmarshal(r.Spec.TaskTemplate, &template); err != nil {
			return nil, fmt.Errorf("task template of service %s: %w", r.ID, err)
		}
	}
	s := &swarm.Service{
		ID: r.ID, Name: r.Spec.Name, Version: r.Version.Index, Created: r.created(),
		Labels:          r.Spec.Labels,
		ContainerLabels: ours(template.ContainerSpec.Labels),
		Networks:        targets(template.Networks, r.Spec.Networks),
		TemplateDigest:  d.digest(r.Spec.TaskTemplate),
		VIPs:            r.vips(),
		Constraints:     template.Placement.Constraints,
		Global:          r.Spec.Mode.Global != nil || r.Spec.Mode.GlobalJob != nil,
		Job:             r.Spec.Mode.ReplicatedJob != nil || r.Spec.Mode.GlobalJob != nil,
		UpdateState:     r.UpdateStatus.State,
	}
	s.ExposedPorts, s.Published = r.ports()
	if m := r.Spec.Mode.Replicated; m != nil && m.Replicas != nil {
		s.Replicas = *m.Replicas
	}
	if p := r.PreviousSpec; p != nil {
		s.Previous = &swarm.Spec{Labels: p.Labels, TemplateDigest: d.digest(p.TaskTemplate)}
	}
	return s, nil
}

// ours keeps the container labels that may be routing labels in a wrong place.
func ours(all labels) map[string]string {
	var out map[string]string
	for key, value := range all {
		if strings.HasPrefix(key, "com.docker.lb.") || strings.HasPrefix(key, "com.docker.ucp.mesh.http") {
			if out == nil {
				out = map[string]string{}
			}
			out[key] = value
		}
	}
	return out
}

// targets prefers the template's networks: the other place is the old one.
func targets(template, old []rawTarget) []string {
	if len(template) == 0 {
		template = old
	}
	var out []string
	for _, t := range template {
		if t.Target != "" {
			out = append(out, t.Target)
		}
	}
	return out
}

func (r rawService) vips() map[string]string {
	var out map[string]string
	for _, v := range r.Endpoint.VirtualIPs {
		if addr := address(v.Addr); addr != "" && v.NetworkID != "" {
			if out == nil {
				out = map[string]string{}
			}
			out[v.NetworkID] = addr
		}
	}
	return out
}

// ports reads the assigned ports, and those asked for while none are assigned.
func (r rawService) ports() (exposed []int, published []swarm.Published) {
	ports := r.Endpoint.Ports
	if len(ports) == 0 {
		ports = r.Spec.EndpointSpec.Ports
	}
	for _, p := range ports {
		if p.PublishedPort != 0 {
			published = append(published, swarm.Published{Port: p.PublishedPort, Host: p.PublishMode == "host"})
		}
		if p.TargetPort != 0 && (p.Protocol == "" || p.Protocol == "tcp") && !slices.Contains(exposed, p.TargetPort) {
			exposed = append(exposed, p.TargetPort)
		}
	}
	slices.Sort(exposed)
	slices.SortFunc(published, func(a, b swarm.Published) int { return cmp.Compare(a.Port, b.Port) })
	return exposed, published
}

// liveTask is nil for a task that is over: it won't run again.
func (d *digester) liveTask(raw json.RawMessage) (*swarm.Task, error) {
	t, err := d.task(raw)
	if err != nil || over(t.State) || t.ServiceID == "" {
		return nil, err
	}
	return t, nil
}

func (d *digester) task(raw json.RawMessage) (*swarm.Task, error) {
	r, err := decode[rawTask](raw)
	if err != nil {
		return nil, err
	}
	if r.ID == "" {
		return nil, errNoID
	}
	t := &swarm.Task{
		ID: r.ID, ServiceID: r.ServiceID, NodeID: r.NodeID, Slot: r.Slot,
		State: r.Status.State, Desired: r.DesiredState,
		TemplateDigest: d.digest(r.Spec),
		Updated:        instant(cmp.Or(r.Status.Timestamp, r.UpdatedAt)),
	}
	for _, a := range r.NetworksAttachments {
		for _, text := range a.Addresses {
			addr := address(text)
			if addr == "" || a.Network.ID == "" || t.Addresses[a.Network.ID] != "" {
				continue
			}
			if t.Addresses == nil {
				t.Addresses = map[string]string{}
			}
			t.Addresses[a.Network.ID] = addr
		}
	}
	return t, nil
}

// over says whether a task in that state will never run again.
func over(state string) bool {
	switch state {
	case "complete", "shutdown", "failed", "rejected", "remove", "orphaned":
		return true
	}
	return false
}

// finish sorts the lists by id and replaces names of networks by their ids, as
// the Engine does itself; hand-written files have names.
func finish(s *swarm.Snapshot) {
	ids, names := map[string]bool{}, map[string]string{}
	for _, n := range s.Networks {
		ids[n.ID], names[n.Name] = true, n.ID
	}
	for i := range s.Services {
		s.Services[i].Networks = byID(s.Services[i].Networks, ids, names)
	}
	slices.SortFunc(s.Services, func(a, b swarm.Service) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(s.Tasks, func(a, b swarm.Task) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(s.Nodes, func(a, b swarm.Node) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(s.Networks, func(a, b swarm.Network) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(s.Secrets, func(a, b swarm.Object) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(s.Configs, func(a, b swarm.Object) int { return cmp.Compare(a.ID, b.ID) })
}

// byID leaves targets as they are unless one of them is a name: snapshots share
// their slices.
func byID(targets []string, ids map[string]bool, names map[string]string) []string {
	copied := false
	for k, target := range targets {
		id := names[target]
		if id == "" || ids[target] {
			continue
		}
		if !copied {
			targets, copied = slices.Clone(targets), true
		}
		targets[k] = id
	}
	return targets
}

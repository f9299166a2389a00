package docker

import (
	"encoding/json"
	"net/netip"
	"strings"
	"time"

	"interlock/internal/swarm"
)

// The structs below are the part of the Engine API's objects that Interlock
// reads, and no more: no environment, no arguments, no data (design §3.1).
// They are read from JSON directly, both live and from a file, so that there is
// one path, and fields that this program does not know count in digests too.

type rawMeta struct {
	ID        string
	Version   struct{ Index uint64 }
	CreatedAt string
	UpdatedAt string
}

type rawService struct {
	rawMeta
	Spec         rawSpec
	PreviousSpec *rawSpec
	Endpoint     struct {
		Ports      []rawPort
		VirtualIPs []struct{ NetworkID, Addr string }
	}
	UpdateStatus struct{ State string }
}

type rawSpec struct {
	Name         string
	Labels       labels
	TaskTemplate json.RawMessage
	Mode         struct {
		Replicated    *struct{ Replicas *uint64 }
		Global        *struct{}
		ReplicatedJob *struct{}
		GlobalJob     *struct{}
	}
	Networks     []rawTarget
	EndpointSpec struct {
		Mode  string
		Ports []rawPort
	}
}

type rawTemplate struct {
	ContainerSpec struct{ Labels labels }
	Placement     struct{ Constraints []string }
	Networks      []rawTarget
}

type rawTarget struct{ Target string }

type rawPort struct {
	Protocol      string
	TargetPort    int
	PublishedPort int
	PublishMode   string
}

type rawTask struct {
	rawMeta
	ServiceID           string
	NodeID              string
	Slot                int
	Spec                json.RawMessage
	DesiredState        string
	Status              struct{ State, Timestamp string }
	NetworksAttachments []struct {
		Network   struct{ ID string }
		Addresses []string
	}
}

type rawNode struct {
	rawMeta
	Spec struct {
		Labels             labels
		Role, Availability string
	}
	Description struct{ Hostname string }
	Status      struct{ State, Addr string }
}

type rawNetwork struct {
	ID, Name, Driver, Scope string
	Labels                  labels
	Ingress, Internal       bool
	IPAM                    struct{ Config []struct{ Subnet string } }
}

type rawObject struct {
	rawMeta
	Spec struct {
		Name   string
		Labels labels
	}
}

// labels tolerates values that are not strings, which hand-written files have.
type labels map[string]string

func (l *labels) UnmarshalJSON(data []byte) error {
	var strict map[string]string
	if json.Unmarshal(data, &strict) == nil {
		*l = strict
		return nil
	}
	var loose map[string]any
	if err := json.Unmarshal(data, &loose); err != nil {
		return err
	}
	*l = labels{}
	for key, value := range loose {
		text, ok := value.(string)
		if !ok && value != nil {
			encoded, _ := json.Marshal(value)
			text = string(encoded)
		}
		(*l)[key] = text
	}
	return nil
}

func (m rawMeta) created() time.Time { return instant(m.CreatedAt) }

func instant(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}
	}
	return t
}

// address is text without its prefix length, "" when it is no address.
func address(text string) string {
	text, _, _ = strings.Cut(text, "/")
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return ""
	}
	return addr.Unmap().String()
}

func (o rawObject) object() swarm.Object {
	return swarm.Object{ID: o.ID, Name: o.Spec.Name, Version: o.Version.Index, Created: o.created(), Labels: o.Spec.Labels}
}

func (n rawNode) node() swarm.Node {
	return swarm.Node{
		ID: n.ID, Hostname: n.Description.Hostname, Labels: n.Spec.Labels,
		Role: n.Spec.Role, State: n.Status.State, Availability: n.Spec.Availability, Address: n.Status.Addr,
	}
}

func (n rawNetwork) network() swarm.Network {
	out := swarm.Network{
		ID: n.ID, Name: n.Name, Labels: n.Labels, Driver: n.Driver,
		Ingress: n.Ingress, Internal: n.Internal,
	}
	for _, c := range n.IPAM.Config {
		if c.Subnet != "" {
			out.Subnets = append(out.Subnets, c.Subnet)
		}
	}
	return out
}

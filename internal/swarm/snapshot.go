// Package swarm is what is seen in Docker, as plain values. It knows no Docker
// API types (internal/docker converts) and does no I/O.
package swarm

import "time"

// Snapshot is one view of the Swarm. Lists are sorted by id. What a failed or
// partial answer lacks is marked in Doubt, never left out in silence (I6).
type Snapshot struct {
	Services []Service
	Tasks    []Task
	Nodes    []Node
	Networks []Network
	Secrets  []Object
	Configs  []Object
	Doubt    Doubt
}

// Doubt marks what this snapshot does not know. A list in doubt still holds
// what was last known of it.
type Doubt struct {
	Services, Tasks, Nodes, Networks, Secrets, Configs bool
	// MissingServices are ids that were seen before and are missing from a
	// complete list without a removal event, with the time they went missing.
	MissingServices map[string]time.Time
}

// Labels of Docker and of the original that matter everywhere.
const (
	StackLabel      = "com.docker.stack.namespace"
	CollectionLabel = "com.docker.ucp.access.label"
)

// Service is a Swarm service with what routing needs of it.
type Service struct {
	ID      string
	Name    string
	Version uint64
	Created time.Time
	Labels  map[string]string
	// ContainerLabels are read only to recognise misplaced routing labels.
	ContainerLabels map[string]string
	// Networks are ids of the networks in the task template.
	Networks []string
	// TemplateDigest identifies the task template that Labels go with.
	TemplateDigest string
	// Previous is the spec before the last update, nil if there is none.
	Previous *Spec
	// VIPs by network id, without prefix length; empty with dnsrr.
	VIPs map[string]string
	// ExposedPorts are target ports that the service publishes, if any.
	ExposedPorts []int
	// Published are the ports it takes on nodes.
	Published []Published
	// Constraints of placement, as written.
	Constraints []string
	Replicas    uint64
	Global      bool
	Job         bool
	// UpdateState is Docker's UpdateStatus state ("updating", "completed"…).
	UpdateState string
}

// Published is a port that a service takes: with Host on the nodes its tasks
// run on, otherwise on every node (ingress).
type Published struct {
	Port int
	Host bool
}

// Spec is the part of a former service spec that still matters to tasks made
// from it [E20].
type Spec struct {
	Labels         map[string]string
	TemplateDigest string
}

// Stack is the service's stack, or "".
func (s Service) Stack() string { return s.Labels[StackLabel] }

// Collection is the service's collection path, or "".
func (s Service) Collection() string { return s.Labels[CollectionLabel] }

// Owner is who holds what the service claims: its stack, or the service itself.
func (s Service) Owner() string {
	if st := s.Stack(); st != "" {
		return st
	}
	return "service:" + s.Name
}

// Task states that matter, in Docker's words.
const (
	TaskRunning = "running"
)

// Task is one task of a service.
type Task struct {
	ID        string
	ServiceID string
	NodeID    string
	Slot      int
	// State is what is observed, Desired what the Swarm wants.
	State, Desired string
	// TemplateDigest identifies the task template the task was made from.
	TemplateDigest string
	// Addresses by network id, without prefix length.
	Addresses map[string]string
	Updated   time.Time
}

// Serving says whether requests may be sent to the task: it runs and is meant to.
func (t Task) Serving() bool { return t.State == TaskRunning && t.Desired == TaskRunning }

// Node is a Swarm node.
type Node struct {
	ID           string
	Hostname     string
	Labels       map[string]string
	Role         string // "manager" or "worker"
	State        string // "ready", "down", "unknown", "disconnected"
	Availability string // "active", "pause", "drain"
	Address      string
}

// Collection is the node's collection path, or "".
func (n Node) Collection() string { return n.Labels[CollectionLabel] }

// Network is a Docker network of swarm scope.
type Network struct {
	ID       string
	Name     string
	Labels   map[string]string
	Driver   string
	Ingress  bool
	Internal bool
	// Subnets in CIDR notation.
	Subnets []string
}

// Object is a secret or a config, without its data.
type Object struct {
	ID      string
	Name    string
	Version uint64
	Created time.Time
	Labels  map[string]string
}

// InCollection says whether path is root or below it, by whole segments:
// "/dev" holds "/dev" and "/dev/web", not "/development". "/" holds all paths,
// and an empty path is in no collection.
func InCollection(path, root string) bool {
	if path == "" || root == "" {
		return false
	}
	for len(root) > 1 && root[len(root)-1] == '/' {
		root = root[:len(root)-1]
	}
	if root == "/" || path == root {
		return path[0] == '/'
	}
	return len(path) > len(root) && path[:len(root)] == root && path[len(root)] == '/'
}

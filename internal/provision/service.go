package provision

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Service is the part of a Swarm service that Interlock decides. What is not
// here is Docker's default.
type Service struct {
	Name            string            `json:"name"`
	Image           string            `json:"image"`
	Command         []string          `json:"command"`
	Env             []string          `json:"env,omitempty"` // sorted
	Labels          map[string]string `json:"labels,omitempty"`
	ContainerLabels map[string]string `json:"containerLabels,omitempty"`
	Networks        []string          `json:"networks,omitempty"` // names, sorted
	Secrets         []File            `json:"secrets,omitempty"`
	Configs         []File            `json:"configs,omitempty"`
	Mounts          []Mount           `json:"mounts,omitempty"`
	Constraints     []string          `json:"constraints,omitempty"`
	Preferences     []string          `json:"preferences,omitempty"`
	Replicas        uint64            `json:"replicas"`
	StopSignal      string            `json:"stopSignal,omitempty"`
	StopGracePeriod time.Duration     `json:"stopGracePeriod,omitempty"`
	Health          *Health           `json:"health,omitempty"`
	// DNSRR makes the service known by its tasks' addresses alone, without a
	// virtual one.
	DNSRR  bool   `json:"dnsrr,omitempty"`
	Ports  []Port `json:"ports,omitempty"`
	Update Update `json:"update"`
}

// File is a secret or config, by name, and where it appears in the container.
type File struct {
	Source string `json:"source"`
	Target string `json:"target"`
}

// Mount is a mount of type "bind", "volume" or "tmpfs".
type Mount struct {
	Type   string `json:"type"`
	Source string `json:"source,omitempty"`
	Target string `json:"target"`
}

// Health is a health check inside the container.
type Health struct {
	Command     []string      `json:"command"`
	Interval    time.Duration `json:"interval"`
	Timeout     time.Duration `json:"timeout"`
	StartPeriod time.Duration `json:"startPeriod"`
	Retries     int           `json:"retries"`
}

// Port is a published TCP port.
type Port struct {
	Published int  `json:"published"`
	Target    int  `json:"target"`
	Host      bool `json:"host,omitempty"`
}

// Update is how Swarm replaces tasks: always one at a time.
type Update struct {
	StartFirst bool          `json:"startFirst,omitempty"`
	Delay      time.Duration `json:"delay,omitempty"`
	Monitor    time.Duration `json:"monitor,omitempty"`
}

// Change is one difference between two services, in words.
type Change struct {
	Field string `json:"field"`
	From  string `json:"from"`
	To    string `json:"to"`
}

// Diff lists what has to change in from to become to. Of labels, only those
// that to has are compared, and not those that Interlock keeps for itself.
func Diff(from, to Service) []Change {
	var out []Change
	a, b := fields(from, to), fields(to, to)
	for i := range a {
		x, y := a[i].entries, b[i].entries
		if a[i].set {
			x, y = without(x, y), without(y, x)
		}
		if !slices.Equal(x, y) {
			out = append(out, Change{a[i].name, strings.Join(x, a[i].by), strings.Join(y, a[i].by)})
		}
	}
	return out
}

// without returns the sorted entries of a that are not in b.
func without(a, b []string) []string {
	var out []string
	for _, entry := range a {
		if !slices.Contains(b, entry) {
			out = append(out, entry)
		}
	}
	slices.Sort(out)
	return out
}

// field is one comparable property. Of a set only what differs is shown.
type field struct {
	name    string
	entries []string
	set     bool
	by      string
}

func one(name, text string) field          { return field{name, []string{text}, false, ""} }
func list(name string, all []string) field { return field{name, all, false, " "} }
func set(name string, all []string) field  { return field{name, all, true, ", "} }

// fields renders s field by field; of labels only those keys that want has, for
// other tools put theirs on services too.
func fields(s, want Service) []field {
	health := ""
	if h := s.Health; h != nil {
		health = fmt.Sprintf("%s every %s, timeout %s, %d retries, start period %s",
			strings.Join(h.Command, " "), h.Interval, h.Timeout, h.Retries, h.StartPeriod)
	}
	order := "stop-first"
	if s.Update.StartFirst {
		order = "start-first"
	}
	mode := "vip"
	if s.DNSRR {
		mode = "dnsrr"
	}
	return []field{
		one("image", s.Image),
		list("command", s.Command),
		set("environment", s.Env),
		set("labels", pairs(s.Labels, want.Labels)),
		set("container labels", pairs(s.ContainerLabels, want.ContainerLabels)),
		set("networks", s.Networks),
		set("secrets", files(s.Secrets)),
		set("configs", files(s.Configs)),
		set("mounts", mounts(s.Mounts)),
		set("constraints", s.Constraints),
		list("preferences", s.Preferences),
		one("replicas", strconv.FormatUint(s.Replicas, 10)),
		one("stop signal", s.StopSignal),
		one("stop grace period", s.StopGracePeriod.String()),
		one("health check", health),
		one("endpoint mode", mode),
		set("ports", ports(s.Ports)),
		one("update", fmt.Sprintf("%s, delay %s, monitor %s", order, s.Update.Delay, s.Update.Monitor)),
	}
}

func pairs(labels, keys map[string]string) []string {
	var out []string
	for key := range keys {
		if value, ok := labels[key]; ok && key != ReasonLabel && key != RefusedLabel {
			out = append(out, key+"="+value)
		}
	}
	return out
}

func files(list []File) []string {
	var out []string
	for _, f := range list {
		out = append(out, f.Source+" at "+f.Target)
	}
	return out
}

func mounts(list []Mount) []string {
	var out []string
	for _, m := range list {
		out = append(out, strings.TrimSpace(m.Type+" "+m.Source)+" at "+m.Target)
	}
	return out
}

func ports(list []Port) []string {
	var out []string
	for _, p := range list {
		mode := "ingress"
		if p.Host {
			mode = "host"
		}
		out = append(out, fmt.Sprintf("%d to %d (%s)", p.Published, p.Target, mode))
	}
	return out
}

// fingerprint names a set of reasons. It is kept on services, so what goes in,
// and in which order, must not change from version to version.
func fingerprint(reasons ...any) string {
	for i, r := range reasons {
		switch r := r.(type) { // missing and empty are the same
		case []string:
			reasons[i] = append([]string{}, r...)
		case map[string]string:
			if r == nil {
				reasons[i] = map[string]string{}
			}
		}
	}
	encoded, err := json.Marshal(reasons)
	if err != nil {
		return "" // only strings, numbers and lists of them are given
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:8])
}

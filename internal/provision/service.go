package provision

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
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

// Diff lists what has to change in from to become to. Labels that Interlock
// keeps for itself are not compared; only keys that to has are.
func Diff(from, to Service) []Change {
	var out []Change
	a, b := fields(from, to), fields(to, to)
	for i := range a {
		if a[i].text != b[i].text {
			out = append(out, Change{a[i].name, a[i].text, b[i].text})
		}
	}
	return out
}

type field struct{ name, text string }

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
		{"image", s.Image},
		{"command", strings.Join(s.Command, " ")},
		{"environment", strings.Join(slices.Sorted(slices.Values(s.Env)), " ")},
		{"labels", pairs(s.Labels, want.Labels)},
		{"container labels", pairs(s.ContainerLabels, want.ContainerLabels)},
		{"networks", strings.Join(slices.Sorted(slices.Values(s.Networks)), " ")},
		{"secrets", files(s.Secrets)},
		{"configs", files(s.Configs)},
		{"mounts", mounts(s.Mounts)},
		{"constraints", strings.Join(s.Constraints, ", ")},
		{"preferences", strings.Join(s.Preferences, ", ")},
		{"replicas", strconv.FormatUint(s.Replicas, 10)},
		{"stop signal", s.StopSignal},
		{"stop grace period", s.StopGracePeriod.String()},
		{"health check", health},
		{"endpoint mode", mode},
		{"ports", ports(s.Ports)},
		{"update", fmt.Sprintf("%s, delay %s, monitor %s", order, s.Update.Delay, s.Update.Monitor)},
	}
}

func pairs(labels, keys map[string]string) string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if value, ok := labels[key]; ok && key != ReasonLabel && key != RefusedLabel {
			out = append(out, key+"="+value)
		}
	}
	return strings.Join(out, " ")
}

func files(list []File) string {
	var out []string
	for _, f := range list {
		out = append(out, f.Source+" at "+f.Target)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func mounts(list []Mount) string {
	var out []string
	for _, m := range list {
		out = append(out, strings.TrimSpace(m.Type+" "+m.Source)+" at "+m.Target)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func ports(list []Port) string {
	list = slices.SortedFunc(slices.Values(list), func(a, b Port) int { return cmp.Compare(a.Published, b.Published) })
	var out []string
	for _, p := range list {
		mode := "ingress"
		if p.Host {
			mode = "host"
		}
		out = append(out, fmt.Sprintf("%d to %d (%s)", p.Published, p.Target, mode))
	}
	return strings.Join(out, ", ")
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

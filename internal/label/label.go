// Package label is the grammar of the routing labels: which there are, what
// values they take, and what is wrong with a value in words that say what to
// write instead. Label text is hostile; nothing of it leaves this package
// except values that are in the grammar and, in problems, quoted and shortened
// excerpts. It is pure.
//
// The grammar is one table (see rows) in which a label is one row.
// docs/labels.md is generated from it.
package label

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"interlock/internal/problems"
	"interlock/internal/spell"
	"interlock/routing"
)

// Prefix is what the names of all routing labels start with.
const Prefix = "com.docker.lb."

// Bounds of what is read from one service. They are checked before anything is
// parsed.
const (
	MaxText   = 64 << 10 // bytes of routing labels, names and values together
	MaxLabels = 256      // routing labels
	MaxHosts  = 1024     // names in hosts; policy has a lower bound for routes
)

// Spec is what a service asks for. All values are in the grammar, whatever the
// labels were; what is not set has its default.
type Spec struct {
	// Registers says that the service asks for routing: it has at least one
	// label under Prefix. A service without is not our concern.
	Registers bool
	// Bad says that the labels as a whole are not accepted, because a problem
	// of severity error was found in them. The rest of Spec is then only good
	// for saying what was asked for.
	Bad bool

	// Hosts are in the order of the label, without repetitions.
	Hosts []Host
	// Port is the container's port, 0 when not given.
	Port int
	// Network is as written, with or without stack prefix; "" when not given.
	Network string
	// ContextRoot is "/" or a prefix in normal form without trailing slash.
	ContextRoot string
	Rewrite     bool
	// Cluster is the service cluster asked for. ClusterSet tells the default
	// cluster by name ("" written out) from no wish.
	Cluster    string
	ClusterSet bool
	// DefaultBackend asks to be the cluster's catch-all.
	DefaultBackend bool
	// Mode is routing.ModeTask or routing.ModeVIP.
	Mode string
	// Algorithm is one of routing's algorithms; ip_hash is folded into it.
	Algorithm string
	// MaxFails failures within FailTimeout take an endpoint out; 0 is off.
	MaxFails    int
	FailTimeout time.Duration
	// ConnectTimeout, ResponseTimeout and IdleTimeout are 0 where not given.
	ConnectTimeout, ResponseTimeout, IdleTimeout time.Duration
	// MaxConnections to one task; 0 where not given.
	MaxConnections int
	// HealthPath is a path with or without a query, "" where not given;
	// HealthStatus is in the form of routing.Statuses.
	HealthPath, HealthStatus      string
	HealthInterval, HealthTimeout time.Duration
	// StickyCookie is the name of a cookie; "" where not given.
	StickyCookie string
	// Allow are CIDRs in the form of routing.Backend.Allow; empty allows all.
	// Restricts says that some are asked for, if in vain: without them the
	// service must not be served.
	Allow     []string
	Restricts bool
	// RequestHeaders and ResponseHeaders are in the form of
	// routing.ValidateHeaders.
	RequestHeaders, ResponseHeaders []routing.Header
	// Protocol is "" or routing.H2.
	Protocol string
	// WebsocketEndpoints are paths in normal form. Upgrades work on every path.
	WebsocketEndpoints []string

	ipHash bool
}

// Parse reads a service's labels; those that are not ours are ignored, except
// for what gives away a mistake. It is total: any labels give a Spec, and any
// mistake a problem with Label set and cluster and service left empty. Equal
// labels give equal results, problems sorted by label.
func Parse(labels map[string]string) (Spec, []routing.Problem) {
	s := Spec{ContextRoot: "/", Mode: routing.ModeTask, Algorithm: routing.RoundRobin, FailTimeout: defaultFailTimeout}
	names := routingNames(labels)
	if len(names) == 0 {
		return s, foreign(labels)
	}
	s.Registers = true
	if p, large := tooLarge(labels, names); large {
		s.Bad = true
		return s, []routing.Problem{p}
	}
	var found []routing.Problem
	for _, name := range names {
		found = append(found, parseOne(name, labels[name], &s)...)
	}
	found = append(found, combine(labels, &s, found)...)
	found = append(found, nearMisses(labels)...)
	slices.SortStableFunc(found, func(a, b routing.Problem) int { return strings.Compare(a.Label, b.Label) })
	s.Bad = problems.Errors(found)
	_, asked := labels[Prefix+"allow"]
	s.Restricts = asked || speaksOf(found, "allow")
	return s, found
}

// routingNames are the names under Prefix, whatever their case, sorted.
func routingNames(labels map[string]string) []string {
	var names []string
	for name := range labels {
		if IsRouting(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// IsRouting says whether a label's name is under Prefix, in whatever case.
func IsRouting(name string) bool {
	return len(name) >= len(Prefix) && strings.EqualFold(name[:len(Prefix)], Prefix)
}

func tooLarge(labels map[string]string, names []string) (routing.Problem, bool) {
	size := 0
	for _, name := range names {
		size += len(name) + len(labels[name])
	}
	if size <= MaxText && len(names) <= MaxLabels {
		return routing.Problem{}, false
	}
	return problems.New(problems.LabelsTooLarge,
		fmt.Sprintf("%d routing labels with %d bytes of text; %d labels and %d bytes are read", len(names), size, MaxLabels, MaxText),
		"shorten the labels; a wildcard host such as *.apps.example.com replaces many names"), true
}

// parseOne looks the label up in the table and parses its value into s.
func parseOne(name, value string, s *Spec) []routing.Problem {
	short, ok := strings.CutPrefix(name, Prefix)
	if found, header := parseHeader(short, value, s); ok && header && short != requestHeader && short != responseHeader {
		return about(name, found...)
	}
	r := byName[short]
	if !ok || r == nil {
		return about(name, unknown(name))
	}
	if strings.TrimSpace(value) == "" && r.empty != emptyParsed {
		return about(name, r.whenEmpty())
	}
	found := r.parse(value, s)
	if inQuotes(value) && problems.Errors(found) {
		found[0].Hint = "write the value without quotes: in a list of name=value they belong to it"
	}
	return about(name, found...)
}

// inQuotes says whether a value begins and ends with a quote, as in the list
// item com.docker.lb.port="80".
func inQuotes(value string) bool {
	v := trim(value)
	return len(v) > 2 && len(v) <= maxName && (v[0] == '"' || v[0] == '\'') && v[len(v)-1] == v[0] && strings.Count(v, v[:1]) == 2
}

// about names the label that problems concern.
func about(name string, ps ...routing.Problem) []routing.Problem {
	for i := range ps {
		ps[i].Label = SafeName(name)
	}
	return ps
}

// unknown says what a name under Prefix that is not in the table might mean.
func unknown(name string) routing.Problem {
	short := strings.ToLower(asciiOnly(name[len(Prefix):]))
	if byName[short] != nil {
		return problems.New(problems.LabelMisspelt, fmt.Sprintf("%s is not a label: its letters differ in case or hold an invisible character", quote(name)),
			"write "+Prefix+short)
	}
	if near := cmp.Or(spell.Nearest(short, known()), partOf(short)); near != "" {
		return problems.New(problems.LabelMisspelt, fmt.Sprintf("%s is not a label", quote(name)), "did you mean "+Prefix+near+"?")
	}
	if strings.HasPrefix(short, "header") {
		return problems.New(problems.LabelMisspelt, fmt.Sprintf("%s is not a label", quote(name)),
			"did you mean "+Prefix+requestHeader+"<name> or "+Prefix+responseHeader+"<name>?")
	}
	if inFamily(name[len(Prefix):]) {
		return problems.New(problems.LabelUnsupported, fmt.Sprintf("%s is not served by this version; the service is routed as if it were absent", quote(name)), withoutIt)
	}
	return problems.New(problems.LabelUnknown, fmt.Sprintf("%s is not a label", quote(name)),
		"remove it; there are no labels for raw configuration")
}

// partOf is the only known label that begins or ends with the given words:
// service_cluster for "cluster". Where there are several, it is none.
func partOf(short string) string {
	found := ""
	for _, name := range known() {
		if len(short) > 2 && (strings.HasPrefix(name, short+"_") || strings.HasSuffix(name, "_"+short)) {
			if found != "" {
				return ""
			}
			found = name
		}
	}
	return found
}

// combine checks what only all labels together show, and folds them. before is
// what was found in single labels.
func combine(labels map[string]string, s *Spec, before []routing.Problem) []routing.Problem {
	var found []routing.Problem
	if !s.DefaultBackend && len(s.Hosts) == 0 && !speaksOf(before, "hosts") {
		found = about(Prefix+"hosts", hostsMissing(labels))
	}
	if s.Rewrite && s.ContextRoot == "/" {
		found = append(found, withoutEffect("context_root_rewrite", "there is no context_root to strip"))
	}
	if s.ipHash && s.Algorithm != routing.IPHash {
		if _, set := labels[Prefix+"algorithm"]; set {
			found = append(found, withoutEffect("ip_hash", "algorithm says otherwise"))
		} else {
			s.Algorithm = routing.IPHash
		}
	}
	found = append(found, healthLimits(labels, s)...)
	if s.Mode == routing.ModeVIP {
		found = append(found, vipLimits(labels, s)...)
	}
	return found
}

func hostsMissing(labels map[string]string) routing.Problem {
	if _, set := labels[Prefix+"hosts"]; set {
		return problems.New(problems.LabelHostsMissing, Prefix+"hosts is empty, perhaps because of a variable that is not set",
			"write the service's host name, or ${NAME?} so that a deployment without the variable fails")
	}
	return problems.New(problems.LabelHostsMissing, "the service has routing labels but no "+Prefix+"hosts",
		"add "+Prefix+"hosts: app.example.com to deploy.labels")
}

// speaksOf says whether an error about the label, or about a misspelling of
// it, was found before.
func speaksOf(found []routing.Problem, name string) bool {
	return slices.ContainsFunc(found, func(p routing.Problem) bool {
		return p.Severity == routing.Error && (p.Label == Prefix+name || strings.Contains(p.Hint, Prefix+name))
	})
}

// vipLimits names what can't work when requests go to the virtual address,
// where Swarm chooses the task.
func vipLimits(labels map[string]string, s *Spec) []routing.Problem {
	var found []routing.Problem
	for _, name := range []string{"algorithm", "ip_hash", "max_fails", "fail_timeout", "max_connections", "sticky_session_cookie",
		"health_path", "health_interval", "health_timeout", "health_status"} {
		if _, set := labels[Prefix+name]; set {
			found = append(found, withoutEffect(name, "backend_mode vip leaves the choice of a task to Swarm"))
		}
	}
	s.Algorithm, s.MaxFails, s.MaxConnections = routing.RoundRobin, 0, 0
	s.StickyCookie = ""
	s.HealthPath, s.HealthStatus, s.HealthInterval, s.HealthTimeout = "", "", 0, 0
	return found
}

func withoutEffect(name, why string) routing.Problem {
	p := problems.New(problems.LabelWithoutEffect, fmt.Sprintf("%s has no effect: %s", name, why), "remove it")
	p.Label = Prefix + name
	return p
}

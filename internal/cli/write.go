package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"interlock/internal/api"
	"interlock/internal/config"
	"interlock/internal/policy"
	"interlock/internal/provision"
	"interlock/routing"
)

// name is a cluster's for people.
func name(cluster string) string {
	return cmp.Or(Printable(cluster), "(default)")
}

// WriteStatus writes a status for people.
func WriteStatus(w io.Writer, s api.Status, style Style) {
	fmt.Fprintf(w, "interlock %s, up %s, Swarm seen %s\n", Printable(s.Version), time.Since(s.Started).Round(time.Second), age(s.SnapshotAge))
	if len(s.Doubt) > 0 {
		fmt.Fprintln(w, style.warn("not fully known: "+strings.Join(s.Doubt, ", ")))
	}
	for _, c := range s.Clusters {
		writeCluster(w, c, style)
	}
}

func age(ms int64) string {
	if ms < 0 {
		return "not yet"
	}
	return (time.Duration(ms) * time.Millisecond).Round(100*time.Millisecond).String() + " ago"
}

func writeCluster(w io.Writer, c api.Cluster, style Style) {
	fmt.Fprintf(w, "\n%s  %s", style.bold(name(c.Name)), stateWord(c.State, style))
	if c.Generation.Generation > 0 {
		fmt.Fprintf(w, "  generation %d (epoch %d)", c.Generation.Generation, c.Generation.Epoch)
	}
	if c.Rollout != "idle" && c.Rollout != "" {
		fmt.Fprintf(w, "  %s", c.Rollout)
	}
	fmt.Fprintln(w)
	if c.Reason != "" {
		fmt.Fprint(w, wrap(Printable(c.Reason), "  ", Width))
	}
	fmt.Fprintf(w, "  %d services, %d routes, %d endpoints; %s\n", c.Services, c.Routes, c.Endpoints, counted(c.Problems, style))
	if c.OperatorLines {
		fmt.Fprint(w, wrap("The operator's raw lines are in force: the guarantees about services do not cover them.", "  ", Width))
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, p := range c.Proxies {
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", Printable(p.Name), Printable(p.Node), proxyWord(p), Printable(p.EngineVersion))
	}
	t.Flush()
}

func stateWord(s api.State, style Style) string {
	word := strings.ToUpper(string(s[:min(1, len(s))])) + string(s[min(1, len(s)):])
	switch s {
	case api.Ready:
		return style.good(word)
	case api.Degraded, api.Waiting:
		return style.warn(word)
	}
	return style.bad(word)
}

// proxyWord is not coloured: it stands in a table.
func proxyWord(p api.Proxy) string {
	switch {
	case !p.Connected:
		return "silent"
	case p.Draining:
		return "draining"
	case p.Synced:
		return "synced"
	case p.Confirmed.Generation == 0:
		return "empty"
	}
	return fmt.Sprintf("stale: generation %d", p.Confirmed.Generation)
}

func counted(n map[routing.Severity]int, style Style) string {
	var parts []string
	for _, severity := range []routing.Severity{routing.Error, routing.Warning} {
		if n[severity] > 0 {
			parts = append(parts, severityWord(severity, plural(n[severity], string(severity)), style))
		}
	}
	if len(parts) == 0 {
		return "no problems"
	}
	return strings.Join(parts, ", ")
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

func severityWord(s routing.Severity, text string, style Style) string {
	switch s {
	case routing.Error:
		return style.bad(text)
	case routing.Warning:
		return style.warn(text)
	}
	return text
}

// WriteRoutes writes routes for people, one line for each service behind one. A
// network is named only where it is not the cluster's own.
func WriteRoutes(w io.Writer, routes []api.Route) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CLUSTER\tHOST\tPATH\tSERVICE\tPORT\tENDPOINTS")
	for _, r := range routes {
		own := provision.NetworkName(config.Cluster{Name: r.Cluster}.Slug())
		for _, b := range r.Backends {
			line := fmt.Sprintf("%s\t%s\t%s\t%s\t%d\t%d", name(r.Cluster), Printable(r.Host), Printable(r.Path),
				Printable(b.Service), b.Port, len(b.Endpoints))
			if b.Network != own {
				line += " over " + Printable(b.Network)
			}
			if !r.Live {
				line += ", not live yet"
			}
			fmt.Fprintln(t, line)
		}
	}
	t.Flush()
}

// WriteProblems writes problems for people, errors first, wrapped at Width.
func WriteProblems(w io.Writer, problems []routing.Problem, style Style) {
	sorted := slices.Clone(problems)
	rank := map[routing.Severity]int{routing.Error: 0, routing.Warning: 1, routing.Info: 2}
	slices.SortStableFunc(sorted, func(a, b routing.Problem) int {
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(rank[a.Severity], rank[b.Severity]), cmp.Compare(a.Service, b.Service))
	})
	for i, p := range sorted {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s %s  [%s]\n", severityWord(p.Severity, string(p.Severity), style), style.bold(subject(p)), Printable(p.Code))
		fmt.Fprint(w, wrap(Printable(p.Message), "  ", Width))
		if p.Hint != "" {
			fmt.Fprint(w, wrap("fix: "+Printable(p.Hint), "  ", Width))
		}
	}
	if len(sorted) == 0 {
		fmt.Fprintln(w, style.good("no problems"))
	}
}

// subject is whom a problem is about.
func subject(p routing.Problem) string {
	var parts []string
	if p.Cluster != "" {
		parts = append(parts, "cluster "+Printable(p.Cluster))
	}
	if p.Service != "" {
		parts = append(parts, "service "+Printable(p.Service))
	}
	if p.Label != "" {
		parts = append(parts, Printable(p.Label))
	}
	if p.File != "" {
		parts = append(parts, fmt.Sprintf("%s:%d", Printable(p.File), p.Line))
	}
	return strings.Join(parts, ", ")
}

// Approved says in words what an approval did.
func Approved(a api.Approval) string {
	text := Printable(policy.OwnerInWords(a.Owner)) + " is at home in " + Printable(a.Collection)
	if a.From != "" && a.From != a.Collection {
		text += ", no longer in " + Printable(a.From)
	}
	return text
}

// WriteClaims writes who holds what as a table.
func WriteClaims(w io.Writer, claims []api.Claim) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CLUSTER\tHOST\tPATH\tHELD BY\tSINCE\tIDLE")
	for _, c := range claims {
		idle := ""
		if c.Idle > 0 {
			idle = time.Duration(c.Idle * float64(time.Second)).Round(time.Second).String()
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", name(c.Cluster), Printable(c.Host), Printable(c.Path),
			Printable(policy.OwnerInWords(c.Owner)), c.Since.Format(time.DateOnly), idle)
	}
	t.Flush()
}

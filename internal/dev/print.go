package dev

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"interlock/routing"
)

// printer writes what has changed, and nothing twice.
type printer struct {
	out     io.Writer
	problem func(io.Writer, routing.Problem)
	shown   map[string]string // routes by address
	told    map[routing.Problem]bool
}

// routes prints a cluster's routes if they are not the ones printed last.
func (p *printer) routes(address string, t routing.Table) {
	text := routesText(address, t)
	if p.shown[address] == text {
		return
	}
	if p.shown == nil {
		p.shown = map[string]string{}
	}
	p.shown[address] = text
	fmt.Fprintln(p.out, text)
}

func routesText(address string, t routing.Table) string {
	var b strings.Builder
	fmt.Fprintf(&b, "cluster %s at http://%s\n", clusterName(t.Cluster), address)
	services := make(map[string]string, len(t.Backends))
	for _, backend := range t.Backends {
		services[backend.ID] = backend.Service
	}
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, r := range t.Routes {
		fmt.Fprintf(w, "  %s%s\t→ %s\n", r.Host, r.Path, strings.Join(names(r, services), " + "))
	}
	_ = w.Flush()
	if len(t.Routes) == 0 {
		b.WriteString("  no routes\n")
	}
	return b.String()
}

func names(r routing.Route, services map[string]string) (list []string) {
	for _, id := range r.Backends {
		list = append(list, services[id])
	}
	return list
}

func clusterName(name string) string { return cmp.Or(name, "(default)") }

// problems prints those that are new, and the end of those that have gone.
func (p *printer) problems(present []routing.Problem) {
	now := map[routing.Problem]bool{}
	for _, problem := range present {
		if !now[problem] && !p.told[problem] {
			p.problem(p.out, problem)
		}
		now[problem] = true
	}
	var gone []string
	for problem := range p.told {
		if !now[problem] {
			gone = append(gone, fmt.Sprintf("solved: %s %s %s\n", problem.Code, problem.Service, problem.Label))
		}
	}
	slices.Sort(gone)
	fmt.Fprint(p.out, strings.Join(gone, ""))
	p.told = now
}

// Package haproxy renders a cluster's table into the configuration of HAProxy
// 3.0 or newer. It is pure: equal tables give equal bytes.
//
// The bundle's main file is haproxy.cfg. It is relocatable: the agent replaces
// @DIR@ by the folder of the generation, @RUN@ by its own run-time folder and
// @INSTANCE@ by a name that only this proxy has, @REVISION@ by the revision it
// was told, and puts server lines where a line
// "  # endpoints <section>" stands. The agent keeps @RUN@/health.map, whose key
// "state" has the value ready, not-ready or drain.
//
// Hosts and paths are keys of the map files and nothing else; what the
// configuration needs to know of a path is its length. Names of sections are
// backend ids and hashes of them. The only free text of a label in haproxy.cfg
// are values of headers and paths of health checks, quoted by position; names of
// headers and cookies stand there within a grammar of letters and digits.
//
//	maps/hosts.map      host → section, or il_one_path or il_many_paths when the
//	                    path decides
//	maps/patterns.map   the same for "*.suffix" and "*"
//	maps/paths.map      host + path + "/" → section, longest prefix first
package haproxy

import (
	"fmt"
	"strings"

	"interlock/bundle"
	"interlock/routing"
)

// MainFile is the file that HAProxy is started with.
const MainFile = "haproxy.cfg"

// Render returns the bundle of t. An error says what in the table is outside
// the grammar that the compiler keeps; it is never about the engine.
func Render(t routing.Table) (bundle.Bundle, error) {
	if err := validate(t); err != nil {
		return bundle.Bundle{}, fmt.Errorf("render: %w", err)
	}
	p := newPlan(t)
	m := newMaps(t, p)
	main, err := renderMain(t, p, m)
	if err != nil {
		return bundle.Bundle{}, fmt.Errorf("render: %w", err)
	}
	files := append([]bundle.File{
		{Path: MainFile, Data: main},
		{Path: "maps/hosts.map", Data: m.hosts},
		{Path: "maps/patterns.map", Data: m.patterns},
		{Path: "maps/paths.map", Data: m.paths},
	}, pages...)
	if t.Base.ProxyProtocol {
		files = append(files, bundle.File{Path: "lists/trusted.lst", Data: strings.Join(t.Base.TrustedProxies, "\n") + "\n"})
	}
	files = append(files, allowFiles(p)...)
	return bundle.Bundle{
		Cluster:  t.Cluster,
		Engine:   bundle.HAProxy,
		Files:    files,
		Backends: backendsOf(t, p),
		Ports:    []int{t.Base.HTTPPort, t.Base.HealthPort},
	}, nil
}

// renderMain writes haproxy.cfg.
func renderMain(t routing.Table, p plan, m maps) (string, error) {
	var b strings.Builder
	b.Grow(16<<10 + 400*len(p.sections))
	renderGlobal(&b, t.Base)
	renderDefaults(&b, t.Base)
	if err := renderFrontend(&b, t, m); err != nil {
		return "", err
	}
	renderHealth(&b, t.Base)
	for _, name := range []string{unrouted, onePath, manyPaths} {
		fmt.Fprintf(&b, "\nbackend %s\n  http-request return status 503 content-type text/html file @DIR@/pages/unrouted.html\n", name)
	}
	share := max(1, t.Base.MaxConnections*t.Base.MaxShare/100)
	for _, s := range p.sections {
		if err := s.render(&b, p.options(s), share); err != nil {
			return "", fmt.Errorf("backend %s: %w", s.name, err)
		}
	}
	return b.String(), nil
}

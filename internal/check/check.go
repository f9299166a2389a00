// Package check judges stack files before they are deployed: which routes they
// would get, and what is wrong with them, by the same admission and compiler
// that core runs.
package check

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"interlock/internal/compile"
	"interlock/internal/config"
	"interlock/internal/label"
	"interlock/internal/problems"
	"interlock/internal/stackfile"
	"interlock/internal/swarm"
	"interlock/routing"
)

// Report is what `interlock check` says. Its JSON is a contract.
type Report struct {
	Problems []routing.Problem `json:"problems"`
	Routes   []Route           `json:"routes"`
}

// Route is one host and path with one service behind it. Service is the key in
// the stack file. What has its default is left out.
type Route struct {
	Cluster string `json:"cluster"`
	Stack   string `json:"stack"`
	Service string `json:"service"`
	Host    string `json:"host"`
	Path    string `json:"path"`
	Port    int    `json:"port"`
	Network string `json:"network"`

	Rewrite        bool   `json:"context_root_rewrite,omitempty"`
	DefaultBackend bool   `json:"default_backend,omitempty"`
	Mode           string `json:"backend_mode,omitempty"`
	Algorithm      string `json:"algorithm,omitempty"`
	MaxFails       int    `json:"max_fails,omitempty"`
	FailTimeout    string `json:"fail_timeout,omitempty"`

	ConnectTimeout  string           `json:"timeout_connect,omitempty"`
	ResponseTimeout string           `json:"timeout_response,omitempty"`
	IdleTimeout     string           `json:"timeout_idle,omitempty"`
	MaxConnections  int              `json:"max_connections,omitempty"`
	HealthPath      string           `json:"health_path,omitempty"`
	HealthInterval  string           `json:"health_interval,omitempty"`
	HealthTimeout   string           `json:"health_timeout,omitempty"`
	HealthStatus    string           `json:"health_status,omitempty"`
	StickyCookie    string           `json:"sticky_session_cookie,omitempty"`
	Allow           []string         `json:"allow,omitempty"`
	Protocol        string           `json:"backend_protocol,omitempty"`
	RequestHeaders  []routing.Header `json:"request_headers,omitempty"`
	ResponseHeaders []routing.Header `json:"response_headers,omitempty"`
}

// Run checks a project as if all of it were deployed, in the order of its
// services, on an empty Swarm with these clusters. found is what reading the
// files found. Without any cluster, as when config.toml can't be read, only the
// files' own mistakes are told.
func Run(p stackfile.Project, found []routing.Problem, clusters []config.Cluster) Report {
	r := &run{project: p, byID: p.ByID(), byName: byDeployedName(p), seen: map[routing.Problem]bool{}}
	var out compile.AllOutput
	if len(clusters) > 0 {
		out = compile.All(compile.AllInput{Snapshot: p.Snapshot(ownNetworks(clusters)...), Clusters: clusters})
	}
	r.add(found...)
	for _, problem := range out.Problems {
		r.add(r.place(problem))
	}
	for _, s := range p.Services {
		r.labels(s)
	}
	r.silentFiles()
	for _, c := range clusters {
		if compiled, ok := out.Clusters[c.Name]; ok {
			r.routes(c.Name, compiled.Table)
		}
	}
	return r.report()
}

// Assumed are the clusters to check against when there is no config.toml: one
// for each name that a service asks for, and the default one, all of which
// admit everything.
func Assumed(p stackfile.Project) []config.Cluster {
	names := []string{""}
	for _, s := range p.Services {
		if spec, _ := label.Parse(s.Labels); spec.ClusterSet {
			names = append(names, spec.Cluster)
		}
	}
	slices.Sort(names)
	var text strings.Builder
	for i, name := range slices.Compact(names) {
		fmt.Fprintf(&text, "[Extensions.c%d]\nServiceCluster = %q\nPublishedPort = 0\n", i, name)
	}
	clusters := config.Parse([]byte(text.String()), "").Clusters
	for i := range clusters {
		clusters[i].Policy.MaxRoutes = math.MaxInt // of all files together, which need not share one cluster
	}
	return clusters
}

// ownNetworks are the networks that the clusters' proxies join for certain:
// they exist whether or not a stack file mentions them.
func ownNetworks(clusters []config.Cluster) []string {
	var names []string
	for _, c := range clusters {
		names = append(names, c.Networks...)
		if len(c.Networks) == 0 && c.NetworkAttach != config.AttachAuto {
			names = append(names, "il-"+c.Slug())
		}
	}
	return names
}

// run is the working state of one Run.
type run struct {
	project stackfile.Project
	byID    map[string]stackfile.Service
	byName  map[string]stackfile.Service
	seen    map[routing.Problem]bool
	out     Report
}

// add takes each problem once, whichever cluster it was found for.
func (r *run) add(ps ...routing.Problem) {
	for _, p := range ps {
		k := p
		k.Cluster, k.Severity = "", ""
		if !r.seen[k] {
			r.seen[k] = true
			r.out.Problems = append(r.out.Problems, p)
		}
	}
}

// place gives a problem of the compiler's the file, line and key of its service.
func (r *run) place(p routing.Problem) routing.Problem {
	if s, ok := r.byName[p.Service]; ok {
		return at(s, p)
	}
	return p
}

// byDeployedName are the services that would be deployed; of two with one name
// the first.
func byDeployedName(p stackfile.Project) map[string]stackfile.Service {
	out := make(map[string]stackfile.Service, len(p.Services))
	for _, s := range p.Services {
		if _, taken := out[s.DeployedName()]; !taken && !s.Refused {
			out[s.DeployedName()] = s
		}
	}
	return out
}

func at(s stackfile.Service, p routing.Problem) routing.Problem {
	p.Service, p.File, p.Line = s.Name, s.File, s.LineOf(p.Label)
	if p.Code == problems.LabelMisplaced {
		p.Line = s.LineOfContainer(p.Label)
	}
	return p
}

// labels adds what is wrong with a service's labels whether or not a cluster
// admits it.
func (r *run) labels(s stackfile.Service) {
	spec, found := label.Parse(s.Labels)
	for _, p := range slices.Concat(found, label.Misplaced(s.ContainerLabels, spec.Registers)) {
		if p = at(s, p); !r.explained(p) {
			r.add(p)
		}
	}
}

// explained says whether a placeholder is one only because its variable could
// not be replaced, which was said before.
func (r *run) explained(p routing.Problem) bool {
	return p.Code == problems.LabelPlaceholder && slices.ContainsFunc(r.out.Problems, func(q routing.Problem) bool {
		return q.Code == problems.StackfileVariable && q.File == p.File && q.Line == p.Line
	})
}

// silentFiles says of each file without any service that asks for routing that
// it has none, where nothing else is said of it.
func (r *run) silentFiles() {
	spoken := map[string]bool{}
	for _, p := range r.out.Problems {
		spoken[p.File] = true
	}
	for _, s := range r.project.Services {
		spec, _ := label.Parse(s.Labels)
		spoken[s.File] = spoken[s.File] || spec.Registers || s.Refused
	}
	for _, s := range r.project.Services {
		if !spoken[s.File] {
			spoken[s.File] = true
			p := problems.New(problems.StackfileDeployMissing, "no service of the file asks for routing", "add com.docker.lb.hosts and com.docker.lb.port to deploy: labels: of a service")
			p.File, p.Line = s.File, 1
			r.add(p)
		}
	}
}

func (r *run) routes(cluster string, t routing.Table) {
	backends := map[string]routing.Backend{}
	for _, b := range t.Backends {
		backends[b.ID] = b
	}
	for _, route := range t.Routes {
		for _, id := range route.Backends {
			r.out.Routes = append(r.out.Routes, r.route(cluster, route, backends[id]))
		}
	}
}

func (r *run) route(cluster string, route routing.Route, b routing.Backend) Route {
	s := r.byID[b.ServiceID]
	out := Route{
		Cluster: cluster, Stack: b.Stack, Service: s.Name, Host: route.Host, Path: route.Path, Port: b.Port, Network: b.Network,
		Rewrite: route.Rewrite, DefaultBackend: route.Host == routing.DefaultHost, MaxFails: b.MaxFails,
	}
	if b.Mode != routing.ModeTask {
		out.Mode = b.Mode
	}
	if b.Algorithm != routing.RoundRobin {
		out.Algorithm = b.Algorithm
	}
	out.FailTimeout = duration(b.FailTimeout)
	out.ConnectTimeout, out.ResponseTimeout, out.IdleTimeout = duration(b.ConnectTimeout), duration(b.ResponseTimeout), duration(b.IdleTimeout)
	out.Protocol = b.Protocol
	out.RequestHeaders, out.ResponseHeaders = b.RequestHeaders, b.ResponseHeaders
	out.MaxConnections, out.StickyCookie, out.Allow = b.MaxConnections, b.StickyCookie, b.Allow
	out.HealthPath, out.HealthInterval, out.HealthTimeout, out.HealthStatus = b.HealthPath, duration(b.HealthInterval), duration(b.HealthTimeout), b.HealthStatus
	return out
}

// duration writes milliseconds as a label has them; "" for 0.
func duration(ms int) string {
	switch {
	case ms <= 0:
		return ""
	case ms%1000 == 0:
		return fmt.Sprintf("%ds", ms/1000)
	}
	return fmt.Sprintf("%dms", ms)
}

// dropUnnamed drops that a cluster is unknown where its name is no name.
func (r *run) dropUnnamed() {
	type place struct {
		file, service, label string
	}
	unnamed := map[place]bool{}
	for _, p := range r.out.Problems {
		unnamed[place{p.File, p.Service, p.Label}] = unnamed[place{p.File, p.Service, p.Label}] || p.Code == problems.LabelName
	}
	r.out.Problems = slices.DeleteFunc(r.out.Problems, func(p routing.Problem) bool {
		return p.Code == problems.ClusterUnknown && unnamed[place{p.File, p.Service, p.Label}]
	})
}

// report sorts what was found by file and line, routes by cluster and place.
func (r *run) report() Report {
	r.dropUnnamed()
	slices.SortStableFunc(r.out.Problems, func(a, b routing.Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Label, b.Label))
	})
	slices.SortStableFunc(r.out.Routes, func(a, b Route) int {
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Path, b.Path))
	})
	if r.out.Problems == nil {
		r.out.Problems = []routing.Problem{}
	}
	if r.out.Routes == nil {
		r.out.Routes = []Route{}
	}
	return r.out
}

// InCollection gives services without a collection label the collection that
// something outside the file will pin on them.
func InCollection(p stackfile.Project, collection string) stackfile.Project {
	if collection == "" {
		return p
	}
	p.Services = slices.Clone(p.Services)
	for i, s := range p.Services {
		if s.Labels[swarm.CollectionLabel] == "" {
			p.Services[i] = s.WithLabel(swarm.CollectionLabel, collection)
		}
	}
	return p
}

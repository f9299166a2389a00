package dev

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"time"

	"interlock/internal/config"
	"interlock/internal/problems"
	"interlock/internal/stackfile"
	"interlock/internal/swarm"
	"interlock/routing"
)

// facts are what the directory says at one moment.
type facts struct {
	services []stackfile.Service
	snapshot swarm.Snapshot
	clusters []config.Cluster
	problems []routing.Problem
}

// reader reads the directory again and again. A file that Docker would not
// deploy leaves what was deployed from it before.
type reader struct {
	dir   string
	last  string // fingerprint
	files []file
	toml  []byte

	deployed map[string]stackfile.Project // by path
	config   config.File                  // the last readable one
	born     map[string]time.Time         // of services, by id
	named    []string                     // clusters seen without a config.toml
}

// read looks at the directory and says whether anything has changed.
func (r *reader) read() (changed bool, err error) {
	files, toml, err := scan(r.dir)
	if err != nil {
		return false, err
	}
	print := fingerprint(files, toml)
	if print == r.last {
		return false, nil
	}
	r.last, r.files, r.toml = print, files, toml
	return true, nil
}

// facts parses what was read.
func (r *reader) facts() facts {
	var f facts
	present := map[string]stackfile.Project{}
	for _, file := range r.files {
		project, found := r.deploy(file)
		present[file.path] = project
		f.services = append(f.services, project.Services...)
		f.problems = append(f.problems, found...)
	}
	r.deployed = present
	var found []routing.Problem
	f.clusters, found = r.clusters(f.services)
	f.problems = append(f.problems, found...)
	f.snapshot = r.snapshot(f.services, f.clusters)
	return f
}

// deploy parses one file; when Docker would refuse it, it yields what was
// deployed before.
func (r *reader) deploy(f file) (stackfile.Project, []routing.Problem) {
	name := filepath.Join(r.dir, filepath.FromSlash(f.path))
	if f.err != nil {
		p := problems.New(problems.DevFile, f.err.Error(), "what the file said before stays in force")
		p.File = name
		return r.deployed[f.path], []routing.Problem{p}
	}
	project, found := stackfile.Parse(stackfile.Source{File: name, Stack: f.stack, Data: f.data}, os.LookupEnv)
	if problems.Errors(found) || slices.ContainsFunc(project.Services, func(s stackfile.Service) bool { return s.Refused }) {
		return r.deployed[f.path], found
	}
	return project, found
}

// clusters are those of config.toml, or without one those that services name.
func (r *reader) clusters(services []stackfile.Service) ([]config.Cluster, []routing.Problem) {
	if r.toml == nil {
		r.config = config.File{}
		return r.namedClusters(services), nil
	}
	parsed := config.Parse(r.toml, filepath.Join(r.dir, configFile))
	if parsed.Unreadable == "" {
		r.config = parsed
	}
	return r.config.Clusters, parsed.Problems
}

// maxNamed bounds the clusters that labels can bring into being.
const maxNamed = 16

// namedClusters makes a cluster of each name that services ask for, with
// defaults that admit everything. One that was seen stays.
func (r *reader) namedClusters(services []stackfile.Service) []config.Cluster {
	for _, s := range services {
		name := s.Labels["com.docker.lb.service_cluster"]
		if asksForRouting(s) && len(r.named) < maxNamed && !slices.Contains(r.named, name) && len(name) <= 64 {
			r.named = append(r.named, name)
		}
	}
	defaults := config.Parse([]byte("[Extensions.dev]\n"), "").Clusters
	var clusters []config.Cluster
	for _, name := range r.named {
		c := defaults[0]
		c.Name, c.Table = name, cmp.Or(name, "default")
		c.NetworkAttach = config.AttachAuto
		c.Policy.Unlabelled = true
		c.Policy.ClaimHold = 0 // who edits files means what they say now
		clusters = append(clusters, c)
	}
	return clusters
}

func asksForRouting(s stackfile.Service) bool {
	for name := range s.Labels {
		if len(name) > len("com.docker.lb.") && name[:len("com.docker.lb.")] == "com.docker.lb." {
			return true
		}
	}
	return false
}

// snapshot is the Swarm that would be if the files were deployed. A service's
// id is its name, so that it stays the same service when files change.
func (r *reader) snapshot(services []stackfile.Service, clusters []config.Cluster) swarm.Snapshot {
	snap := stackfile.Project{Services: services}.Snapshot(networksOf(services, clusters)...)
	names := map[string]string{}
	for i := range snap.Services {
		s := &snap.Services[i]
		names[s.ID] = s.Name
		s.ID, s.Created = s.Name, r.created(s.Name)
	}
	for i := range snap.Tasks {
		t := &snap.Tasks[i]
		t.ServiceID = names[t.ServiceID]
		t.ID = t.ServiceID + ".1"
	}
	slices.SortFunc(snap.Services, func(a, b swarm.Service) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(snap.Tasks, func(a, b swarm.Task) int { return cmp.Compare(a.ID, b.ID) })
	return snap
}

// networksOf are all networks that services are on and clusters want.
func networksOf(services []stackfile.Service, clusters []config.Cluster) (names []string) {
	for _, c := range clusters {
		names = append(append(names, c.Networks...), "il-"+c.Slug())
	}
	for _, s := range services {
		names = append(names, s.Networks...)
	}
	return names
}

// created orders services as they appeared: who came first keeps a host.
func (r *reader) created(id string) time.Time {
	if r.born == nil {
		r.born = map[string]time.Time{}
	}
	if r.born[id].IsZero() {
		r.born[id] = time.Unix(int64(len(r.born)+1), 0).UTC()
	}
	return r.born[id]
}

// place adds file and line to problems about services of the files.
func place(found []routing.Problem, services []stackfile.Service) []routing.Problem {
	byName := make(map[string]stackfile.Service, len(services))
	for _, s := range services {
		byName[s.DeployedName()] = s
	}
	for i, p := range found {
		if s, ok := byName[p.Service]; ok && p.File == "" {
			found[i].File, found[i].Line = s.File, s.LineOf(p.Label)
		}
	}
	return found
}

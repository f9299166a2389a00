package haproxy

import (
	"strings"

	"interlock/routing"
)

// Sections that answer 503 by themselves. They are also the values of hosts
// whose path has to be looked up, so that every value of a map names a section.
const (
	unrouted  = "il_unrouted"   // no such host
	onePath   = "il_one_path"   // a host with one route, not on "/"
	manyPaths = "il_many_paths" // a host with several routes
)

// site is a host of the table with what the frontend has to know of it.
type site struct {
	host   string
	routes int
	root   string // the section of a host whose only route is on "/"
}

// maps are the contents of the map files and what they hold.
type maps struct {
	hosts, patterns, paths string
	wildcards              []bool // wildcards[n]: there is a "*.suffix" of n labels
	hasDefault             bool
	open                   bool // some host's section depends on the path
}

// newMaps goes through the routes once. Sites come in the order of their first
// route, which is sorted.
func newMaps(t routing.Table, p plan) maps {
	var (
		m     maps
		paths strings.Builder
		sites []site
		index = make(map[string]int, len(t.Routes))
	)
	for i, r := range t.Routes {
		n, ok := index[r.Host]
		if !ok {
			n = len(sites)
			index[r.Host] = n
			sites = append(sites, site{host: r.Host})
		}
		sites[n].routes++
		if r.Path == "/" {
			sites[n].root = p.of[i]
		}
		paths.WriteString(r.Host + strings.TrimSuffix(r.Path, "/") + "/ " + p.of[i] + "\n")
	}
	m.paths = paths.String()
	m.addHosts(sites)
	return m
}

func (m *maps) addHosts(sites []site) {
	var hosts, patterns strings.Builder
	for _, s := range sites {
		value := s.value()
		m.open = m.open || value == onePath || value == manyPaths
		if strings.HasPrefix(s.host, "*") {
			patterns.WriteString(s.host + " " + value + "\n")
		} else {
			hosts.WriteString(s.host + " " + value + "\n")
		}
		if s.host == routing.DefaultHost {
			m.hasDefault = true
		}
		if suffix, ok := strings.CutPrefix(s.host, "*."); ok {
			depth := strings.Count(suffix, ".") + 1
			for len(m.wildcards) <= depth {
				m.wildcards = append(m.wildcards, false)
			}
			m.wildcards[depth] = true
		}
	}
	m.hosts, m.patterns = hosts.String(), patterns.String()
}

// value is the host's value in the host map.
func (s site) value() string {
	switch {
	case s.routes > 1:
		return manyPaths
	case s.root != "":
		return s.root
	default:
		return onePath
	}
}

package migrate

import (
	"slices"
	"strconv"
	"strings"
)

func isTraefik(name string) bool { return strings.HasPrefix(strings.ToLower(name), "traefik.") }

// option is a label's value with the index of its entry.
type option struct {
	at    int
	value string
}

// options are labels of one thing by the rest of their names, in lower case.
type options map[string]option

// versions of Traefik's labels, as far as their names tell.
const (
	traefikNone = 0
	traefik1    = 1
	traefik2    = 2 // and 3
)

// versionOf tells whose label it is; traefikNone is common to all.
func versionOf(name string) int {
	name = strings.ToLower(name)
	first, rest := cutName(strings.TrimPrefix(name, "traefik."))
	switch first {
	case "http", "tcp", "udp", "swarm":
		if rest != "" {
			return traefik2
		}
		return traefik1
	case "enable", "docker", "tags", "constraint-label":
		return traefikNone
	}
	return traefik1
}

// cutName cuts a name at its first dot that is in no variable.
func cutName(name string) (first, rest string) {
	depth := 0
	for i := range len(name) {
		switch name[i] {
		case '{':
			depth++
		case '}':
			depth--
		case '.':
			if depth == 0 {
				return name[:i], name[i+1:]
			}
		}
	}
	return name, ""
}

// translateTraefik finds out which labels they are.
func translateTraefik(w *world, i int) outcome {
	var o outcome
	s := w.services[i]
	first := [3]int{-1, -1, -1}
	for at, e := range s.entries {
		if v := versionOf(e.name); isTraefik(e.name) && first[v] < 0 {
			first[v] = at
		}
	}
	t := &traefik{world: w, service: s, out: &o}
	if t.enabled() {
		switch {
		case first[1] >= 0 && first[2] >= 0:
			o.refuse(max(first[1], first[2]), "the service has labels of Traefik 1 and of Traefik 2 or 3", "keep those of one version")
		case first[2] >= 0:
			t.translate2()
		case first[1] >= 0:
			t.translate1()
		default:
			o.refuse(first[0], "the service has no rule; its host would come from Traefik's own configuration", "add traefik.http.routers."+quoteName(s.name)+".rule and the port of a service")
		}
	}
	return o
}

func quoteName(name string) string { return strings.Trim(quote(name), `"`) }

// traefik is the working state of one service's translation.
type traefik struct {
	world   *world
	service *service
	out     *outcome
}

// enabled reads what switches the service on or off.
func (t *traefik) enabled() bool {
	for at, e := range t.service.entries {
		if !strings.EqualFold(e.name, "traefik.enable") {
			continue
		}
		on, err := strconv.ParseBool(e.value)
		switch {
		case err != nil:
			t.out.refuse(at, quote(e.value)+" is neither true nor false", "write \"true\" or \"false\"")
			return false
		case !on:
			t.out.idle = true
			t.out.note(at, "the service is switched off, and is left as it is", "")
			return false
		}
		t.out.drop(at)
	}
	return true
}

// common translates labels that all versions have; done says that it did.
func (t *traefik) common(at int) (done bool) {
	e := t.service.entries[at]
	switch strings.ToLower(e.name) {
	case "traefik.enable":
	case "traefik.docker.network", "traefik.swarm.network":
		t.network(at, e.value)
	case "traefik.docker.lbswarm", "traefik.swarm.lbswarm":
		t.mode(at, e.value)
	case "traefik.tags", "traefik.constraint-label":
		t.out.lose(at, "it chooses which Traefik serves the service; here the operator's policy decides, by the collection", "use com.docker.lb.service_cluster where there is a choice")
	default:
		return false
	}
	return true
}

// mode is whether Swarm balances.
func (t *traefik) mode(at int, value string) {
	on, err := strconv.ParseBool(value)
	switch {
	case err != nil:
		t.out.refuse(at, quote(value)+" is neither true nor false", "write \"true\" or \"false\"")
	case on:
		t.out.wish(at, "backend_mode", "vip", true)
	default:
		t.out.drop(at)
	}
}

// network takes the name over where the service is on it. Traefik takes another
// one where it is not.
func (t *traefik) network(at int, value string) {
	if t.world.on(t.service, value) {
		t.out.wish(at, "network", value, true)
		return
	}
	t.out.lose(at, "the service is not on a network "+quote(value), "name one of the service's networks in com.docker.lb.network")
}

// Entry points are of Traefik's own configuration. Those of these names are for
// everybody by custom, the first two by plain HTTP, which every cluster serves.
var (
	plainEntryPoints  = []string{"web", "http"}
	secureEntryPoints = []string{"websecure", "https"}
)

// entryPoints drops what is the same here. Of an entry point by another name it
// can't be known who reaches it.
func (t *traefik) entryPoints(at int, value string) {
	for name := range strings.SplitSeq(value, ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		switch {
		case slices.Contains(secureEntryPoints, name):
			t.out.lose(at, "entry point "+quote(name)+" is not expressed: the route is served at the cluster's plain HTTP port", "end TLS in front of the proxies, then remove the label")
			return
		case !slices.Contains(plainEntryPoints, name):
			t.out.refuse(at, "entry point "+quote(name)+" is one of Traefik's own configuration, so it can't be known who reaches it", "remove the label if those who reach the cluster's port may reach the service")
			return
		}
	}
	t.out.drop(at)
}

// scheme is what the tasks speak.
func (t *traefik) scheme(at int, value string) {
	switch strings.ToLower(value) {
	case "http":
		t.out.drop(at)
	case "https":
		t.out.wish(at, "ssl_backend", "true", true)
	case "h2c":
		t.out.wish(at, "backend_protocol", "h2", true)
	default:
		t.out.refuse(at, quote(value)+" is not a protocol that can be expressed", "let the application speak HTTP")
	}
}

// switched translates a switch of which one position is what we always do.
func (t *traefik) switched(at int, value string, always bool, otherwise string) {
	if on, err := strconv.ParseBool(value); err == nil && on == always {
		t.out.drop(at)
		return
	}
	t.out.lose(at, otherwise, withoutIt)
}

// withoutIt is the hint for labels that have no counterpart.
const withoutIt = "remove the label if the service may do without it"

// route makes wishes of a form; at is the entry of its rule.
func (t *traefik) route(at int, f form) {
	t.out.wish(at, "hosts", strings.Join(f.hosts, ","), true)
	if f.path == "/" {
		return
	}
	t.out.wish(at, "context_root", f.path, true)
	if !f.segments {
		t.out.note(at, "the context root matches whole segments: "+quote(f.path)+" and what is below it, not every path that begins so", "")
	}
}

package label

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"interlock/internal/problems"
	"interlock/internal/spell"
	"interlock/routing"
)

// hrmPrefix is what labels of the original's predecessor start with.
const hrmPrefix = "com.docker.ucp.mesh.http"

// otherRouters are prefixes of other routers' labels on Swarm services.
var otherRouters = []struct{ prefix, name string }{
	{"traefik.", "Traefik"},
	{"caddy", "caddy-docker-proxy"},
	{"com.df.", "docker-flow-proxy"},
}

// foreign finds signs that a service without any label of ours was meant to be
// routed all the same: other routers' labels, and near misses of our prefix.
// Each kind is said once.
func foreign(labels map[string]string) []routing.Problem {
	found := append(nearMisses(labels), hrm(labels)...)
	for _, r := range otherRouters {
		if name := first(labels, r.prefix); name != "" {
			found = append(found, about(name, problems.New(problems.LabelForeign,
				"the service has labels of "+r.name+" and none of Interlock's, so it has no route here",
				"set "+Prefix+"hosts: "+hostInRule(labels, name)+" and "+Prefix+"port"))...)
		}
	}
	return found
}

// first is the first label, in order of names, that starts with prefix.
func first(labels map[string]string, prefix string) string {
	least := ""
	for name := range labels {
		if strings.HasPrefix(name, prefix) && (least == "" || name < least) {
			least = name
		}
	}
	return least
}

var ruleHost = regexp.MustCompile("Host\\([`\"']([A-Za-z0-9.-]{1,253})[`\"']")

// hostInRule finds the host that a Traefik rule names, for the hint.
func hostInRule(labels map[string]string, name string) string {
	if strings.HasPrefix(name, "traefik.") {
		for _, n := range slices.Sorted(maps.Keys(labels)) {
			if !strings.HasSuffix(n, ".rule") || len(labels[n]) > 4*maxName {
				continue
			}
			if m := ruleHost.FindStringSubmatch(labels[n]); m != nil {
				return m[1]
			}
		}
	}
	return "app.example.com"
}

// hrm recognises the predecessor's labels and translates the first of them in
// its hint.
func hrm(labels map[string]string) []routing.Problem {
	name := first(labels, hrmPrefix)
	if name == "" {
		return nil
	}
	return about(name, problems.New(problems.LabelHRM, "labels of the HTTP routing mesh are not served", hrmHint(labels[name])))
}

func hrmHint(value string) string {
	host, port := "app.example.com", "80"
	for part := range strings.SplitSeq(value[:min(len(value), 4*maxName)], ",") {
		key, v, _ := strings.Cut(trim(part), "=")
		switch key {
		case "external_route":
			_, v, _ = strings.Cut(v, "://")
			if h, _, ok := ParseHost(v); ok {
				host = string(h)
			}
		case "internal_port":
			if s := (Spec{}); parsePort(v, &s) == nil {
				port = fmt.Sprint(s.Port)
			}
		}
	}
	return fmt.Sprintf("set %shosts: %s and %sport: \"%s\"", Prefix, host, Prefix, port)
}

// nearMisses finds names that only just miss Prefix: "com.docker.hosts",
// "docker.lb.port", "com.docker.network".
func nearMisses(labels map[string]string) []routing.Problem {
	var found []routing.Problem
	for name := range labels {
		if p, ok := nearMiss(name); ok {
			found = append(found, about(name, p)...)
		}
	}
	slices.SortFunc(found, func(a, b routing.Problem) int { return strings.Compare(a.Label, b.Label) })
	return bounded(found)
}

func nearMiss(name string) (routing.Problem, bool) {
	if name == "com.docker.network" {
		return problems.New(problems.LabelNetworkPrefix, "com.docker.network has no effect here", "write "+Prefix+"network"), true
	}
	if short, ok := joined(name); ok {
		return problems.New(problems.LabelMisspelt, quote(name)+" is not a label of Interlock's, though close to one",
			"did you mean "+Prefix+short+"?"), true
	}
	dot := strings.LastIndexByte(name, '.')
	if len(name) > maxExcerpt || dot < 0 || IsRouting(name) || byName[name[dot+1:]] == nil {
		return routing.Problem{}, false
	}
	start := strings.ToLower(name[:dot+1])
	if !strings.Contains(start, "lb.") && !strings.HasPrefix(start, "com.docker.") || spell.Distance(start, Prefix) > 4 {
		return routing.Problem{}, false
	}
	return problems.New(problems.LabelMisspelt, quote(name)+" is not a label of Interlock's, though close to one",
		"did you mean "+Prefix+name[dot+1:]+"?"), true
}

// joined reads "com.docker.lb_hosts", "com.docker.lb-hosts" and
// "com.docker.lbhosts".
func joined(name string) (short string, ok bool) {
	const stem = "com.docker.lb"
	if len(name) <= len(stem) || len(name) > maxExcerpt || !strings.EqualFold(name[:len(stem)], stem) {
		return "", false
	}
	short = strings.ToLower(strings.TrimLeft(name[len(stem):], "_-:/ "))
	return short, name[len(stem)] != '.' && byName[short] != nil
}

// Misplaced finds routing labels among a service's container labels, where
// they have no effect. registers is Spec.Registers of the service's own
// labels: with it, the copies on the container are only a warning.
func Misplaced(container map[string]string, registers bool) []routing.Problem {
	names := routingNames(container)
	if len(names) == 0 {
		return nil
	}
	p := problems.New(problems.LabelMisplaced,
		"routing labels on the container have no effect", "move them to deploy.labels, so that they are labels of the service")
	if registers {
		p.Severity = routing.Warning
	}
	return about(names[0], p)
}

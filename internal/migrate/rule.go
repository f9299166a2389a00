package migrate

import (
	"fmt"
	"slices"
	"strings"
)

// form is a rule as one route of ours: all hosts, one path prefix.
type form struct {
	hosts []string
	// path is "/" or a prefix without trailing slash.
	path string
	// strip says that the rule itself takes the prefix off, as PathPrefixStrip
	// of Traefik 1 does.
	strip bool
	// segments says that the rule matched whole segments, as context_root does.
	segments bool
}

// Bounds of a rule. They are checked before it is parsed, or while.
const (
	maxRule    = 16 << 10 // bytes
	maxClauses = 1024
	maxDepth   = 64
)

// ruleError is why a rule has no form.
type ruleError struct{ why, hint string }

func (e ruleError) Error() string { return e.why }

const oneRoute = "give the service one set of hosts and one path, by Host(`…`) and PathPrefix(`…`)"

// place is a host with a path: what a rule without "or" matches.
type place struct {
	host string
	path pathMatch
}

// pathMatch is a matched path; the zero value is any path.
type pathMatch struct {
	path  string
	exact bool
	strip bool
}

// parseRule reads a rule of Traefik 2 or 3. It is total.
func parseRule(text string) (form, error) {
	p := &ruleParser{rest: text}
	if len(text) > maxRule {
		return form{}, ruleError{fmt.Sprintf("the rule is longer than %d bytes", maxRule), "shorten it"}
	}
	places, err := p.either()
	if err == nil && p.space() != "" {
		err = p.unexpected()
	}
	if err != nil {
		return form{}, err
	}
	return formOf(places)
}

// ruleParser descends through Matcher(`…`), &&, ||, ! and parentheses. What it
// returns are the places that match, as a list of alternatives.
type ruleParser struct {
	rest  string
	depth int
}

func (p *ruleParser) space() string {
	p.rest = strings.TrimLeft(p.rest, " \t\r\n")
	return p.rest
}

func (p *ruleParser) take(token string) bool {
	rest, ok := strings.CutPrefix(p.space(), token)
	if ok {
		p.rest = rest
	}
	return ok
}

func (p *ruleParser) unexpected() error {
	if p.rest == "" {
		return ruleError{"the rule ends too early", oneRoute}
	}
	return ruleError{"the rule can't be read at " + quote(p.rest[:min(len(p.rest), 40)]), oneRoute}
}

func (p *ruleParser) either() ([]place, error) {
	var all []place
	for {
		places, err := p.both()
		if err != nil {
			return nil, err
		}
		if all = append(all, places...); len(all) > maxClauses {
			return nil, ruleError{fmt.Sprintf("the rule has more than %d alternatives", maxClauses), "shorten it"}
		}
		if !p.take("||") {
			return all, nil
		}
	}
}

func (p *ruleParser) both() ([]place, error) {
	all := []place{{}}
	for {
		places, err := p.factor()
		if err != nil {
			return nil, err
		}
		if all, err = cross(all, places); err != nil {
			return nil, err
		}
		if !p.take("&&") {
			return all, nil
		}
	}
}

func (p *ruleParser) factor() ([]place, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, ruleError{"the rule is nested too deeply", oneRoute}
	}
	defer func() { p.depth-- }()
	switch {
	case p.take("!"):
		return nil, ruleError{"the rule has a !, which can't be expressed", oneRoute}
	case p.take("("):
		places, err := p.either()
		if err == nil && !p.take(")") {
			err = p.unexpected()
		}
		return places, err
	}
	return p.matcher()
}

func (p *ruleParser) matcher() ([]place, error) {
	text := p.space()
	end := strings.IndexFunc(text, func(r rune) bool { return !(r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z') })
	if end <= 0 {
		return nil, p.unexpected()
	}
	name := text[:end]
	p.rest = text[end:]
	if !p.take("(") {
		return nil, p.unexpected()
	}
	args, err := p.arguments()
	if err != nil {
		return nil, err
	}
	return placesOf(name, args)
}

func (p *ruleParser) arguments() ([]string, error) {
	var args []string
	for {
		quote := byte(0)
		if p.space() != "" {
			quote = p.rest[0]
		}
		if quote != '`' && quote != '"' {
			return nil, p.unexpected()
		}
		end := strings.IndexByte(p.rest[1:], quote)
		if end < 0 || strings.Contains(p.rest[1:1+end], `\`) {
			return nil, p.unexpected()
		}
		args, p.rest = append(args, p.rest[1:1+end]), p.rest[end+2:]
		if p.take(")") {
			return args, nil
		}
		if !p.take(",") {
			return nil, p.unexpected()
		}
	}
}

// placesOf is what one matcher matches.
func placesOf(name string, args []string) ([]place, error) {
	var out []place
	for _, arg := range args {
		switch strings.ToLower(name) {
		case "host", "hostheader":
			if arg == "" || strings.ContainsAny(substituted(arg, nil, ""), ", \t") {
				return nil, ruleError{quote(arg) + " is not a host", oneRoute}
			}
			out = append(out, place{host: arg})
		case "path", "pathprefix":
			if why := pathFault(arg); why != "" {
				return nil, ruleError{why, oneRoute}
			}
			out = append(out, place{path: pathMatch{path: arg, exact: strings.EqualFold(name, "path")}})
		default:
			return nil, ruleError{"the rule has " + clip(name) + "(…), which can't be expressed", oneRoute}
		}
	}
	return out, nil
}

// pathFault says why a path can't be taken literally.
func pathFault(path string) string {
	rest := plain(path)
	if strings.ContainsAny(rest, "{}$^*()[]|\\") {
		return quote(path) + " is a pattern, which can't be expressed"
	}
	if !strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "$") {
		return quote(path) + " is not a path: it does not start with /"
	}
	return ""
}

// cross is what both match.
func cross(a, b []place) ([]place, error) {
	if len(a)*len(b) > maxClauses {
		return nil, ruleError{fmt.Sprintf("the rule has more than %d alternatives", maxClauses), "shorten it"}
	}
	var out []place
	for _, x := range a {
		for _, y := range b {
			if x.host != "" && y.host != "" && !strings.EqualFold(x.host, y.host) || x.path.path != "" && y.path.path != "" && x.path != y.path {
				return nil, ruleError{"the rule asks for two hosts or two paths at once", oneRoute}
			}
			both := x
			if both.host == "" {
				both.host = y.host
			}
			if both.path.path == "" {
				both.path = y.path
			}
			out = append(out, both)
		}
	}
	return out, nil
}

// formOf makes one route of all places, if they are one.
func formOf(places []place) (form, error) {
	var f form
	paths := map[string][]pathMatch{}
	for _, p := range places {
		if p.host == "" {
			return form{}, ruleError{"the rule matches every host", "name the hosts by Host(`…`); a catch-all is com.docker.lb.default_backend, where the operator allows it"}
		}
		host := strings.ToLower(p.host)
		if strings.Contains(host, "$") {
			host = p.host // the names of variables differ by case
		}
		if paths[host] == nil {
			f.hosts = append(f.hosts, p.host)
		}
		paths[host] = append(paths[host], p.path)
	}
	var first pathForm
	for i, host := range f.hosts {
		key := host
		if !strings.Contains(host, "$") {
			key = strings.ToLower(host)
		}
		got, err := onePath(paths[key])
		if err != nil {
			return form{}, err
		}
		if i > 0 && got != first {
			return form{}, ruleError{"the rule has different paths for different hosts", oneRoute}
		}
		first = got
	}
	f.path, f.strip, f.segments = first.path, first.strip, first.segments
	return f, nil
}

type pathForm struct {
	path            string
	strip, segments bool
}

// onePath makes one prefix of a host's paths: any path, one prefix, or a path
// with all that is below it.
func onePath(matches []pathMatch) (pathForm, error) {
	root := func(m pathMatch) bool { return m.path == "" || m.path == "/" && !m.exact }
	if slices.ContainsFunc(matches, root) {
		return pathForm{path: "/", segments: true}, nil
	}
	var exact, prefix []pathMatch
	for _, m := range matches {
		list := &prefix
		if m.exact {
			list = &exact
		}
		if !slices.Contains(*list, m) {
			*list = append(*list, m)
		}
	}
	switch {
	case len(prefix) == 1 && len(exact) == 0:
		return pathForm{path: strings.TrimSuffix(prefix[0].path, "/"), strip: prefix[0].strip}, nil
	case len(prefix) == 1 && len(exact) == 1 && prefix[0].strip == exact[0].strip && prefix[0].path == exact[0].path+"/":
		return pathForm{path: exact[0].path, strip: prefix[0].strip, segments: true}, nil
	case len(prefix) == 0 && len(exact) == 1:
		return pathForm{}, ruleError{"the rule matches exactly " + quote(exact[0].path) + "; a context root matches all below it too", "write PathPrefix(`…`) if that is acceptable"}
	}
	return pathForm{}, ruleError{"the rule has several paths; here a service has one context root", "make it services of their own, one for each path"}
}

package stackfile

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"

	"github.com/docker/cli/cli/compose/interpolation"
	"github.com/docker/cli/cli/compose/loader"
	"github.com/docker/cli/cli/compose/template"
	"github.com/docker/cli/cli/compose/types"
	"go.yaml.in/yaml/v3"

	"interlock/internal/label"
	"interlock/internal/problems"
	"interlock/internal/spell"
)

// judge has Docker's own loader read the repaired tree.
func (p *parser) judge(root *yaml.Node) (*types.Config, bool) {
	cfg, err := p.load()
	if err != nil {
		p.refusal(root, err)
		return nil, false
	}
	for _, s := range cfg.Services {
		if s.Image == "" {
			p.refuse(lineAt(root, "services."+s.Name), s.Name, "", problems.New(problems.StackfileRefused, "the service has no image", "add image:"))
		}
	}
	return cfg, true
}

// load calls Docker's loader. It panics on some input that its schema lets
// through; such a file is refused here as it would be there.
func (p *parser) load() (cfg *types.Config, err error) {
	defer func() {
		if r := recover(); r != nil {
			cfg, err = nil, fmt.Errorf("docker can't read the file: %v", r)
		}
	}()
	if p.objection != nil {
		return nil, p.objection
	}
	dict := p.dict
	if !p.accepted {
		if dict, err = p.decode(); err != nil {
			return nil, err
		}
	}
	details := types.ConfigDetails{
		WorkingDir:  filepath.Dir(p.src.File),
		ConfigFiles: []types.ConfigFile{{Filename: p.src.File, Config: dict}},
	}
	return loader.Load(details, func(o *loader.Options) {
		o.SkipInterpolation, o.SkipValidation = p.accepted, p.accepted
		o.Interpolate.LookupValue = interpolation.LookupValue(p.env)
		o.Interpolate.Substitute = substitute
	})
}

// substitute leaves alone what Docker would stop at: it was reported before.
func substitute(s string, env template.Mapping) (string, error) {
	out, err := template.Substitute(s, env)
	if err != nil {
		return s, nil
	}
	return out, nil
}

// stringKeys makes all keys strings, as Docker's schema expects.
func stringKeys(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = stringKeys(e)
		}
	case map[any]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[fmt.Sprint(k)] = stringKeys(e)
		}
		return m
	case []any:
		for i, e := range v {
			v[i] = stringKeys(e)
		}
	}
	return v
}

// pathInWords finds where in the file an error of Docker's is about.
var pathInWords = regexp.MustCompile(`\b(?:services|networks|volumes|secrets|configs)(?:\.[A-Za-z0-9_.-]+)?`)

// notAllowed finds a key that Docker's schema does not know.
var notAllowed = regexp.MustCompile(`^(.*): additional property '(.*)' is not allowed`)

// schemaKeys are keys that are often misspelt, by where they stand.
var schemaKeys = []string{"services", "networks", "secrets", "configs", "volumes", "version", "deploy", "labels", "image", "ports", "environment", "replicas", "placement", "command"}

// unknownKey reports such a key with its own line.
func (p *parser) unknownKey(root *yaml.Node, path, key, service string) {
	at, hint := key, "remove it"
	if path != "(root)" {
		at = path + "." + key
	}
	if near := spell.Nearest(key, schemaKeys); near != "" && near != key {
		hint = "did you mean " + near + "?"
	}
	p.refuse(lineAt(root, at), service, "", problems.New(problems.StackfileRefused, fmt.Sprintf("docker stack deploy refuses the file: it knows no %s there", quote(key)), hint))
}

func (p *parser) refusal(root *yaml.Node, err error) {
	line, service := 1, ""
	if at := pathInWords.FindString(err.Error()); at != "" {
		line = lineAt(root, at)
		if steps := strings.SplitN(at, ".", 3); steps[0] == "services" && len(steps) > 1 {
			service = steps[1]
		}
	}
	if m := notAllowed.FindStringSubmatch(firstLine(err)); m != nil {
		p.unknownKey(root, m[1], m[2], service)
		return
	}
	p.refuse(line, service, "", problems.New(problems.StackfileRefused, "docker stack deploy refuses the file: "+firstLine(err), "correct it, then check again"))
}

func firstLine(err error) string {
	var forbidden *loader.ForbiddenPropertiesError
	if errors.As(err, &forbidden) {
		return "a stack can't have " + strings.Join(slices.Sorted(maps.Keys(forbidden.Properties)), ", ")
	}
	words, _, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
	return clip(words)
}

// salvage is what can be said of services of a file that Docker refuses: their
// labels, as far as they could be read.
func (p *parser) salvage() []Service {
	var out []Service
	for _, s := range p.services {
		service := p.service(s)
		service.Refused = true
		p.fill(service.Labels, s.labels)
		p.fill(service.ContainerLabels, s.container)
		out = append(out, service)
	}
	return out
}

func (p *parser) fill(labels map[string]string, from []labelNode) {
	for _, l := range from {
		if l.node.Kind == yaml.ScalarNode {
			labels[l.name], _ = substitute(l.text, p.env)
		}
	}
}

// service is a Service with what the tree says of it.
func (p *parser) service(s *serviceNode) Service {
	out := Service{
		Stack: p.src.Stack, Name: s.name, File: p.src.File, Line: s.line,
		lines: map[string]int{}, containerLines: map[string]int{},
		Labels: map[string]string{}, ContainerLabels: map[string]string{}, Replicas: 1,
	}
	for _, l := range s.labels {
		out.lines[label.SafeName(l.name)] = l.line
	}
	for _, l := range s.container {
		out.containerLines[label.SafeName(l.name)] = l.line
	}
	return out
}

// build makes a Project of what Docker would deploy.
func (p *parser) build(cfg *types.Config) Project {
	var project Project
	byName := map[string]types.ServiceConfig{}
	for _, s := range cfg.Services {
		byName[s.Name] = s
	}
	for _, n := range p.services {
		declared := byName[n.name]
		s := p.service(n)
		for k, v := range declared.Deploy.Labels {
			s.Labels[k] = v
		}
		for k, v := range declared.Labels {
			s.ContainerLabels[k] = v
		}
		p.deployment(&s, declared)
		s.Networks = p.networks(n, declared, cfg)
		p.objects(n, declared, cfg)
		p.publishedPort(s, declared)
		p.job(s)
		project.Services = append(project.Services, s)
	}
	project.Networks = p.declaredNetworks(project.Services, cfg)
	p.localNetworks(project)
	return project
}

// objects reports secrets and configs that the file does not declare: Docker's
// loader lets them through, its deployment does not.
func (p *parser) objects(n *serviceNode, declared types.ServiceConfig, cfg *types.Config) {
	undeclared := func(kind, source string) {
		p.refuse(n.line, n.name, "", problems.New(problems.StackfileObject, fmt.Sprintf("%s %s is not declared in the file", kind, quote(source)), "add it under "+kind+"s: at the end of the file"))
	}
	for _, s := range declared.Secrets {
		if _, ok := cfg.Secrets[s.Source]; !ok {
			undeclared("secret", s.Source)
		}
	}
	for _, c := range declared.Configs {
		if _, ok := cfg.Configs[c.Source]; !ok {
			undeclared("config", c.Source)
		}
	}
}

func (p *parser) deployment(s *Service, declared types.ServiceConfig) {
	s.Global = strings.HasPrefix(declared.Deploy.Mode, "global")
	s.Job = strings.HasSuffix(declared.Deploy.Mode, "-job")
	s.DNSRR = declared.Deploy.EndpointMode == "dnsrr"
	s.Constraints = declared.Deploy.Placement.Constraints
	if declared.Deploy.Replicas != nil {
		s.Replicas = *declared.Deploy.Replicas
	}
	for _, port := range declared.Ports {
		if port.Protocol != "" && port.Protocol != "tcp" {
			continue
		}
		s.TargetPorts = append(s.TargetPorts, int(port.Target))
	}
	sort.Ints(s.TargetPorts)
	s.TargetPorts = slices.Compact(s.TargetPorts)
}

// networks are the deployed names of a service's networks, sorted. A service
// that names none is on the stack's default network.
func (p *parser) networks(n *serviceNode, declared types.ServiceConfig, cfg *types.Config) []string {
	keys := []string{"default"}
	if len(declared.Networks) > 0 {
		keys = keys[:0]
		for key := range declared.Networks {
			keys = append(keys, key)
		}
	}
	sort.Strings(keys)
	var out []string
	for _, key := range keys {
		network, ok := cfg.Networks[key]
		if !ok && key != "default" {
			p.refuse(n.line, n.name, "", problems.New(problems.StackfileNetwork, fmt.Sprintf("network %s is not declared in the file", quote(key)), "add it under networks: at the end of the file"))
			continue
		}
		out = append(out, p.networkName(key, network))
	}
	return out
}

func (p *parser) networkName(key string, n types.NetworkConfig) string {
	switch {
	case n.Name != "":
		return n.Name
	case n.External.External:
		return key
	}
	return p.src.Stack + "_" + key
}

func (p *parser) declaredNetworks(services []Service, cfg *types.Config) []Network {
	declared := map[string]Network{}
	for key, n := range cfg.Networks {
		name := p.networkName(key, n)
		declared[name] = Network{Name: name, External: n.External.External, Driver: driverOf(name, n)}
	}
	var names []string
	for _, s := range services {
		names = append(names, s.Networks...)
	}
	sort.Strings(names)
	var out []Network
	for _, name := range slices.Compact(names) {
		n := declared[name]
		n.Name, n.Driver = name, cmp.Or(n.Driver, overlay)
		out = append(out, n)
	}
	return out
}

// publishedPort reports the published port given for the container's.
func (p *parser) publishedPort(s Service, declared types.ServiceConfig) {
	const name = label.Prefix + "port"
	for _, port := range declared.Ports {
		if port.Published != 0 && port.Published != port.Target && s.Labels[name] == fmt.Sprint(port.Published) &&
			!slices.Contains(s.TargetPorts, int(port.Published)) {
			p.add(s.LineOf(name), s.Name, name, problems.New(problems.StackfilePublishedPort,
				fmt.Sprintf("%d is the published port; inside the container the service listens on %d", port.Published, port.Target),
				fmt.Sprintf("write %d", port.Target)))
		}
	}
}

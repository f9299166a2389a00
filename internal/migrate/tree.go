package migrate

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"interlock/internal/label"
)

type node = yaml.Node

// service is a service of the file and its labels.
type service struct {
	name string
	line int
	// entries are the labels that are translated: those under deploy, or the
	// container's where they are to be moved.
	entries   []entry
	container []entry
	// moved says that entries are the container's.
	moved bool
	// own, deploy and labels are the nodes on the way to entries; nil where there
	// is none.
	own, deploy, labels, containerLabels *node
	// shared says, when not "", why the text is not the service's own.
	shared string
	// ours says that the service has labels of ours already.
	ours bool
	// borrowed are labels that come by alias or merge key.
	borrowed []entry
	// networks are the keys of its networks; ports how many it publishes, or
	// -1 where that can't be counted.
	networks []string
	ports    int
	// job says that its tasks are to end.
	job     bool
	dynamic dynamic
}

// entry is one label: an entry of a mapping, or an item of a list.
type entry struct {
	name, value string
	line        int
	key, node   *node // key is nil in a list
}

// parse reads the first document, which is the one that Docker reads.
func parse(data []byte) (root *node, err error) {
	var doc node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) == 0 {
		return &node{}, nil
	}
	return doc.Content[0], nil
}

var errorLine = regexp.MustCompile(`line ([0-9]+)`)

func lineOf(err error) int {
	line := 1
	if m := errorLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ = strconv.Atoi(m[1])
	}
	return line
}

func worldOf(root *node, d dialect, src Source) *world {
	w := &world{dialect: d, env: src.Env, networks: map[string]network{}}
	targets := aliased(root, map[*node]bool{}, map[*node]bool{})
	services, _ := own(root, "services")
	for _, p := range pairs(services) {
		w.services = append(w.services, serviceOf(p, services, targets, d, src.Container))
	}
	networks, _ := effective(root, "networks")
	for _, p := range pairs(networks) {
		driver, _ := effective(p.value, "driver")
		w.networks[p.key.Value] = network{networkName(p), valueOr(driver)}
	}
	w.index()
	return w
}

func valueOr(n *node) string {
	if n == nil {
		return ""
	}
	return n.Value
}

// networkName is the name that a declared network is given, "" for Docker's.
func networkName(p pair) string {
	if name, ok := effective(p.value, "name"); ok {
		return name.Value
	}
	external, ok := effective(p.value, "external")
	if name, named := effective(external, "name"); named {
		return name.Value
	}
	if ok && external.Value == "true" {
		return p.key.Value
	}
	return ""
}

func serviceOf(p pair, services *node, targets map[*node]bool, d dialect, container bool) *service {
	s := &service{name: p.key.Value, line: p.key.Line, own: p.value}
	s.shared = notOwn(services, targets, "services")
	if p.value.Kind == yaml.AliasNode || p.merged {
		s.shared = fmt.Sprintf("the service is the alias of text in line %d", resolve(p.value).Line)
	}
	s.deploy = s.step(s.own, "deploy", targets)
	s.labels = s.step(s.deploy, "labels", targets)
	deploy, _ := effective(s.own, "deploy")
	all, _ := effective(deploy, "labels")
	s.entries, s.borrowed = labelsOf(s.labels), borrowed(all, s.labels)
	s.containerLabels, _ = own(s.own, "labels")
	s.container = labelsOf(s.containerLabels)
	if container && !s.has(d.owns) && slices.ContainsFunc(s.container, func(e entry) bool { return d.owns(e.name) }) {
		s.moved, s.entries = true, s.container
		s.sharing(s.own, targets)
		s.sharing(s.containerLabels, targets)
	}
	for _, e := range append(labelsOf(all), s.entries...) {
		s.ours = s.ours || strings.HasPrefix(strings.ToLower(e.name), label.Prefix)
	}
	s.networks, s.ports = networksOf(s.own), portsOf(s.own)
	mode, _ := effective(deploy, "mode")
	s.job = strings.HasSuffix(valueOr(mode), "-job")
	s.dynamic = dynamicOf(s)
	return s
}

// step goes one key down the service's own text.
func (s *service) step(n *node, key string, targets map[*node]bool) *node {
	s.sharing(n, targets)
	child, _ := own(n, key)
	s.sharing(child, targets)
	return child
}

func (s *service) sharing(n *node, targets map[*node]bool) {
	if why := notOwn(n, targets, "text of the service"); why != "" && s.shared == "" {
		s.shared = why
	}
}

// notOwn says why a change of n would be a change of something else.
func notOwn(n *node, targets map[*node]bool, what string) string {
	switch {
	case n == nil:
		return ""
	case n.Kind == yaml.AliasNode:
		return fmt.Sprintf("%s in line %d stands elsewhere, in line %d, by an alias", what, n.Line, resolve(n).Line)
	case targets[n]:
		return fmt.Sprintf("%s in line %d is used elsewhere too, by an alias", what, n.Line)
	}
	return ""
}

// aliased are the nodes that an alias stands for.
func aliased(n *node, out, seen map[*node]bool) map[*node]bool {
	if seen[n] {
		return out
	}
	seen[n] = true
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		out[n.Alias] = true
		aliased(n.Alias, out, seen)
	}
	for _, c := range n.Content {
		aliased(c, out, seen)
	}
	return out
}

// has says whether one of the entries, or of the borrowed labels, is owned.
func (s *service) has(owns func(string) bool) bool {
	return slices.ContainsFunc(slices.Concat(s.entries, s.borrowed), func(e entry) bool { return owns(e.name) })
}

func (s *service) labelLine(owns func(string) bool) int {
	for _, e := range slices.Concat(s.entries, s.borrowed) {
		if owns(e.name) {
			return e.line
		}
	}
	return s.line
}

// untouchable says why a service with labels of the dialect is not rewritten
// whatever they are.
func (s *service) untouchable(d dialect) (why, hint string) {
	seen := map[string]bool{}
	for _, e := range s.entries {
		if d.owns(e.name) && seen[strings.ToLower(e.name)] {
			return "label " + quote(e.name) + " is there twice", "keep one"
		}
		seen[strings.ToLower(e.name)] = true
	}
	switch {
	case s.ours:
		return "the service has labels of Interlock's already, and is left as it is", "remove what is left of " + d.words + "'s labels by hand"
	case slices.ContainsFunc(s.borrowed, func(e entry) bool { return d.owns(e.name) }):
		return "labels of the service come from other text, by an alias or merge key", "write them out in the service, then migrate again"
	case s.shared != "":
		return s.shared, "write it out in the service, then migrate again"
	}
	return "", ""
}

// labelsOf are the labels of a mapping, without those it merges in, or of a
// list of name=value.
func labelsOf(n *node) []entry {
	if n == nil {
		return nil
	}
	var out []entry
	if n.Kind == yaml.SequenceNode {
		for _, item := range n.Content {
			name, value, _ := strings.Cut(textOf(resolve(item)), "=")
			out = append(out, entry{name: name, value: value, line: item.Line, node: item})
		}
	}
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if key := n.Content[i]; key.Tag != "!!merge" {
				out = append(out, entry{name: key.Value, value: resolve(n.Content[i+1]).Value, line: key.Line, key: key, node: n.Content[i+1]})
			}
		}
	}
	return out
}

// textOf is an item of a list; one that is written "name: value", which Docker
// refuses, goes by its name.
func textOf(item *node) string {
	if item.Kind == yaml.MappingNode && len(item.Content) > 0 {
		return item.Content[0].Value
	}
	return item.Value
}

// borrowed are the labels in all that are not in the text of labels.
func borrowed(all, labels *node) []entry {
	if all == nil {
		return nil
	}
	if all != labels {
		return append(labelsOf(all), mergedOnly(all)...)
	}
	return mergedOnly(all)
}

func mergedOnly(n *node) []entry {
	var out []entry
	for _, p := range pairs(n) {
		if p.merged {
			out = append(out, entry{name: p.key.Value, value: resolve(p.value).Value, line: p.key.Line})
		}
	}
	return out
}

func networksOf(service *node) []string {
	n, ok := effective(service, "networks")
	if !ok {
		return []string{"default"}
	}
	var out []string
	for _, p := range pairs(n) {
		out = append(out, p.key.Value)
	}
	if n.Kind == yaml.SequenceNode {
		for _, c := range n.Content {
			out = append(out, resolve(c).Value)
		}
	}
	return out
}

var onePort = regexp.MustCompile(`^(\S+:)?[0-9]+(/tcp)?$`)

// portsOf counts the ports inside the container that are published.
func portsOf(service *node) int {
	n, _ := effective(service, "ports")
	if n == nil || n.Kind != yaml.SequenceNode {
		return 0
	}
	for _, c := range n.Content {
		if c = resolve(c); c.Kind == yaml.ScalarNode && !onePort.MatchString(c.Value) {
			return -1
		}
	}
	return len(n.Content)
}

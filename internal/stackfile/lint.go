package stackfile

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/docker/cli/cli/compose/template"
	"go.yaml.in/yaml/v3"

	"interlock/internal/label"
	"interlock/internal/problems"
	"interlock/routing"
)

// variableUse finds variables without a default; "$$" is an escaped "$".
var variableUse = regexp.MustCompile(`\$(?:\$|\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))`)

// routingLabel is name if it is a label that concerns routing, else "".
func routingLabel(name string) string {
	if len(name) >= len(label.Prefix) && strings.EqualFold(name[:len(label.Prefix)], label.Prefix) {
		return name
	}
	return ""
}

// variables reports every string that Docker can't substitute variables in,
// and routing labels with variables that are not set.
func (p *parser) variables(root *yaml.Node) {
	labelled := map[*yaml.Node]labelNode{}
	service := map[*yaml.Node]string{}
	for _, s := range p.services {
		for _, l := range s.labels {
			labelled[l.node], service[l.node] = l, s.name
		}
	}
	p.eachString(root, map[*yaml.Node]bool{}, func(n *yaml.Node) {
		if _, err := template.Substitute(n.Value, p.env); err != nil {
			p.refuse(n.Line, service[n], routingLabel(labelled[n].name), p.variableProblem(n.Value, err))
		}
	})
	for _, s := range p.services {
		for _, l := range s.labels {
			p.unset(s, l)
		}
	}
}

// eachString visits the string values (not keys) below n once.
func (p *parser) eachString(n *yaml.Node, seen map[*yaml.Node]bool, visit func(*yaml.Node)) {
	if n = resolve(n); seen[n] {
		return
	}
	seen[n] = true
	switch n.Kind {
	case yaml.ScalarNode:
		if n.Tag == "!!str" {
			visit(n)
		}
	case yaml.MappingNode:
		for i := 1; i < len(n.Content); i += 2 {
			p.eachString(n.Content[i], seen, visit)
		}
	case yaml.SequenceNode:
		for _, c := range n.Content {
			p.eachString(c, seen, visit)
		}
	}
}

func (p *parser) variableProblem(value string, err error) routing.Problem {
	if words, required := strings.CutPrefix(err.Error(), `Invalid template: "required variable `); required {
		return problems.New(problems.StackfileVariable, "required variable "+clip(strings.TrimSuffix(words, `"`)), "set the variable")
	}
	return problems.New(problems.StackfileVariable, fmt.Sprintf("%s has a $ that begins no variable; Docker refuses the file", quote(value)),
		"write ${NAME} for a variable, or $$ for one $")
}

// unset reports variables of a routing label that are not set and have no
// default: Docker replaces them by nothing without a word.
func (p *parser) unset(s *serviceNode, l labelNode) {
	if routingLabel(l.name) == "" {
		return
	}
	for _, m := range variableUse.FindAllStringSubmatch(l.text, -1) {
		name := m[1] + m[2]
		if name == "" {
			continue
		}
		if _, set := p.env(name); !set {
			p.add(l.line, s.name, l.name, problems.New(problems.StackfileVariableUnset,
				fmt.Sprintf("variable %s is not set; Docker replaces it by nothing", name), fmt.Sprintf("set it, or write ${%s?} so that a deployment without it fails", name)))
		}
	}
}

// placement reports routing labels that are keys where none belong: directly
// in the service or under deploy. Docker refuses them; they are dropped.
func (p *parser) placement() {
	for _, s := range p.services {
		p.dropLabels(s, s.node, "in the service")
		if d, ok := child(s.node, "deploy"); ok {
			p.dropLabels(s, resolve(d.value), "under deploy:")
		}
	}
}

func (p *parser) dropLabels(s *serviceNode, n *yaml.Node, where string) {
	if n.Kind != yaml.MappingNode {
		return
	}
	var kept []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if routingLabel(key.Value) == "" {
			kept = append(kept, key, n.Content[i+1])
			continue
		}
		p.refuse(key.Line, s.name, key.Value, problems.New(problems.LabelMisplaced,
			"the label stands directly "+where+", where Docker refuses it", "move it one level down, to deploy: labels:"))
	}
	n.Content = kept
}

// labels reports label values that Docker refuses or changes, and repairs the
// former.
func (p *parser) labels() {
	for _, s := range p.services {
		for _, list := range [][]labelNode{s.labels, s.container} {
			seen := map[string]int{}
			for i := range list {
				p.labelValue(s, &list[i])
				p.listItem(s, list[i], seen)
			}
		}
		p.dropEqual(s)
	}
}

// dropEqual drops items that a list has twice, which were reported, so that
// Docker's loader finds what is behind them.
func (p *parser) dropEqual(s *serviceNode) {
	for _, n := range []*yaml.Node{s.node, deployOf(s)} {
		l, ok := child(n, "labels")
		if list := resolveOr(l.value); ok && list.Kind == yaml.SequenceNode {
			list.Content = slices.DeleteFunc(list.Content, func(item *yaml.Node) bool { return slices.Contains(p.equal, item) })
		}
	}
}

func deployOf(s *serviceNode) *yaml.Node {
	d, _ := child(s.node, "deploy")
	return resolveOr(d.value)
}

func (p *parser) labelValue(s *serviceNode, l *labelNode) {
	if l.inList {
		return
	}
	if l.node.Kind != yaml.ScalarNode {
		p.noScalar(s, l)
		return
	}
	switch l.node.Tag {
	case "!!bool":
		p.refuse(l.line, s.name, l.name, problems.New(problems.StackfileBooleanLabel,
			fmt.Sprintf("the value %s is a YAML boolean, which Docker refuses as a label", l.node.Value), fmt.Sprintf(`put it in quotes: "%s"`, l.node.Value)))
		l.node.Tag, l.node.Style = "!!str", yaml.DoubleQuotedStyle
	case "!!int", "!!float":
		var v any
		if err := l.node.Decode(&v); err == nil && fmt.Sprint(v) != l.node.Value && routingLabel(l.name) != "" {
			p.add(l.line, s.name, l.name, problems.New(problems.StackfileNumber,
				fmt.Sprintf("the unquoted number %s is deployed as %v", clip(l.node.Value), v), "put the value in quotes"))
		}
	}
}

// noScalar reports a label whose value is a list, which is repaired, or
// a mapping, as unquoted {{…}} is.
func (p *parser) noScalar(s *serviceNode, l *labelNode) {
	if routingLabel(l.name) == "" {
		return
	}
	var items []string
	for _, item := range l.node.Content {
		items = append(items, resolve(item).Value)
	}
	hint := "write one value, in quotes"
	if l.node.Kind == yaml.SequenceNode {
		hint = `write one value, its parts separated by commas: "` + clip(strings.Join(items, ",")) + `"`
	}
	p.refuse(l.line, s.name, l.name, problems.New(problems.StackfileRefused, "the value of a label must be text, not a list or a mapping", hint))
	l.text = strings.Join(items, ",")
	*l.node = yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: l.text, Line: l.node.Line, Style: yaml.DoubleQuotedStyle}
}

// strays reports routing labels where they are neither a service's nor a
// container's: on networks, in environment, in build.
func (p *parser) strays(root *yaml.Node) {
	known := map[*yaml.Node]bool{}
	for _, s := range p.services {
		for _, l := range slices.Concat(s.labels, s.container) {
			known[l.node] = true
		}
	}
	said := map[*yaml.Node]bool{}
	for _, e := range pairs(root) {
		if !strings.HasPrefix(e.key.Value, "x-") {
			p.straysBelow(resolve(e.value), e.key.Value, known, said)
		}
	}
}

func (p *parser) straysBelow(n *yaml.Node, place string, known, said map[*yaml.Node]bool) {
	if said[n] {
		return
	}
	said[n] = true
	stray := func(at *yaml.Node, name string) {
		found := problems.New(problems.LabelMisplaced, "routing labels under "+clip(place)+" have no effect", "move them to deploy: labels: of the service")
		found.Severity = routing.Warning // an image, say, may have labels for reasons of its own
		p.add(at.Line, "", name, found)
	}
	for i, c := range n.Content {
		value := resolve(c)
		switch {
		case n.Kind == yaml.MappingNode && i%2 == 1 && n.Content[i-1].Tag == "!!merge":
			continue // what it adds is known, what it would add is overridden
		case n.Kind == yaml.SequenceNode && !known[value] && routingLabel(value.Value) != "":
			name, _, _ := strings.Cut(value.Value, "=")
			stray(value, name)
			return
		case n.Kind == yaml.MappingNode && i%2 == 1 && !known[value] && routingLabel(n.Content[i-1].Value) != "":
			stray(n.Content[i-1], n.Content[i-1].Value)
			return
		case n.Kind == yaml.MappingNode && i%2 == 1:
			key := n.Content[i-1].Value
			if key == "labels" {
				key = place + ": labels"
			}
			p.straysBelow(value, key, known, said)
		case n.Kind == yaml.SequenceNode:
			p.straysBelow(value, place, known, said)
		}
	}
}

// listItem reports routing labels that a list has twice, or without a value.
func (p *parser) listItem(s *serviceNode, l labelNode, seen map[string]int) {
	if !l.inList || routingLabel(l.name) == "" {
		return
	}
	if line, twice := seen[l.node.Value]; twice {
		p.refuse(l.line, s.name, l.name, problems.New(problems.StackfileDuplicate,
			fmt.Sprintf("the item is in the list twice, first in line %d, which Docker refuses", line), "keep one"))
		p.equal = append(p.equal, l.node)
	} else if line, twice := seen[l.name]; twice {
		p.add(l.line, s.name, l.name, problems.New(problems.StackfileDuplicate,
			fmt.Sprintf("the label is in the list twice, first in line %d; Docker takes the last", line), "keep one"))
	}
	seen[l.name], seen[l.node.Value] = l.line, l.line
	if l.text == "" {
		name, value, colon := strings.Cut(l.name, ":")
		if value = strings.TrimSpace(value); !colon {
			value = "value"
		}
		p.add(l.line, s.name, l.name, problems.New(problems.StackfileLabelWithoutValue,
			"the item has no =, so Docker takes all of it as a label without value", "write "+name+"="+clip(value)))
	}
}

// repairItems reports items of a list of labels that are written "name: value",
// which Docker refuses, and rewrites them.
func (p *parser) repairItems(s *serviceNode, list *yaml.Node) {
	if list.Kind != yaml.SequenceNode {
		return
	}
	for i, item := range list.Content {
		item = resolve(item)
		if item.Kind != yaml.MappingNode || len(item.Content) != 2 {
			continue
		}
		key, value := item.Content[0], item.Content[1]
		p.refuse(item.Line, s.name, routingLabel(key.Value), problems.New(problems.StackfileRefused,
			"an item of a list of labels must be written name=value", "write "+clip(key.Value)+"="+clip(value.Value)+", or labels without dashes"))
		list.Content[i] = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key.Value + "=" + value.Value, Line: item.Line}
	}
}

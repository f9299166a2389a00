package migrate

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"interlock/internal/label"
)

// verify reads the edited text and compares it with the tree that was meant. It
// changes root.
func verify(root *node, data []byte, changes []change) error {
	after, err := parse(data)
	if err != nil {
		return err
	}
	for _, c := range changes {
		c.intend()
	}
	return same(root, after)
}

// intend makes the change in the tree.
func (c change) intend() {
	s := c.service
	if !s.moved {
		s.labels.Content = replacedContent(s.labels, s.entries, c.outcome)
		return
	}
	taken := c.outcome
	taken.wishes = nil
	taken.gone = map[int]bool{}
	for at := range s.entries {
		taken.gone[at] = !c.outcome.stays(at)
	}
	s.containerLabels.Content = replacedContent(s.containerLabels, s.entries, taken)
	at := slices.Index(s.own.Content, s.containerLabels) - 1
	if len(s.containerLabels.Content) == 0 {
		s.own.Content = slices.Delete(s.own.Content, at, at+2)
	}
	if s.deploy == nil {
		s.deploy = &node{Kind: yaml.MappingNode, Tag: "!!map"}
		s.own.Content = slices.Insert(s.own.Content, at, text1("deploy"), s.deploy)
	}
	if s.labels == nil {
		s.labels = &node{Kind: yaml.MappingNode, Tag: "!!map"}
		s.deploy.Content = slices.Insert(s.deploy.Content, 0, text1("labels"), s.labels)
	}
	var ours []*node
	for _, w := range c.outcome.wishes {
		ours = append(ours, nodesOf(w, s.labels.Kind == yaml.SequenceNode)...)
	}
	s.labels.Content = append(ours, s.labels.Content...)
}

func text1(s string) *node { return &node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }

func nodesOf(w wish, list bool) []*node {
	if list {
		return []*node{text1(label.Prefix + w.name + "=" + w.value)}
	}
	return []*node{text1(label.Prefix + w.name), text1(w.value)}
}

func replacedContent(n *node, entries []entry, o outcome) []*node {
	index := map[*node]int{}
	for at, e := range entries {
		index[e.node] = at
	}
	var out []*node
	step := contentOf(n)
	for i := 0; i+step-1 < len(n.Content); i += step {
		at, isEntry := index[n.Content[i+step-1]]
		if !isEntry || o.stays(at) {
			out = append(out, n.Content[i:i+step]...)
			continue
		}
		for _, w := range o.replaced(at) {
			out = append(out, nodesOf(w, step == 1)...)
		}
	}
	return out
}

// same compares two trees but for style and place.
func same(a, b *node) error {
	if a.Kind != b.Kind || a.Tag != b.Tag || a.Value != b.Value || a.Anchor != b.Anchor || len(a.Content) != len(b.Content) {
		return fmt.Errorf("line %d would not read as meant", b.Line)
	}
	for i := range a.Content {
		if err := same(a.Content[i], b.Content[i]); err != nil {
			return err
		}
	}
	return nil
}

package migrate

import (
	"errors"
	"strings"

	"go.yaml.in/yaml/v3"

	"interlock/internal/label"
)

// move takes labels off the container and writes ours under deploy.
func (t *text) move(s *service, o outcome) ([]cut, error) {
	if s.containerLabels.Style&yaml.FlowStyle != 0 || s.own.Style&yaml.FlowStyle != 0 {
		return nil, errors.New("the container's labels stand in brackets")
	}
	taken, kept := o, 0
	taken.wishes = nil
	taken.gone = map[int]bool{}
	for at := range s.entries {
		if taken.gone[at] = !o.stays(at); !taken.gone[at] {
			kept++
		}
	}
	cuts, err := t.block(s.entries, taken)
	if err != nil {
		return nil, err
	}
	key := keyOf(s.own, s.containerLabels)
	if key == nil {
		return nil, errors.New("the container's labels can't be found")
	}
	start := t.offset(key.Line, key.Column)
	indent := strings.Repeat(" ", t.indent(t.lineStart(start)))
	if strings.TrimSpace(t.data[t.lineStart(start):start]) != "" {
		return nil, errors.New("labels: does not begin its line")
	}
	if kept == 0 {
		line := t.lineEnd(start) + strings.IndexByte(t.data[t.lineEnd(start):], '\n') + 1
		cuts = append(cuts, cut{t.lineStart(start), line, ""})
	}
	added, err := t.underDeploy(s, o, indent, t.lineStart(start))
	return append(cuts, added), err
}

func keyOf(n, value *node) *node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i+1] == value {
			return n.Content[i]
		}
	}
	return nil
}

// underDeploy writes the labels where there is a place for them, or makes one
// before the line at.
func (t *text) underDeploy(s *service, o outcome, indent string, at int) (cut, error) {
	nl := t.newline()
	switch {
	case s.deploy == nil:
		return cut{at, at, indent + "deploy:" + nl + indent + "  labels:" + nl + lines(o, indent+"    ", false, nl)}, nil
	case s.deploy.Kind != yaml.MappingNode || s.deploy.Style&yaml.FlowStyle != 0 || len(s.deploy.Content) == 0:
		return cut{}, errors.New("deploy: stands in brackets or is empty")
	case s.labels == nil:
		first := t.lineStart(t.offset(s.deploy.Content[0].Line, s.deploy.Content[0].Column))
		inner := strings.Repeat(" ", t.indent(first))
		return cut{first, first, inner + "labels:" + nl + lines(o, inner+"  ", false, nl)}, nil
	case s.labels.Style&yaml.FlowStyle != 0 || len(s.labels.Content) == 0:
		return cut{}, errors.New("deploy: labels: stands in brackets or is empty")
	}
	first := t.lineStart(t.offset(s.labels.Content[0].Line, s.labels.Content[0].Column))
	return cut{first, first, lines(o, strings.Repeat(" ", t.indent(first)), s.labels.Kind == yaml.SequenceNode, nl)}, nil
}

// lines are the labels as a mapping or a list, in quotes.
func lines(o outcome, indent string, list bool, nl string) string {
	var b strings.Builder
	for _, w := range o.wishes {
		name, value := label.Prefix+w.name, scalar(w.value, yaml.DoubleQuotedStyle, false)
		if list {
			b.WriteString(indent + "- " + scalar(name+"="+w.value, 0, false) + nl)
			continue
		}
		b.WriteString(indent + name + ": " + value + nl)
	}
	return b.String()
}

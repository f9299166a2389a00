package migrate

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// extent is the range of bytes of one label: from the start of its key, or of
// its list item, to the end of its value.
func (t *text) extent(e entry, flow bool) (start, end int, err error) {
	if e.key == nil {
		start = t.offset(e.node.Line, e.node.Column)
		end, err = t.scalarEnd(start, e.node, flow)
		return start, end, err
	}
	start = t.offset(e.key.Line, e.key.Column)
	if end, err = t.scalarEnd(start, e.key, flow); err != nil {
		return 0, 0, err
	}
	colon := end + len(t.data[end:]) - len(strings.TrimLeft(t.data[end:], " \t"))
	if colon >= len(t.data) || t.data[colon] != ':' {
		return 0, 0, fmt.Errorf("label %s has no colon", quote(e.name))
	}
	if e.node.Tag == "!!null" && e.node.Value == "" {
		return start, colon + 1, nil
	}
	end, err = t.scalarEnd(t.offset(e.node.Line, e.node.Column), e.node, flow)
	return start, end, err
}

// scalarEnd is where a scalar, or an alias, ends that begins at start.
func (t *text) scalarEnd(start int, n *node, flow bool) (int, error) {
	rest := t.data[start:]
	switch {
	case n.Anchor != "" || n.Style&yaml.TaggedStyle != 0:
		return 0, fmt.Errorf("line %d has an anchor or a tag", n.Line)
	case n.Kind == yaml.AliasNode && strings.HasPrefix(rest, "*"+n.Value):
		return start + 1 + len(n.Value), nil
	case n.Kind != yaml.ScalarNode:
		return 0, fmt.Errorf("line %d is no text", n.Line)
	case n.Style&yaml.DoubleQuotedStyle != 0:
		return quotedEnd(t.data, start, '"')
	case n.Style&yaml.SingleQuotedStyle != 0:
		return quotedEnd(t.data, start, '\'')
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return t.below(start), nil
	case strings.HasPrefix(rest, n.Value) && !strings.Contains(n.Value, "\n") && t.endsPlain(start+len(n.Value)):
		return start + len(n.Value), nil
	case !flow:
		return t.folded(start, n)
	}
	return 0, fmt.Errorf("line %d can't be edited", n.Line)
}

// endsPlain says whether a plain scalar can end at an offset, for all that its
// line tells.
func (t *text) endsPlain(at int) bool {
	rest := strings.TrimLeft(t.data[at:t.lineEnd(at)], " \t")
	return rest == "" || strings.ContainsRune("#:,]}", rune(rest[0]))
}

func quotedEnd(data string, start int, quote byte) (int, error) {
	for i := start + 1; i < len(data); i++ {
		switch {
		case data[i] == '\\' && quote == '"':
			i++
		case data[i] == quote && quote == '\'' && i+1 < len(data) && data[i+1] == quote:
			i++
		case data[i] == quote && data[start] == quote:
			return i + 1, nil
		}
	}
	return 0, fmt.Errorf("a quote is not closed")
}

// below is the end of the lines after start's that are indented deeper than its
// line, or empty; empty ones at the end are left out.
func (t *text) below(start int) int {
	outer := t.indent(t.lineStart(start))
	end := t.lineEnd(start)
	for at := end; ; {
		next := strings.IndexByte(t.data[at:], '\n')
		if next < 0 {
			return end
		}
		line := at + next + 1
		at = t.lineEnd(line)
		blank := strings.TrimSpace(t.data[line:at]) == ""
		if !blank && t.indent(line) <= outer {
			return end
		}
		if !blank {
			end = at
		}
	}
}

func (t *text) indent(line int) int {
	return len(t.data[line:]) - len(strings.TrimLeft(t.data[line:], " "))
}

// maxFolded bounds the lines of a plain scalar.
const maxFolded = 64

// folded is the end of a plain scalar over several lines.
func (t *text) folded(start int, n *node) (int, error) {
	want := strings.Join(strings.Fields(n.Value), " ")
	end := start
	for range maxFolded {
		end = t.lineEnd(end)
		got := t.data[start:end]
		if i := strings.Index(got, " #"); i >= 0 {
			got = got[:i]
		}
		got = strings.TrimRight(got, " \t")
		if strings.Join(strings.Fields(got), " ") == want {
			return start + len(got), nil
		}
		next := strings.IndexByte(t.data[end:], '\n')
		if next < 0 {
			break
		}
		end += next + 1
	}
	return 0, fmt.Errorf("line %d can't be edited", n.Line)
}

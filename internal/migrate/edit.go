package migrate

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"interlock/internal/label"
)

// text is a file with the changes that are to be made to it.
type text struct {
	data  string
	lines []int // offsets of the lines
	cuts  []cut
}

// cut replaces a range of bytes.
type cut struct {
	start, end int
	text       string
}

func newText(data []byte) *text {
	t := &text{data: string(data), lines: []int{0}}
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		i += size
		if r == '\r' && i < len(data) && data[i] == '\n' {
			continue
		}
		if strings.ContainsRune("\n\r\u0085\u2028\u2029", r) {
			t.lines = append(t.lines, i)
		}
	}
	return t
}

// offset is where a position of the YAML tree is: lines and columns from 1,
// columns in characters.
func (t *text) offset(line, column int) int {
	if line < 1 || line > len(t.lines) {
		return len(t.data)
	}
	at := t.lines[line-1]
	for ; column > 1 && at < len(t.data); column-- {
		_, size := utf8.DecodeRuneInString(t.data[at:])
		at += size
	}
	return at
}

// apply makes all changes.
func (t *text) apply() []byte {
	slices.SortStableFunc(t.cuts, func(a, b cut) int { return a.start - b.start })
	var out strings.Builder
	last := 0
	for _, c := range t.cuts {
		out.WriteString(t.data[last:max(last, c.start)])
		out.WriteString(c.text)
		last = max(last, c.end)
	}
	out.WriteString(t.data[last:])
	return []byte(out.String())
}

func (t *text) newline() string {
	if i := strings.IndexByte(t.data, '\n'); i > 0 && t.data[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

// lineStart and lineEnd are the bounds of the line that an offset is in, its
// line break excluded.
func (t *text) lineStart(at int) int { return strings.LastIndexAny(t.data[:at], "\n") + 1 }

func (t *text) lineEnd(at int) int {
	i := strings.IndexByte(t.data[at:], '\n')
	if i < 0 {
		return len(t.data)
	}
	if i > 0 && t.data[at+i-1] == '\r' {
		i--
	}
	return at + i
}

// edit writes a service's outcome into the text. Where it returns an error, it
// has changed nothing.
func (t *text) edit(s *service, o outcome) error {
	var cuts []cut
	var err error
	switch {
	case s.moved:
		cuts, err = t.move(s, o)
	case s.labels.Style&yaml.FlowStyle != 0:
		cuts, err = t.flow(s, o)
	default:
		cuts, err = t.block(s.entries, o)
	}
	if err != nil {
		return err
	}
	t.cuts = append(t.cuts, cuts...)
	return nil
}

// block edits labels that stand one to a line.
func (t *text) block(entries []entry, o outcome) ([]cut, error) {
	var cuts []cut
	for at, e := range entries {
		if o.stays(at) {
			continue
		}
		start, end, err := t.extent(e, false)
		if err != nil {
			return nil, err
		}
		lineStart := t.lineStart(start)
		prefix := t.data[lineStart:start]
		if !entryPrefix(e).MatchString(prefix) {
			return nil, fmt.Errorf("label %s does not begin its line", quote(e.name))
		}
		wishes := o.replaced(at)
		if len(wishes) == 0 {
			c, err := t.removal(e, lineStart, end)
			if err != nil {
				return nil, err
			}
			cuts = append(cuts, c)
			continue
		}
		cuts = append(cuts, cut{start, end, rendered(e, wishes[0], false)})
		more := ""
		for _, w := range wishes[1:] {
			more += t.newline() + prefix + rendered(e, w, false)
		}
		cuts = append(cuts, cut{t.lineEnd(end), t.lineEnd(end), more})
	}
	return cuts, nil
}

var (
	beforeItem = regexp.MustCompile(`^ *- +$`)
	beforeKey  = regexp.MustCompile(`^ *$`)
)

func entryPrefix(e entry) *regexp.Regexp {
	if e.key == nil {
		return beforeItem
	}
	return beforeKey
}

// removal takes an entry's lines out; a comment behind it stays.
func (t *text) removal(e entry, lineStart, end int) (cut, error) {
	lineEnd := t.lineEnd(end)
	rest := strings.TrimLeft(t.data[end:lineEnd], " \t")
	switch {
	case rest == "":
		next := strings.IndexByte(t.data[lineEnd:], '\n')
		if next < 0 {
			return cut{lineStart, len(t.data), ""}, nil
		}
		return cut{lineStart, lineEnd + next + 1, ""}, nil
	case rest[0] == '#':
		indent := len(t.data[lineStart:]) - len(strings.TrimLeft(t.data[lineStart:], " "))
		return cut{lineStart + indent, lineEnd - len(rest), ""}, nil
	}
	return cut{}, fmt.Errorf("label %s does not end its line", quote(e.name))
}

// flow edits labels within [] or {}.
func (t *text) flow(s *service, o outcome) ([]cut, error) {
	n := len(s.entries)
	starts, ends := make([]int, n), make([]int, n)
	last := -1
	for at, e := range s.entries {
		var err error
		if starts[at], ends[at], err = t.extent(e, true); err != nil {
			return nil, err
		}
		if !o.gone[at] || len(o.replaced(at)) > 0 {
			last = at
		}
	}
	if last < 0 || len(s.labels.Content) != n*contentOf(s.labels) {
		return nil, errors.New("the labels can't be edited within their brackets")
	}
	var cuts []cut
	for at, e := range s.entries {
		wishes := o.replaced(at)
		switch {
		case o.stays(at):
			continue
		case len(wishes) > 0:
			var parts []string
			for _, w := range wishes {
				parts = append(parts, rendered(e, w, true))
			}
			cuts = append(cuts, cut{starts[at], ends[at], strings.Join(parts, ", ")})
		case at < last:
			cuts = append(cuts, cut{starts[at], starts[at+1], ""})
		case at == last+1:
			cuts = append(cuts, cut{ends[last], ends[n-1], ""})
		}
	}
	for _, c := range cuts {
		if c.text == "" && strings.Contains(t.data[c.start:c.end], " #") {
			return nil, errors.New("there is a comment within the brackets of the labels")
		}
	}
	return cuts, nil
}

func contentOf(labels *node) int {
	if labels.Kind == yaml.MappingNode {
		return 2
	}
	return 1
}

// rendered is a label of ours in the style of the entry whose place it takes.
func rendered(e entry, w wish, flow bool) string {
	name := label.Prefix + w.name
	if e.key == nil {
		return scalar(name+"="+w.value, e.node.Style, flow)
	}
	style := e.node.Style
	if e.node.Kind == yaml.AliasNode || style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		style = 0
	}
	return scalar(name, e.key.Style, flow) + ": " + scalar(w.value, style, flow)
}

var (
	plainText = regexp.MustCompile(`^[A-Za-z0-9/$][A-Za-z0-9._/$,*=@~+{}:? -]*$`)
	flowText  = regexp.MustCompile(`^[A-Za-z0-9/$][A-Za-z0-9._/$=-]*$`)
)

// scalar writes a string in a style, or in double quotes where it would be
// taken for something else.
func scalar(s string, style yaml.Style, flow bool) string {
	safe := plainText
	if flow {
		safe = flowText
	}
	switch {
	case style&yaml.SingleQuotedStyle != 0 && !strings.ContainsAny(s, "'\r\n"):
		return "'" + s + "'"
	case style&yaml.DoubleQuotedStyle == 0 && safe.MatchString(s) && !strings.Contains(s, ": ") && isString(s):
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// isString says whether YAML takes a plain text for a string, and for itself.
func isString(s string) bool {
	n, err := parse([]byte(s))
	return err == nil && n.Kind == yaml.ScalarNode && n.Tag == "!!str" && n.Value == s
}

package stackfile

import (
	"bytes"
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"interlock/internal/problems"
	"interlock/routing"
)

// parser is the working state of one Parse.
type parser struct {
	src      Source
	env      func(string) (string, bool)
	services []*serviceNode
	found    []routing.Problem
	equal    []*yaml.Node // items that a list has twice, to be dropped
	refused  bool         // Docker would not deploy the file

	root     *yaml.Node // the tree, repaired
	readable bool       // there is one
	// dict is what Docker's loader makes of the tree before it judges it. Its
	// schema accepted that, or has an objection, or neither: it was not asked.
	dict      map[string]any
	accepted  bool
	objection error
}

// serviceNode is a service in the YAML tree.
type serviceNode struct {
	name string
	line int
	node *yaml.Node
	// labels are under deploy, container directly in the service.
	labels, container []labelNode
}

// labelNode is one label in the YAML tree: an entry of a mapping, or an item of
// a list of name=value. node is the value or the item.
type labelNode struct {
	name, text string
	line       int
	node       *yaml.Node
	inList     bool
}

func (p *parser) add(line int, service, label string, found routing.Problem) {
	found.File, found.Line, found.Service, found.Label = p.src.File, line, service, label
	p.found = append(p.found, found)
}

// refuse adds a problem for which Docker does not deploy the file.
func (p *parser) refuse(line int, service, label string, found routing.Problem) {
	p.refused = true
	p.add(line, service, label, found)
}

func (p *parser) sorted() []routing.Problem {
	slices.SortStableFunc(p.found, func(a, b routing.Problem) int { return cmp.Compare(a.Line, b.Line) })
	return p.found
}

var errorLine = regexp.MustCompile(`line ([0-9]+)`)

// tree parses the text. As Docker does, it reads the first document only.
func (p *parser) tree() (*yaml.Node, bool) {
	var doc yaml.Node
	if err := yaml.Unmarshal(p.src.Data, &doc); err != nil {
		line := 1
		if m := errorLine.FindStringSubmatch(err.Error()); m != nil {
			line, _ = strconv.Atoi(m[1])
		}
		p.refuse(line, "", "", problems.New(problems.StackfileSyntax, "the file is not valid YAML: "+clip(strings.TrimPrefix(err.Error(), "yaml: ")), "correct the line; YAML is indented by blanks, not tabs"))
		return nil, false
	}
	if doc.Kind != yaml.DocumentNode || resolve(doc.Content[0]).Kind != yaml.MappingNode {
		p.refuse(1, "", "", problems.New(problems.StackfileRefused, "the file is no stack file: it must be a mapping with services:", "begin with services:"))
		return nil, false
	}
	return resolve(doc.Content[0]), true
}

// maxPairs bounds the pairs of keys that a YAML decoder compares: it looks at
// every two keys of a mapping. 15,000 keys in one mapping are within it.
const maxPairs = 250_000_000

// tooManyKeys refuses what would take minutes to read.
func (p *parser) tooManyKeys(root *yaml.Node) bool {
	work := 0
	var walk func(*yaml.Node)
	walk = func(n *yaml.Node) {
		if n.Kind == yaml.MappingNode {
			keys := len(n.Content) / 2
			work += keys * keys
		}
		for _, c := range n.Content {
			walk(c)
		}
	}
	if walk(root); work <= maxPairs {
		return false
	}
	p.refuse(1, "", "", problems.New(problems.StackfileRefused, "the file has mappings with more keys than can be read in reasonable time", "split the file, or move what is repeated elsewhere"))
	return true
}

// secondDocument says that Docker reads one document of a file only.
func (p *parser) secondDocument() {
	if !mayHaveTwo(p.src.Data) {
		return
	}
	decoder := yaml.NewDecoder(bytes.NewReader(p.src.Data))
	var doc yaml.Node
	if decoder.Decode(&doc) != nil {
		return
	}
	doc = yaml.Node{}
	if decoder.Decode(&doc) == nil && doc.Kind == yaml.DocumentNode && doc.Content[0].Tag != "!!null" {
		p.add(doc.Line, "", "", problems.New(problems.StackfileDocuments, "the file has a second document, which Docker does not read", "make it a file of its own"))
	}
}

// mayHaveTwo is false for text without any marker that a document ends or
// another begins, which need not be read once more.
func mayHaveTwo(text []byte) bool {
	rest := text[min(1, len(text)):] // a marker at the very beginning ends nothing
	return bytes.Contains(rest, []byte("---")) || bytes.Contains(rest, []byte("..."))
}

// resolve follows an alias.
func resolve(n *yaml.Node) *yaml.Node {
	for depth := 0; n.Kind == yaml.AliasNode && n.Alias != nil && depth < 8; depth++ {
		n = n.Alias
	}
	return n
}

func resolveOr(n *yaml.Node) *yaml.Node {
	if n == nil {
		return &yaml.Node{}
	}
	return resolve(n)
}

// pair is one entry of a mapping.
type pair struct{ key, value *yaml.Node }

// maxMerged bounds the entries that one mapping takes in by "<<", directly and
// through others: aliases of aliases grow without end.
const maxMerged = 10_000

// pairs are the entries of a mapping with those it merges in ("<<"), which
// give way to its own.
func pairs(n *yaml.Node) []pair {
	budget := maxMerged
	return mergedPairs(n, &budget)
}

func mergedPairs(n *yaml.Node, budget *int) []pair {
	if n = resolve(n); n.Kind != yaml.MappingNode {
		return nil
	}
	var own, merged []pair
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Tag == "!!merge" {
			merged = append(merged, mergeSources(value, budget)...)
			continue
		}
		seen[key.Value] = true
		own = append(own, pair{key, value})
	}
	for _, m := range merged {
		if !seen[m.key.Value] {
			seen[m.key.Value] = true
			own = append(own, m)
		}
	}
	return own
}

func mergeSources(value *yaml.Node, budget *int) []pair {
	sources := []*yaml.Node{resolve(value)}
	if sources[0].Kind == yaml.SequenceNode {
		sources = sources[0].Content
	}
	var out []pair
	for _, n := range sources {
		if *budget -= 1 + len(resolve(n).Content)/2; *budget < 0 {
			return out
		}
		out = append(out, mergedPairs(n, budget)...)
	}
	return out
}

func child(n *yaml.Node, name string) (pair, bool) {
	for _, e := range pairs(n) {
		if e.key.Value == name {
			return e, true
		}
	}
	return pair{}, false
}

// duplicates reports keys that a mapping has twice, which YAML forbids and
// Docker refuses, and drops the later ones.
func (p *parser) duplicates(n *yaml.Node) {
	if n.Kind == yaml.MappingNode {
		first := map[string]int{}
		var kept []*yaml.Node
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if line, twice := first[key.Value]; twice && key.Kind == yaml.ScalarNode && key.Tag != "!!merge" {
				p.refuse(key.Line, "", routingLabel(key.Value), problems.New(problems.StackfileDuplicate,
					fmt.Sprintf("%s is there twice, first in line %d", quote(key.Value), line), "put both into one, or keep one"))
				continue
			}
			first[key.Value] = key.Line
			kept = append(kept, key, n.Content[i+1])
		}
		n.Content = kept
	}
	for _, c := range n.Content {
		p.duplicates(c)
	}
}

func (p *parser) servicesOf(root *yaml.Node) []*serviceNode {
	entry, ok := child(root, "services")
	if e := resolveOr(entry.value); !ok || e.Kind == yaml.MappingNode && len(e.Content) == 0 {
		p.add(1, "", "", problems.New(problems.StackfileDeployMissing, "the file has no services", "add services:"))
		return nil
	}
	var out []*serviceNode
	for _, e := range pairs(entry.value) {
		s := &serviceNode{name: e.key.Value, line: e.key.Line, node: resolve(e.value)}
		s.container = p.labelsOf(s, s.node)
		if d, ok := child(s.node, "deploy"); ok {
			s.labels = p.labelsOf(s, d.value)
		}
		out = append(out, s)
	}
	return out
}

func (p *parser) labelsOf(s *serviceNode, n *yaml.Node) []labelNode {
	l, ok := child(n, "labels")
	if !ok {
		return nil
	}
	p.repairItems(s, resolve(l.value))
	return labelNodes(l.value)
}

// labelNodes are the labels of a mapping, or of a list of name=value.
func labelNodes(n *yaml.Node) []labelNode {
	n = resolve(n)
	var out []labelNode
	for _, e := range pairs(n) {
		value := resolve(e.value)
		out = append(out, labelNode{name: e.key.Value, text: value.Value, line: e.key.Line, node: value})
	}
	if n.Kind == yaml.SequenceNode {
		for _, item := range n.Content {
			item = resolve(item)
			name, text, _ := strings.Cut(item.Value, "=")
			out = append(out, labelNode{name: name, text: text, line: item.Line, node: item, inList: true})
		}
	}
	return out
}

// lineAt is the line of a path such as "services.web.deploy", as deep as it
// leads.
func lineAt(root *yaml.Node, path string) int {
	line, n := 1, root
	for path != "" {
		step, rest, ok := pair{}, "", false
		for _, e := range pairs(n) {
			if tail, under := strings.CutPrefix(path, e.key.Value); under && (tail == "" || tail[0] == '.' || tail[0] == '[') {
				step, rest, ok = e, strings.TrimPrefix(tail, "."), true
			}
		}
		if !ok {
			return line
		}
		line, n, path = step.key.Line, resolve(step.value), rest
	}
	return line
}

func quote(s string) string { return strconv.QuoteToASCII(clip(s)) }

// clip shortens text for a message.
func clip(s string) string {
	if len(s) <= 200 {
		return s
	}
	return strings.ToValidUTF8(s[:200], "") + "..."
}

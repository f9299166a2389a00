package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"interlock/internal/problems"
	"interlock/internal/spell"
	"interlock/routing"
)

// Parse reads a config.toml; name is what problems call it. It is total. A
// mistake in one cluster's table makes that cluster unusable and no other. Text
// that is no TOML gives a File with Unreadable set: the last good one then
// stays in force.
//
// Problems have the severity that they have at run time, where an unknown key
// is a warning; see Strict.
func Parse(data []byte, name string) File {
	p := &parser{name: name, file: File{Core: coreDefaults()}}
	nodes, line, err := decodeTree(data)
	if err != nil {
		p.file.Unreadable = clip(err.Error())
		what, hint := "it is not valid TOML: ", "correct the line; strings need quotes"
		if errors.Is(err, errTooLarge) {
			what, hint = "", "is it the right file?"
		}
		p.problem(line, "", "", problems.ConfigSyntax, what+clip(err.Error()), hint)
		return p.file
	}
	p.top(nodes)
	p.settle()
	return p.file
}

// Strict raises to errors what is only a warning at run time, for `check`.
func Strict(found []routing.Problem) []routing.Problem {
	found = slices.Clone(found)
	for i, p := range found {
		if p.Code == problems.ConfigUnknownKey {
			found[i].Severity = routing.Error
		}
	}
	return found
}

// parser is the working state of one Parse.
type parser struct {
	name   string
	file   File
	drafts []*draft
	// ignored are the keys without effect, by what they are without: they are
	// said once in a file, not for each key and cluster.
	ignored map[status][]ignoredKey
}

type ignoredKey struct {
	label string
	line  int
}

// draft is one cluster while its table is read.
type draft struct {
	Cluster
	core *Core
	line int
	// given are the keys that the table has, lower-case, with their lines.
	given map[string]int
}

func (d *draft) has(key string) bool { _, ok := d.given[strings.ToLower(key)]; return ok }

func (p *parser) top(nodes []node) {
	core := &draft{core: &p.file.Core, given: map[string]int{}}
	for _, n := range nodes {
		switch {
		case !strings.EqualFold(n.key, "Extensions"):
			p.key(core, n, "", coreKeys, []string{"Extensions"})
		case n.isTable():
			p.extensions(n.table)
		default:
			p.bad(core, n.line, n.key, "Extensions is not a table", "write [Extensions.<name>] for each cluster")
		}
	}
	if len(p.drafts) == 0 {
		p.problem(1, "", "", problems.ConfigNoExtension, "there is no [Extensions.<name>] table, so there is no cluster", "add one table for each service cluster")
	}
}

func (p *parser) extensions(tables []node) {
	for _, n := range tables {
		if !n.isTable() {
			p.problem(n.line, "", "Extensions."+n.key, problems.ConfigValue, "Extensions."+clip(n.key)+" is not a table", "write [Extensions."+clip(n.key)+"] on a line of its own")
			continue
		}
		d := newDraft(n.key, n.line)
		p.nameFirst(d, n.table)
		for _, k := range n.table {
			p.extensionKey(d, k)
		}
		p.drafts = append(p.drafts, d)
	}
}

// nameFirst sets the cluster's name before anything is said about it. One that
// can't be read is named after its table, so that its mistake is not taken for
// the default cluster's.
func (p *parser) nameFirst(d *draft, nodes []node) {
	for _, n := range nodes {
		if !strings.EqualFold(n.key, "ServiceCluster") {
			continue
		}
		d.Name = d.Table
		if name, ok := n.value.(string); ok && clusterName(name) == nil {
			d.Name = name
		}
	}
}

func (p *parser) extensionKey(d *draft, n node) {
	if sub, ok := subTables[strings.ToLower(n.key)]; ok && n.isTable() {
		for _, k := range n.table {
			p.key(d, k, sub.name+".", sub.rows, nil)
		}
		return
	}
	p.key(d, n, "", extensionKeys, []string{"Config", "Rollout"})
}

// key reads one key by its row. more are names that are no rows, for the hint.
func (p *parser) key(d *draft, n node, path string, rows []row, more []string) {
	label := path + n.key
	r := find(rows, n.key)
	if r == nil {
		p.unknown(d, n, path, rows, more)
		return
	}
	full := strings.ToLower(path + n.key)
	if _, twice := d.given[full]; twice {
		p.bad(d, n.line, label, fmt.Sprintf("%s is given twice", clip(label)), "keep one; letters' case does not tell keys apart")
		return
	}
	d.given[full] = n.line
	switch {
	case r.status == served:
		if err := r.set(d, valueOf(n)); err != nil {
			p.bad(d, n.line, label, fmt.Sprintf("%s: %s", label, clip(err.Error())), "write "+r.value)
		}
	case !isZero(n.value):
		p.ignore(r.status, path+r.name, n.line)
	}
}

// isZero holds for values that ask for nothing, which generated files are full
// of.
func isZero(v any) bool {
	list, ok := v.([]any)
	return v == nil || v == "" || v == false || v == int64(0) || ok && len(list) == 0
}

func (p *parser) ignore(why status, label string, line int) {
	if p.ignored == nil {
		p.ignored = map[status][]ignoredKey{}
	}
	if !slices.ContainsFunc(p.ignored[why], func(k ignoredKey) bool { return k.label == label }) {
		p.ignored[why] = append(p.ignored[why], ignoredKey{label, line})
	}
}

// sayIgnored names the keys without effect.
func (p *parser) sayIgnored() {
	for _, s := range []struct {
		status        status
		code, message string
	}{
		{withoutMeaning, problems.ConfigWithoutMeaning, "keys of the original that have no meaning here and are ignored: "},
		{notServed, problems.ConfigNotServed, "keys that this version does not serve and ignores: "},
	} {
		keys := p.ignored[s.status]
		if len(keys) == 0 {
			continue
		}
		names := make([]string, len(keys))
		for i, k := range keys {
			names[i] = fmt.Sprintf("%s (line %d)", k.label, k.line)
		}
		p.problem(keys[0].line, "", keys[0].label, s.code, s.message+strings.Join(names, ", "), "")
	}
}

// valueOf is the node's value; a table's is a map of its plain values.
func valueOf(n node) any {
	if !n.isTable() {
		return n.value
	}
	m := make(map[string]any, len(n.table))
	for _, k := range n.table {
		m[k.key] = k.value
	}
	return m
}

func find(rows []row, key string) *row {
	for i := range rows {
		if strings.EqualFold(rows[i].name, key) {
			return &rows[i]
		}
	}
	return nil
}

func (p *parser) unknown(d *draft, n node, path string, rows []row, more []string) {
	p.problem(n.line, d.Name, path+clip(n.key), problems.ConfigUnknownKey, fmt.Sprintf("%s is not a key of this table and is ignored", strconv.QuoteToASCII(clip(n.key))), hintFor(n.key, path, rows, more))
	p.file.Problems[len(p.file.Problems)-1].Severity = routing.Warning
}

const removeHint = "remove it; docs/configuration.md lists all keys"

// hintFor says what to write instead of a key that no row has. more are names
// that are no rows.
func hintFor(key, path string, rows []row, more []string) string {
	known := slices.Clone(more)
	for _, r := range rows {
		known = append(known, r.name)
	}
	if near := spell.Nearest(key, known); strings.EqualFold(near, key) {
		return "it must be a table, under a heading of its own in brackets"
	} else if near != "" {
		return "did you mean " + path + near + "?"
	} else if place := placeOf(key); place != "" {
		return "it belongs into " + place
	}
	return removeHint
}

// placeOf says in which table a key would be known.
func placeOf(key string) string {
	switch {
	case find(coreKeys, key) != nil:
		return "the top of the file"
	case find(extensionKeys, key) != nil:
		return "[Extensions.<name>]"
	case find(configKeys, key) != nil:
		return "[Extensions.<name>.Config]"
	case find(rolloutKeys, key) != nil:
		return "[Extensions.<name>.Rollout]"
	}
	return ""
}

// bad reports a value that can't be used, and makes the cluster unusable.
func (p *parser) bad(d *draft, line int, label, message, hint string) {
	p.unusable(d, line, label, problems.ConfigValue, message, hint)
}

func (p *parser) unusable(d *draft, line int, label, code, message, hint string) {
	if d.Unusable == "" {
		d.Unusable = message
	}
	p.problem(line, d.Name, label, code, message, hint)
}

func (p *parser) problem(line int, cluster, label, code, message, hint string) {
	found := problems.New(code, message, hint)
	found.Cluster, found.Label, found.File, found.Line = cluster, clip(label), p.name, max(line, 1)
	p.file.Problems = append(p.file.Problems, found)
}

// sorted brings what was found into the order of the file.
func sorted(found []routing.Problem) []routing.Problem {
	slices.SortStableFunc(found, func(a, b routing.Problem) int { return cmp.Compare(a.Line, b.Line) })
	return found
}

// clip makes an excerpt of the operator's text that fits a message: printable
// ASCII, at most 120 bytes.
func clip(s string) string {
	if len(s) > 120 {
		s = strings.ToValidUTF8(s[:120], "") + "..."
	}
	q := strconv.QuoteToASCII(s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

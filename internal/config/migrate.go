package config

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"interlock/routing"
)

// Migration is an original's config.toml made ours.
type Migration struct {
	// Text is the file, with all that means nothing to us commented out, and
	// everything else as it was.
	Text []byte
	// Notes say what was commented out, each key once, in the file's order.
	Notes []Note
	// Problems are what is still wrong, or to be known, by the lines of the
	// given file and as severe as `check` has it.
	Problems []routing.Problem
	// Unreadable says why the file can't be read; "" when it can. Text is then
	// empty.
	Unreadable string
}

// Note is a key that was commented out, and why.
type Note struct {
	Key    string // as in the tables of keys: Config.User
	Lines  []int  // in the given file
	Reason string
}

// Migrate comments out what an original's config.toml has without meaning here:
// keys of things that do not exist, unknown keys, which the original ignored
// too, its images, and what was meant for those images or for nginx. It is
// total and changes nothing in a file that is free of these. But for arguments
// and raw lines, no cluster means anything else afterwards.
func Migrate(data []byte, name string) Migration {
	before := Parse(data, name)
	if before.Unreadable != "" {
		return Migration{Problems: before.Problems, Unreadable: before.Unreadable}
	}
	nodes, _, _ := decodeTree(data) // Parse had no error with it
	m := &migrator{text: string(data), notes: map[string]*Note{}, facts: factsOf(nodes), stands: map[string]bool{}}
	found := statements(m.text)
	m.standing(found)
	for _, s := range found {
		m.statement(s)
	}
	out := Migration{Text: []byte(m.rewritten())}
	for _, key := range m.order {
		out.Notes = append(out.Notes, *m.notes[key])
	}
	out.Problems = remaining(Strict(before.Problems), Parse(out.Text, name).Problems)
	return out
}

// remaining are the problems of the file that its migration has too.
func remaining(before, after []routing.Problem) []routing.Problem {
	type what struct{ code, cluster, label string }
	left := map[what]bool{}
	for _, p := range after {
		left[what{p.Code, p.Cluster, p.Label}] = true
	}
	return slices.DeleteFunc(before, func(p routing.Problem) bool {
		return !left[what{p.Code, p.Cluster, p.Label}]
	})
}

// migrator is the working state of one Migrate.
type migrator struct {
	text  string
	facts map[string]tableFacts
	edits []edit
	notes map[string]*Note
	order []string // keys of notes
	// stands has the clusters' tables that exist by what is written of them.
	// One that would be gone with its last key is written anew.
	stands map[string]bool
	// said is the reason of the statement before, if it was commented out:
	// neighbours share one.
	said string
}

// edit replaces bytes of the text.
type edit struct {
	from, to int
	with     string
}

// standing notes the tables that something remains of.
func (m *migrator) standing(found []statement) {
	note := func(path []string, table bool) {
		if _, why := m.verdict(path, table); why == "" && len(path) > 1 {
			m.stands[path[1]] = true
		}
	}
	for _, s := range found {
		note(s.path, s.table)
		for _, t := range s.inline {
			for _, e := range t {
				note(e.path, m.text[e.to-1] == '}')
			}
		}
	}
}

// falls says whether a cluster's table would be gone without a key, and that it
// stands from now on.
func (m *migrator) falls(path []string) bool {
	if !strings.EqualFold(path[0], "Extensions") || len(path) < 3 || m.stands[path[1]] {
		return false
	}
	m.stands[path[1]] = true
	return true
}

// statement comments one out where it has no meaning, or what its value has in
// braces.
func (m *migrator) statement(s statement) {
	if key, why := m.verdict(s.path, s.table); why != "" {
		m.note(key, why, s.line)
		m.comment(s, why)
		return
	}
	m.said = ""
	var gone inlineTable
	for _, t := range s.inline {
		within := func(e inlineEntry) bool { return e.from <= t[0].from && t[0].from < e.to }
		if !slices.ContainsFunc(gone, within) {
			gone = append(gone, m.braces(s, t)...)
		}
	}
}

// comment puts a # before each line of a statement, and the reason above it.
func (m *migrator) comment(s statement, why string) {
	text := m.text[s.from:s.to]
	m.standIn(s)
	if m.said != why {
		m.edits = append(m.edits, edit{s.from, s.from, indentOf(text) + "# interlock: " + why + breakOf(text)})
	}
	m.said = why
	var b strings.Builder
	for line := range strings.Lines(text) {
		indent := indentOf(line)
		b.WriteString(indent + "# " + line[len(indent):])
	}
	m.edits = append(m.edits, edit{s.from, s.to, b.String()})
}

// standIn writes the heading of a table that would be gone with a statement.
func (m *migrator) standIn(s statement) {
	if !m.falls(s.path) {
		return
	}
	end := breakOf(m.text[s.from:s.to])
	heading := "[" + s.path[0] + "." + keyOf(s.path[1]) + "]" + end
	if s.heading {
		m.edits = append(m.edits, edit{s.from, s.from, heading})
		return
	}
	// Not here: the keys that follow are none of that table's.
	m.edits = append(m.edits, edit{len(m.text), len(m.text), end + heading})
}

// braces takes entries without meaning out of a table in braces, where nothing
// can be commented out, and writes them above the statement. It returns them.
func (m *migrator) braces(s statement, t inlineTable) (gone inlineTable) {
	lines := m.text[s.from:s.to]
	indent, end := indentOf(lines), breakOf(lines)
	kept := -1 // the last entry that stays
	for i, e := range t {
		key, why := m.verdict(e.path, m.text[e.to-1] == '}')
		if why == "" {
			kept = i
			continue
		}
		gone = append(gone, e)
		m.note(key, why, s.line+strings.Count(m.text[s.from:e.from], "\n"))
		entry := strings.ReplaceAll(m.text[e.from:e.to], "\n", "\n"+indent+"# ")
		m.edits = append(m.edits, edit{s.from, s.from, indent + "# interlock: " + why + end + indent + "# " + entry + end})
		if m.falls(e.path) { // as in Extensions = { west.Zz = 1 }
			kept = i
			m.edits = append(m.edits, edit{e.from, e.to, keyOf(e.path[1]) + " = {}"})
			continue
		}
		switch {
		case i+1 < len(t):
			m.edits = append(m.edits, edit{e.from, t[i+1].from, ""})
		case kept >= 0:
			m.edits = append(m.edits, edit{t[kept].to, e.to, ""})
		default:
			m.edits = append(m.edits, edit{e.from, m.pastComma(e.to), ""})
		}
	}
	return gone
}

// pastComma is where a comma behind the last entry ends, if there is one.
func (m *migrator) pastComma(pos int) int {
	rest := strings.TrimLeft(m.text[pos:], " \t\r\n")
	if strings.HasPrefix(rest, ",") {
		return len(m.text) - len(rest) + 1
	}
	return pos
}

// rewritten is the text with all edits made. Of two that overlap, as where the
// last entries in braces go, the parts of both go.
func (m *migrator) rewritten() string {
	slices.SortStableFunc(m.edits, func(a, b edit) int { return cmp.Compare(a.from, b.from) })
	var b strings.Builder
	pos := 0
	for _, e := range m.edits {
		b.WriteString(m.text[pos:max(pos, e.from)])
		b.WriteString(e.with)
		pos = max(pos, e.to)
	}
	b.WriteString(m.text[pos:])
	return b.String()
}

func (m *migrator) note(key, why string, line int) {
	id := key + "\n" + why
	n := m.notes[id]
	if n == nil {
		n = &Note{Key: key, Reason: why}
		m.notes[id], m.order = n, append(m.order, id)
	}
	if len(n.Lines) == 0 || n.Lines[len(n.Lines)-1] != line {
		n.Lines = append(n.Lines, line)
	}
}

var bareKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// keyOf is a key as it is written.
func keyOf(key string) string {
	if bareKey.MatchString(key) {
		return key
	}
	return strconv.Quote(key)
}

func indentOf(line string) string { return line[:len(line)-len(strings.TrimLeft(line, " \t"))] }

// breakOf is the kind of line break that text has.
func breakOf(text string) string {
	if strings.Contains(text, "\r\n") {
		return "\r\n"
	}
	return "\n"
}

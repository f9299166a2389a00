package config

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// statement is a heading or a key with its value, where it stands in the text.
type statement struct {
	// path is its key from the top of the file: Extensions, east, Image.
	path []string
	line int
	// from and to are the bytes of the lines that it takes, the last line's
	// break included.
	from, to int
	// table says that it opens a table: a heading, or a value in braces.
	table, heading bool
	// inline are the tables in braces that its value has, in the order of their
	// first keys: outer ones come before those in them. None is empty.
	inline []inlineTable
}

// inlineTable is a table in braces, by its entries.
type inlineTable []inlineEntry

// inlineEntry is one key with its value, from the first byte of the key to the
// last of the value.
type inlineEntry struct {
	path     []string
	from, to int
}

// statements splits the text of a TOML file that was decoded before. On other
// text it ends too, with whatever.
func statements(text string) []statement {
	first := byteOrderMark(text)
	s := &scanner{text: text, pos: first}
	var table []string
	var out []statement
	line, counted := 1, 0
	for s.between(); s.pos < len(text); s.between() {
		line += strings.Count(text[counted:s.pos], "\n")
		counted = s.pos
		st := statement{from: max(first, s.lineStart()), line: line}
		if s.at('[') {
			s.pos++
			s.skip("[")
			table = s.key()
			st.path, st.table, st.heading = table, true, true
		} else {
			st.path = join(table, s.key())
			s.skip("= \t")
			st.table = s.at('{')
			s.value(st.path, &st.inline)
		}
		slices.SortFunc(st.inline, func(a, b inlineTable) int { return cmp.Compare(a[0].from, b[0].from) })
		s.restOfLine()
		st.to = s.pos
		out = append(out, st)
	}
	return out
}

func join(table, key []string) []string { return append(slices.Clone(table), key...) }

// scanner walks through TOML. Each method leaves pos behind what it read, and
// never goes back.
type scanner struct {
	text string
	pos  int
}

func (s *scanner) at(c byte) bool { return s.pos < len(s.text) && s.text[s.pos] == c }

func (s *scanner) skip(chars string) {
	for s.pos < len(s.text) && strings.IndexByte(chars, s.text[s.pos]) >= 0 {
		s.pos++
	}
}

func (s *scanner) until(chars string) {
	for s.pos < len(s.text) && strings.IndexByte(chars, s.text[s.pos]) < 0 {
		s.pos++
	}
}

func (s *scanner) lineStart() int { return strings.LastIndexByte(s.text[:s.pos], '\n') + 1 }

func (s *scanner) restOfLine() {
	s.until("\n")
	s.pos = min(s.pos+1, len(s.text))
}

// byteOrderMark is how many bytes at the beginning are a mark of the byte order,
// which the TOML library passes over.
func byteOrderMark(text string) int {
	for _, mark := range []string{"\xff\xfe", "\xfe\xff", "\xef\xbb\xbf"} {
		if strings.HasPrefix(text, mark) {
			return len(mark)
		}
	}
	return 0
}

// between skips blanks, line breaks and comments.
func (s *scanner) between() {
	s.skip(" \t\r\n")
	for s.at('#') {
		s.restOfLine()
		s.skip(" \t\r\n")
	}
}

// key reads a.b."c" and stops before what follows.
func (s *scanner) key() []string {
	var parts []string
	for {
		s.skip(" \t")
		from := s.pos
		if s.at('"') || s.at('\'') {
			s.quoted()
			parts = append(parts, unquoted(s.text[from:s.pos]))
		} else {
			s.until(". \t=]}\r\n")
			parts = append(parts, s.text[from:s.pos])
		}
		s.skip(" \t")
		if !s.at('.') {
			return parts
		}
		s.pos++
	}
}

func unquoted(key string) string {
	if plain, err := strconv.Unquote(key); err == nil && key[0] == '"' {
		return plain
	}
	return strings.Trim(key, key[:1])
}

// quoted skips a string of any of the four kinds.
func (s *scanner) quoted() {
	mark := s.text[s.pos : s.pos+1]
	escapes := mark == `"`
	if triple := strings.Repeat(mark, 3); strings.HasPrefix(s.text[s.pos:], triple) {
		mark = triple
	}
	for s.pos += len(mark); s.pos < len(s.text); s.pos++ {
		switch {
		case escapes && s.at('\\'):
			s.pos++
		case strings.HasPrefix(s.text[s.pos:], mark):
			s.pos += len(mark)
			if len(mark) == 3 { // up to two more belong to the text
				s.skip(mark[:1])
			}
			return
		}
	}
	s.pos = len(s.text)
}

// value skips a value. Tables in braces outside lists are collected.
func (s *scanner) value(path []string, tables *[]inlineTable) {
	switch {
	case s.at('"'), s.at('\''):
		s.quoted()
	case s.at('['):
		s.list()
	case s.at('{'):
		s.braces(path, tables)
	default:
		from := s.pos
		s.until(",]}#\r\n")
		s.pos = from + len(strings.TrimRight(s.text[from:s.pos], " \t"))
	}
}

func (s *scanner) list() {
	s.pos++
	for s.item(); s.pos < len(s.text) && !s.at(']'); s.item() {
		before := s.pos
		s.value(nil, new([]inlineTable))
		s.advance(before)
	}
	s.pos = min(s.pos+1, len(s.text))
}

func (s *scanner) braces(path []string, tables *[]inlineTable) {
	var own inlineTable
	s.pos++
	for s.item(); s.pos < len(s.text) && !s.at('}'); s.item() {
		e := inlineEntry{from: s.pos}
		e.path = join(path, s.key())
		s.skip("= \t")
		s.value(e.path, tables)
		s.advance(e.from)
		e.to = s.pos
		own = append(own, e)
	}
	s.pos = min(s.pos+1, len(s.text))
	if len(own) > 0 {
		*tables = append(*tables, own)
	}
}

// item skips what stands between the items of a list or of a table in braces.
func (s *scanner) item() {
	for s.between(); s.at(','); s.between() {
		s.pos++
	}
}

// advance makes sure that text that is no TOML ends too.
func (s *scanner) advance(from int) {
	if s.pos == from {
		s.pos++
	}
}

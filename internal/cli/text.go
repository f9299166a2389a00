// Package cli is what the operator's verbs share: reaching core's API, and
// writing its answers for people. What comes from labels, engines and agents is
// hostile text: everything written here goes through Printable.
package cli

import (
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable makes text of any origin safe for a terminal: control characters,
// what changes the direction of writing and what is not UTF-8 are written as
// escapes such as \x1b, and a backslash stays as it is.
func Printable(s string) string {
	clean := strings.IndexFunc(s, unsafeRune) < 0 && utf8.ValidString(s)
	if clean {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)):
			escape(&b, rune(s[i]))
		case unsafeRune(r):
			escape(&b, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// unsafeRune is true for all that is not a visible character or a plain space.
func unsafeRune(r rune) bool {
	return r != ' ' && !unicode.IsGraphic(r) || unicode.Is(unicode.Z, r) && r != ' '
}

func escape(b *strings.Builder, r rune) {
	const digits = "0123456789abcdef"
	width := 2
	b.WriteByte('\\')
	switch {
	case r < 0x100:
		b.WriteByte('x')
	case r < 0x10000:
		b.WriteByte('u')
		width = 4
	default:
		b.WriteByte('U')
		width = 8
	}
	for i := width - 1; i >= 0; i-- {
		b.WriteByte(digits[r>>(4*i)&15])
	}
}

// Width is the line length of text output, in characters.
const Width = 80

// Wrap breaks text into lines of at most width characters, where it can: the
// first begun with first, the others with rest, which are of one byte for each
// character.
func Wrap(text, first, rest string, width int) string {
	var b strings.Builder
	line := 0
	for _, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case line == 0:
			b.WriteString(first)
			line = len(first)
		case line+1+n > width:
			b.WriteString("\n" + rest)
			line = len(rest)
		default:
			b.WriteByte(' ')
			line++
		}
		b.WriteString(word)
		line += n
	}
	if line > 0 {
		b.WriteByte('\n')
	}
	return b.String()
}

// wrap is Wrap with one indent for all lines.
func wrap(text, indent string, width int) string { return Wrap(text, indent, indent, width) }

// Style colours words, or does nothing.
type Style struct{ on bool }

// StyleFor colours only what is written to a terminal, and not when NO_COLOR is
// set (https://no-color.org).
func StyleFor(w io.Writer) Style {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return Style{}
	}
	info, err := f.Stat()
	return Style{on: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

func (s Style) paint(code, text string) string {
	if !s.on {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s Style) good(t string) string { return s.paint("32", t) }
func (s Style) warn(t string) string { return s.paint("33", t) }
func (s Style) bad(t string) string  { return s.paint("31", t) }
func (s Style) bold(t string) string { return s.paint("1", t) }

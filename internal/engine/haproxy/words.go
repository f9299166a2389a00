package haproxy

import (
	"errors"
	"fmt"
	"strings"
)

var errQuote = errors.New("a quote is not closed")

// wordsOf splits a line as HAProxy does: at blanks, after quotes and
// backslashes were resolved, up to a comment. What it resolves from elsewhere
// is refused: variables, and escapes for bytes that nobody sees. The first word
// must stand as it is, unquoted.
func wordsOf(line string) ([]string, error) {
	var (
		words []string
		word  strings.Builder
		quote byte // the one it is in, 0: none
		begun bool
	)
	end := func() {
		if begun {
			words = append(words, word.String())
		}
		word.Reset()
		begun = false
	}
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote == 0 && (c == ' ' || c == '\t'):
			end()
			continue
		case quote == 0 && c == '#':
			end()
			return words, nil
		case c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
		case quote != '\'' && c == '$':
			return nil, errors.New("$ outside of single quotes")
		case quote != '\'' && c == '\\':
			if i++; i == len(line) || strings.IndexByte("nrtx", line[i]) >= 0 {
				return nil, fmt.Errorf("an escape of an unseen byte")
			}
			if strings.IndexByte(" #\"'\\$", line[i]) < 0 {
				word.WriteByte('\\') // HAProxy keeps it
			}
			word.WriteByte(line[i])
		default:
			word.WriteByte(c)
		}
		begun = true
		if len(words) == 0 && (c == '\'' || c == '"' || c == '\\') {
			return nil, errors.New("the directive is quoted")
		}
	}
	if quote != 0 {
		return nil, errQuote
	}
	end()
	return words, nil
}

package haproxy

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"interlock/routing"
)

// Text reaches a file of ours in one of three positions, and each has its own
// function. There is no fourth: comments, file names and section names hold
// nothing but our own identifiers.

// logText quotes s as one word of haproxy.cfg which HAProxy reads as a
// log-format string (header values, locations, answers), so that it means s.
//
// Single quotes switch off everything in HAProxy's line parser (blanks, #, \,
// ", $), and a single quote itself is written outside of them. "%" begins an
// expression even within single quotes, and nothing but its doubling stops that.
func logText(s string) (string, error) {
	return word(strings.ReplaceAll(s, "%", "%%"))
}

// ourMark is what words such as @DIR@ begin with, which an agent replaces
// wherever they stand. An empty pair of quotes within is no part of the word.
var ourMark = regexp.MustCompile(`@([A-Z])`)

// word quotes s as one word of haproxy.cfg that is read literally, such as a
// pattern. It is not for words that HAProxy reads as a log-format string.
func word(s string) (string, error) {
	if err := printable(s); err != nil {
		return "", err
	}
	if s == "" {
		return "", fmt.Errorf("an empty word can't be written")
	}
	s = strings.ReplaceAll(s, "'", `'\''`)
	return "'" + ourMark.ReplaceAllString(s, "@''$1") + "'", nil
}

// maxKey bounds a map key; HAProxy reads map files by lines of 16 kB.
const maxKey = 4096

// mapKey is the key of a route in the path map: host, path and a "/", so that
// whole segments match. Map files know no quoting: a key ends at the first
// blank, and a line that begins with "#" is a comment. Hosts and paths in
// normal form hold neither.
func mapKey(host, path string) (string, error) {
	if err := checkHost(host); err != nil {
		return "", err
	}
	if reason, ok := routing.NormalPath(path); !ok {
		return "", fmt.Errorf("path %.80q: %s", path, reason)
	}
	if path != "/" && strings.HasSuffix(path, "/") {
		return "", fmt.Errorf("path %.80q: ends with a slash", path)
	}
	if len(host)+len(path) >= maxKey {
		return "", fmt.Errorf("path %.80q…: longer than %d bytes", path, maxKey)
	}
	return host + strings.TrimSuffix(path, "/") + "/", nil
}

// checkHost accepts an exact host or "*.suffix" in normal form, and "*".
func checkHost(host string) error {
	name := strings.TrimPrefix(host, "*.")
	if normal, ok := routing.NormalHost(name); host != routing.DefaultHost && (!ok || normal != name) {
		return fmt.Errorf("host %.80q is not in normal form", host)
	}
	return nil
}

// printable refuses what no position can hold: control characters, line and
// paragraph separators, and bytes that are no UTF-8.
func printable(s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("%.80q is not UTF-8", s)
	}
	for _, r := range s {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return fmt.Errorf("%.80q holds a control character", s)
		}
	}
	return nil
}

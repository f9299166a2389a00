package label

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"interlock/internal/problems"
	"interlock/routing"
)

// MaxPath is the longest context root, in bytes.
const MaxPath = 1024

// pathForm is the normal form of a prefix other than "/" as far as a regular
// expression can say it; inNormalForm says the rest. It is narrower than what
// a request may hold: no character that any engine's configuration or control
// socket could take for more than itself ( ' " ` $ ; * ( ) ).
var pathForm = regexp.MustCompile(`^(/([A-Za-z0-9._~!&+,=:@-]|%[0-9A-F]{2})+)+$`)

// encodedRefused are encodings that requests are refused for: of unreserved
// characters, slash, backslash and NUL.
var encodedRefused = regexp.MustCompile(`(?i)%(2f|5c|00|2d|2e|5f|7e|3[0-9]|4[1-9a-f]|5[0-9a]|6[1-9a-f]|7[0-9a])`)

// ParsePath returns the normal form of a path prefix: "/", or segments without
// a trailing slash. why and hint say what is wrong when ok is false.
func ParsePath(value string) (path, why, hint string, ok bool) {
	v := trim(value)
	if why, hint := pathMistake(v); why != "" {
		return "", why, hint, false
	}
	v = strings.TrimSuffix(v, "/")
	if v == "" {
		return "/", "", "", true
	}
	if !pathForm.MatchString(v) {
		return "", "it contains a character that a path prefix can't have", "use letters, digits and . _ ~ - ! & + , = : @, or %XX in capital letters", false
	}
	return v, "", "", true
}

// pathMistake names the mistakes that deserve words of their own.
func pathMistake(v string) (why, hint string) {
	segments := strings.Split(v, "/")
	dots := func(s string) bool { return s == "." || s == ".." || strings.HasPrefix(s, "..;") }
	switch {
	case len(v) > MaxPath:
		return fmt.Sprintf("it is longer than %d bytes", MaxPath), "shorten it"
	case strings.ContainsFunc(v, isControl) || !isASCII(v):
		return "it contains a line break, an invisible character or a letter beyond ASCII", "write letters beyond ASCII percent-encoded, as clients send them"
	case strings.Contains(v, "://"):
		return "it is a URL", "write only the path; the host goes into " + Prefix + "hosts"
	case !strings.HasPrefix(v, "/"):
		return "it does not start with /", leadingSlashHint(v)
	case strings.ContainsAny(v, "?#"):
		return "it contains a query or fragment", "write only the path; requests can't be told apart by their query"
	case strings.Contains(v, "//"):
		return "it contains //", "remove the second slash; requests with // are refused"
	case slices.ContainsFunc(segments, dots):
		return "it contains a . or .. segment", "write the path without it; such requests are refused"
	case strings.Contains(v, "%") && encodedRefused.MatchString(v):
		return "it encodes a character that must not be encoded", "write letters, digits and . _ ~ - as themselves; encoded slashes and backslashes are refused in requests"
	case strings.ContainsAny(v, "*()[]{}|^$"):
		return "it looks like a pattern", "a context root is a plain prefix: /app means /app and everything below it"
	case strings.Contains(v, " "):
		return "it contains a blank", "write a blank in a path as %20"
	}
	return "", ""
}

func leadingSlashHint(v string) string {
	if pathForm.MatchString("/" + v) {
		return "write /" + v
	}
	return "start it with a slash"
}

func parseContextRoot(value string, s *Spec) []routing.Problem {
	if placeholder("context_root", trim(value)) {
		return placeholderProblem(value)
	}
	path, why, hint, ok := ParsePath(value)
	if !ok {
		return one(problems.LabelPath, fmt.Sprintf("%s is not a path prefix: %s", quote(value), why), hint)
	}
	s.ContextRoot = path
	return nil
}

// parseWebsockets only warns: upgrades work whatever it says.
func parseWebsockets(value string, s *Spec) []routing.Problem {
	var found []routing.Problem
	for part := range strings.SplitSeq(value, ",") {
		if trim(part) == "" {
			continue
		}
		path, why, _, ok := ParsePath(part)
		if !ok {
			p := problems.New(problems.LabelWithoutEffect, fmt.Sprintf("%s is not a path: %s", quote(part), why),
				"remove the label; websockets work on every path without it")
			found = append(found, p)
			continue
		}
		s.WebsocketEndpoints = append(s.WebsocketEndpoints, path)
	}
	return found
}

package routing

import "strings"

// splitTarget applies rules 1 and 2. authority is "" for an origin-form, and
// otherwise begins with its scheme: "http://host:80".
func splitTarget(req Request) (path, query, authority, bad string) {
	if req.Method == "CONNECT" {
		return "", "", "", "method CONNECT"
	}
	target := req.Target
	if n := schemeLength(target); n > 0 {
		if !strings.Contains(target[n:], "/") {
			target += "/"
		}
		end := n + strings.IndexByte(target[n:], '/')
		authority, target = target[:end], target[end:]
	}
	if target == "" || target[0] != '/' {
		return "", "", "", "target is not a path"
	}
	for i := range len(req.Target) {
		if c := req.Target[i]; c <= ' ' || c >= 0x7f || c == '#' {
			return "", "", "", "forbidden byte in the target"
		}
	}
	if i := strings.IndexByte(target, '?'); i >= 0 {
		return target[:i], target[i:], authority, ""
	}
	return target, "", authority, ""
}

// schemeLength is the length of "http://" or "https://" at the front of target.
func schemeLength(target string) int {
	for _, scheme := range []string{"http://", "https://"} {
		if len(target) >= len(scheme) && strings.EqualFold(target[:len(scheme)], scheme) {
			return len(scheme)
		}
	}
	return 0
}

// hostOf applies rules 3 to 5; host is in normal form, or "" for none.
func hostOf(req Request, authority string) (host, bad string) {
	if len(req.Hosts) > 1 {
		return "", "more than one Host"
	}
	if len(req.Hosts) == 0 && req.Proto != "HTTP/1.0" {
		return "", "no Host"
	}
	if len(req.Hosts) == 1 {
		host = req.Hosts[0]
	}
	if authority != "" && !sameAuthority(authority, host) {
		return "", "absolute target and Host differ"
	}
	if host == "" {
		return "", ""
	}
	host, ok := NormalHost(host)
	if !ok {
		return "", "Host is not a host name"
	}
	return host, ""
}

// sameAuthority compares a scheme and authority with a Host by rule 4.
func sameAuthority(authority, host string) bool {
	n := schemeLength(authority)
	port := ":80"
	if n == len("https://") {
		port = ":443"
	}
	a := strings.TrimSuffix(lower(authority[n:]), port)
	return a != "" && a == strings.TrimSuffix(lower(host), port)
}

// NormalHost returns the normal form of a Host header's value: lower case,
// without port and trailing dot. It reports false for what rule 5 of Resolve
// refuses and for "".
func NormalHost(value string) (string, bool) {
	name, ok := cutPort(value)
	name = strings.TrimSuffix(name, ".")
	if !ok || name == "" || len(name) > maxHostLength {
		return "", false
	}
	for rest := name; ; {
		label, after, more := strings.Cut(rest, ".")
		if !isHostLabel(label) {
			return "", false
		}
		if !more {
			return lower(name), true
		}
		rest = after
	}
}

// cutPort removes ":" and 1 to 5 digits; false for another thing after ":".
func cutPort(value string) (string, bool) {
	name, port, found := strings.Cut(value, ":")
	if !found {
		return name, true
	}
	for i := range len(port) {
		if port[i] < '0' || port[i] > '9' {
			return "", false
		}
	}
	return name, len(port) >= 1 && len(port) <= 5
}

func isHostLabel(label string) bool {
	if len(label) < 1 || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for i := range len(label) {
		if c := label[i]; !isAlphanumeric(c) && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// NormalPath says whether a path is in normal form (rule 7 of Resolve), and if
// not, why. It begins with "/" and has no query.
func NormalPath(path string) (reason string, ok bool) {
	if path == "" || path[0] != '/' {
		return "does not begin with a slash", false
	}
	for i := range len(path) {
		if c := path[i]; c <= ' ' || c >= 0x7f || c == '#' || c == '?' {
			return "forbidden byte in the path", false
		}
	}
	reason = checkPath(path, false)
	return reason, reason == ""
}

// checkPath applies rule 7.
func checkPath(path string, relaxed bool) (bad string) {
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c == '\\':
			return "backslash in the path"
		case c == '/' && !relaxed && i+1 < len(path) && path[i+1] == '/':
			return "empty segment in the path"
		case c == '/' && isDotSegment(path[i+1:]):
			return "dot segment in the path"
		case c == '%':
			if bad := checkEncoded(path[i:], relaxed); bad != "" {
				return bad
			}
		}
	}
	return ""
}

// checkEncoded judges the percent-encoded byte at the front of rest.
func checkEncoded(rest string, relaxed bool) (bad string) {
	c, ok := decode(rest)
	switch {
	case !ok:
		return "incomplete percent-encoding in the path"
	case c == 0 || c == '\\' || c == '/' && !relaxed:
		return "encoded slash, backslash or NUL in the path"
	case isAlphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~':
		return "needlessly encoded character in the path"
	case c == '/' && isDotSegment(rest[3:]):
		return "dot segment in the path"
	}
	return ""
}

// isDotSegment says whether rest begins with a segment "." or "..", which ends
// at a slash, an encoded slash, a ";" or the end.
func isDotSegment(rest string) bool {
	n := 0
	for n < len(rest) && n < 3 && rest[n] == '.' {
		n++
	}
	if n == 0 || n > 2 {
		return false
	}
	rest = rest[n:]
	if rest == "" || rest[0] == '/' || rest[0] == ';' {
		return true
	}
	c, ok := decode(rest)
	return ok && c == '/'
}

// decode reads "%xx" at the front of s.
func decode(s string) (byte, bool) {
	if len(s) < 3 || s[0] != '%' {
		return 0, false
	}
	hi, ok1 := unhex(s[1])
	lo, ok2 := unhex(s[2])
	return hi<<4 | lo, ok1 && ok2
}

func unhex(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// lower lower-cases ASCII letters only, and does not allocate without need.
func lower(s string) string {
	for i := range len(s) {
		if c := s[i]; c >= 'A' && c <= 'Z' {
			return strings.Map(func(r rune) rune {
				if r >= 'A' && r <= 'Z' {
					return r + 'a' - 'A'
				}
				return r
			}, s)
		}
	}
	return s
}

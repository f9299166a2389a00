package routing

import (
	"fmt"
	"slices"
	"strings"
)

// Bounds of a backend's headers.
const (
	MaxHeaders = 32
	// MaxHeaderValue is in bytes, where a single quote counts four times, "@"
	// three times and "%" twice: they must be quoted for some engine.
	MaxHeaderValue = 1500
)

// ownHeaders are those that say what a connection is, where a request came
// from, or whose cookies they are: the router's, hop-by-hop ones (RFC 9110
// §7.6.1) and those of the framing. A "*" ends a prefix.
var ownHeaders = []string{
	"host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade", "http2-settings", "expect",
	"proxy", "proxy-*", "forwarded", "via", "x-forwarded", "x-forwarded-*", "x-real-ip", "x-request-id", "cookie", "set-cookie",
	"x-proxy-id", "x-server-info", "x-upstream-*",
}

// IsHeaderName says whether name is a header's name of letters, digits and "-",
// at most 64, beginning with a letter.
func IsHeaderName(name string) bool {
	if name == "" || len(name) > 64 || !isAlphanumeric(name[0]) || name[0] <= '9' {
		return false
	}
	for i := range len(name) {
		if !isAlphanumeric(name[i]) && name[i] != '-' {
			return false
		}
	}
	return true
}

// IsOwnHeader says whether only the router sets the header, whatever its case.
func IsOwnHeader(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(ownHeaders, func(own string) bool {
		prefix, open := strings.CutSuffix(own, "*")
		return name == own || open && strings.HasPrefix(name, prefix)
	})
}

// HeaderValueMistake says what is wrong with a header's value, "" when it is
// printable ASCII without blanks around it and within MaxHeaderValue.
func HeaderValueMistake(value string) string {
	switch size := len(value) + 3*strings.Count(value, "'") + 2*strings.Count(value, "@") + strings.Count(value, "%"); {
	case value == "":
		return "it is empty"
	case size > MaxHeaderValue:
		return fmt.Sprintf("it is longer than %d bytes", MaxHeaderValue)
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }):
		return "it contains a line break, an invisible character or a letter beyond ASCII"
	case strings.Trim(value, " ") != value:
		return "it begins or ends with a blank"
	}
	return ""
}

// ValidateHeaders says what in a list is not as Backend has it: names in lower
// case, in order, each once and not the router's own.
func ValidateHeaders(list []Header) error {
	if len(list) > MaxHeaders {
		return fmt.Errorf("%d headers, %d allowed", len(list), MaxHeaders)
	}
	for i, h := range list {
		switch why := HeaderValueMistake(h.Value); {
		case !IsHeaderName(h.Name) || h.Name != strings.ToLower(h.Name) || IsOwnHeader(h.Name):
			return fmt.Errorf("header %.80q may not be set", h.Name)
		case i > 0 && list[i-1].Name >= h.Name:
			return fmt.Errorf("header %q twice or out of order", h.Name)
		case why != "":
			return fmt.Errorf("value of header %q: %s", h.Name, why)
		}
	}
	return nil
}

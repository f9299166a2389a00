package embedded

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
)

// A sticky cookie's value is a mark, "~" and what the application set, if
// anything: see routing.Backend.

// markLength is of a mark without its "~".
const markLength = 16

// markOf is an endpoint's mark: the same at all proxies, and it tells no
// address to those who don't know the service's id.
func markOf(serviceID, address string) string {
	sum := sha256.Sum256([]byte("sticky\x00" + serviceID + "\x00" + address))
	return hex.EncodeToString(sum[:markLength/2])
}

// sticky is a client's cookie.
type sticky struct {
	found bool
	mark  string // "" where its value has none
	value string // without the mark
}

func readSticky(value string) sticky {
	if len(value) > markLength && value[markLength] == '~' && strings.Trim(value[:markLength], "0123456789abcdef") == "" {
		return sticky{true, value[:markLength], value[markLength+1:]}
	}
	return sticky{true, "", value}
}

// unmark reads the cookie of that name from a request's Cookie headers, and
// takes the mark off in them.
func unmark(h http.Header, name string) (s sticky) {
	lines := h["Cookie"]
	for i, line := range lines {
		parts := strings.Split(line, ";")
		for j, part := range parts {
			key, value, ok := strings.Cut(part, "=")
			if !ok || strings.Trim(key, " \t") != name {
				continue
			}
			if c := readSticky(strings.TrimRight(value, " \t")); !s.found {
				s = c
			}
			parts[j] = key + "=" + readSticky(strings.TrimRight(value, " \t")).value
		}
		lines[i] = strings.Join(parts, ";")
	}
	return s
}

// mark puts an endpoint's mark before the value that the application set. It
// sets the cookie itself where the application did not and the client has none
// that is worth keeping.
func mark(h http.Header, name, mark string, client sticky) {
	theirs := false
	lines := h["Set-Cookie"]
	for i, line := range lines {
		if key, rest, ok := strings.Cut(line, "="); ok && strings.TrimSpace(key) == name {
			lines[i] = name + "=" + mark + "~" + strings.TrimLeft(rest, " \t")
			theirs = true
		}
	}
	lost := !client.found || client.mark != "" && client.mark != mark && client.value == ""
	if lost && !theirs {
		h.Add("Cache-Control", "private")
		h.Add("Set-Cookie", name+"="+mark+"~; Path=/; HttpOnly")
	}
}

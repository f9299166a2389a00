package label

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"interlock/internal/swarm"
)

// maxExcerpt bounds how much of a hostile value a message repeats, in bytes.
const maxExcerpt = 64

// quote makes an excerpt that is safe on a terminal, in a log line and in a
// configuration comment: ASCII, quoted, short.
func quote(s string) string {
	if len(s) <= maxExcerpt {
		return strconv.QuoteToASCII(s)
	}
	cut := maxExcerpt
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return strconv.QuoteToASCII(s[:cut]) + "..."
}

// SafeName is a label's name as problems carry it: itself, or its quoted
// excerpt when it holds anything but printable ASCII or is too long.
func SafeName(name string) string {
	if q := strconv.QuoteToASCII(name); len(name) <= 2*maxExcerpt && q[1:len(q)-1] == name {
		return name
	}
	return quote(name)
}

// asciiOnly drops everything but printable ASCII and bounds the length.
func asciiOnly(s string) string {
	s = s[:min(len(s), 2*maxExcerpt)]
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
}

// trim removes blanks around a value, and nothing else: a line break is a
// mistake that the author should see.
func trim(s string) string { return strings.Trim(s, " \t") }

// Digest identifies a service's routing labels together with its stack and
// collection. Other labels do not change it.
func Digest(labels map[string]string) string {
	var names []string
	for name := range labels {
		if IsRouting(name) || name == swarm.StackLabel || name == swarm.CollectionLabel {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	h := sha256.New()
	for _, name := range names {
		fmt.Fprintf(h, "%d:%s%d:%s", len(name), name, len(labels[name]), labels[name])
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

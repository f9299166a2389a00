package label

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/net/idna"

	"interlock/internal/problems"
	"interlock/routing"
)

// Host is a host name in normal form: lower case, A-labels, no port, no
// trailing dot; exact, or "*." and a suffix. Only this package makes them.
type Host string

// Wildcard says whether the host stands for all names below its suffix.
func (h Host) Wildcard() bool { return strings.HasPrefix(string(h), "*.") }

// maxName is the longest host name in bytes (RFC 1035).
const maxName = 253

// dnsLabel is one label of a name. "_" is allowed beyond STD 3, because names
// with it exist.
var dnsLabel = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`)

var (
	alphanumeric = regexp.MustCompile(`[a-z0-9]`)
	// numericLabel as the last label makes browsers read the name as an IPv4
	// address.
	numericLabel = regexp.MustCompile(`^([0-9]+|0x[0-9a-f]*)$`)
	portSuffix   = regexp.MustCompile(`:[0-9]*$`)
	scheme       = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:/`)
)

// ParseHost returns the normal form of one host name. Its problems are of
// severity error exactly when ok is false.
func ParseHost(value string) (h Host, found []routing.Problem, ok bool) {
	if isPlain(value) {
		return Host(value), nil, true
	}
	return parseHost(value)
}

// isPlain recognises most names, which are in normal form already, without the
// cost of looking for mistakes. It says yes only where parseHost would return
// the value itself without a remark.
func isPlain(name string) bool {
	if len(name) > maxName || name == "localhost" || name == "hosts" {
		return false
	}
	letters, length := false, 0 // of the label
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z':
			letters, length = true, length+1
		case c >= '0' && c <= '9':
			length++
		case c == '-' && length > 0 && i+1 < len(name) && name[i+1] != '.' && name[i+1] != '-':
			length++ // "--" is left to parseHost: it may be the mark of an A-label
		case c == '.' && length > 0 && length <= 63:
			letters, length = false, 0
		default:
			return false
		}
	}
	return length > 0 && length <= 63 && letters && !strings.Contains(name[strings.LastIndexByte(name, '.')+1:], "0x")
}

func parseHost(value string) (h Host, found []routing.Problem, ok bool) {
	name := trim(value)
	if placeholder("hosts", name) {
		return "", placeholderProblem(value), false
	}
	if why, hint := hostMistake(name); why != "" {
		return "", notHost(value, why, hint), false
	}
	suffix, wildcard := strings.CutPrefix(strings.TrimSuffix(name, "."), "*.")
	ascii, why, hint := normalName(suffix)
	if why != "" {
		return "", notHost(value, why, hint), false
	}
	if wildcard {
		ascii = "*." + ascii
	}
	if len(ascii) > maxName {
		return "", notHost(value, fmt.Sprintf("it is longer than %d bytes", maxName), "shorten it"), false
	}
	return Host(ascii), hostRemarks(name, ascii), true
}

func notHost(value, why, hint string) []routing.Problem {
	return one(problems.LabelHost, fmt.Sprintf("%s is not a host name: %s", quote(value), why), hint)
}

// hostMistake names the mistakes that deserve words of their own.
func hostMistake(v string) (why, hint string) {
	switch {
	case v == "":
		return "it is empty", "remove the comma too many"
	case len(v) > 4*maxName:
		return fmt.Sprintf("it is longer than %d bytes", maxName), "shorten it"
	case strings.ContainsAny(v, "\r\n"):
		return "it contains a line break", "write the names on one line, separated by commas"
	case strings.ContainsFunc(v, isControl):
		return "it contains an invisible character", "write plain letters; separate names by commas"
	case scheme.MatchString(v):
		return "it has a scheme", "write only the name: " + nameWithin(v)
	case strings.Contains(v, "@"):
		return "it contains @", "write only the name, without a user"
	case isAddress(v):
		return "it is an IP address", "routes are by name; give the service a host name"
	case strings.ContainsAny(v, "/\\"):
		return "it contains a path", "write the path into " + Prefix + "context_root"
	case portSuffix.MatchString(v):
		return "it has a port", "write only the name; the container's port goes into " + Prefix + "port"
	case strings.ContainsAny(v, " \t;"):
		return "it contains a blank or semicolon", "separate names by commas"
	case strings.ContainsAny(v, "\u3002\uff0e\uff61"):
		return "its dots are those of another script", "write plain dots"
	case v == "*" || v == "*." || v == "_":
		return "it would claim every host", "use " + Prefix + "default_backend where the operator allows it"
	case strings.HasPrefix(v, "."):
		return "it starts with a dot", "write *" + asciiOnly(v) + " for all names below it"
	case strings.HasPrefix(v, "~") || strings.ContainsAny(v, "^$|()[]{}+?"):
		return "it looks like a pattern", "there are no patterns but *.suffix"
	case strings.Contains(strings.TrimPrefix(v, "*."), "*"):
		return "* stands in the wrong place", "only the first label can be *, as in *.apps.example.com"
	case strings.EqualFold(strings.TrimSuffix(v, "."), "localhost"):
		return "localhost is reserved", "give the service a name of its own, for example app.localhost when trying things out"
	}
	return "", ""
}

func nameWithin(url string) string {
	_, rest, _ := strings.Cut(url, "/")
	rest = strings.TrimLeft(rest, "/")
	if i := strings.IndexAny(rest, "/:?#"); i >= 0 {
		rest = rest[:i]
	}
	if h, _, ok := ParseHost(rest); ok {
		return string(h)
	}
	return "app.example.com"
}

func isAddress(v string) bool {
	v = strings.TrimPrefix(v, "[")
	if i := strings.IndexByte(v, ']'); i >= 0 {
		v = v[:i]
	}
	_, err := netip.ParseAddr(v)
	_, errPort := netip.ParseAddrPort(v)
	return err == nil || errPort == nil
}

// isControl holds for control characters, line ends, and what can't be seen or
// changes the direction of writing: none of it belongs into a name.
func isControl(r rune) bool {
	if r > ' ' && r <= '~' {
		return false
	}
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Cs) || r == unicode.ReplacementChar
}

// normalName brings a name without wildcard into normal form.
func normalName(name string) (ascii, why, hint string) {
	parts := strings.Split(name, ".")
	for i, part := range parts {
		normal, why, hint := normalLabel(part)
		if why != "" {
			return "", why, hint
		}
		parts[i] = normal
	}
	if numericLabel.MatchString(parts[len(parts)-1]) {
		return "", "browsers would read it as an IP address", "let the last part have a letter"
	}
	return strings.Join(parts, "."), "", ""
}

func normalLabel(part string) (ascii, why, hint string) {
	lower := strings.ToLower(part)
	switch {
	case part == "":
		return "", "it has an empty part between dots", "remove the dot too many"
	case !isASCII(lower) || strings.HasPrefix(lower, "xn--"):
		return internationalLabel(lower)
	case len(lower) > 63:
		return "", "a part between dots is longer than 63 characters", "shorten it"
	case !dnsLabel.MatchString(lower) || !alphanumeric.MatchString(lower):
		return "", "a part between dots must be letters, digits and dashes, with no dash at either end", "write a name such as app.example.com"
	}
	return lower, "", ""
}

// internationalLabel checks a label beyond ASCII, in either form, by the rules
// for registration: nothing is mapped, so that what is read is what is meant.
func internationalLabel(lower string) (ascii, why, hint string) {
	const advice = "write the name in its xn-- form, or in letters of one alphabet"
	unicodeForm, err := idna.Registration.ToUnicode(lower)
	if err != nil {
		return "", "a part between dots is not a valid international name", advice
	}
	ascii, err = idna.Registration.ToASCII(unicodeForm)
	if err != nil || !dnsLabel.MatchString(ascii) {
		return "", "a part between dots is not a valid international name", advice
	}
	if mixesAlphabets(unicodeForm) {
		return "", "a part between dots mixes letters of alphabets that look alike", advice
	}
	return ascii, "", ""
}

// mixesAlphabets tells the usual homographs: Latin, Greek and Cyrillic letters
// in one label.
func mixesAlphabets(s string) bool {
	seen := 0
	for _, table := range []*unicode.RangeTable{unicode.Latin, unicode.Greek, unicode.Cyrillic, unicode.Armenian, unicode.Cherokee} {
		if strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(table, r) }) {
			seen++
		}
	}
	return seen > 1
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}

// hostRemarks are the warnings about a name that is accepted.
func hostRemarks(name, ascii string) []routing.Problem {
	var found []routing.Problem
	if strings.Contains(ascii, "_") {
		found = append(found, problems.New(problems.LabelHostUnderscore,
			ascii+" contains _, which some clients refuse", "use - where you can"))
	}
	if strings.Contains(ascii, "xn--") {
		found = append(found, problems.New(problems.LabelHostInternational,
			fmt.Sprintf("%s is served as %s", quote(name), ascii), "check that this is the name you mean"))
	}
	return found
}

// parseHosts reads the list. Blanks around commas and empty elements are no
// mistakes as long as a name is left.
func parseHosts(value string, s *Spec) []routing.Problem {
	var found []routing.Problem
	seen := map[Host]bool{}
	elements := 0
	for part := range strings.SplitSeq(value, ",") {
		if trim(part) == "" {
			continue
		}
		if elements++; elements > MaxHosts {
			return append(found, problems.New(problems.LabelHost, fmt.Sprintf("there are more than %d names", MaxHosts), "use a wildcard such as *.apps.example.com"))
		}
		h, remarks, ok := ParseHost(part)
		found = append(found, remarks...)
		switch {
		case ok && seen[h]:
			found = append(found, problems.New(problems.LabelHostTwice, string(h)+" is listed twice", "remove one"))
		case ok:
			seen[h] = true
			s.Hosts = append(s.Hosts, h)
		}
	}
	return bounded(found)
}

// maxFindings bounds what is said about one label: more of the same kind helps
// nobody.
const maxFindings = 10

func bounded(found []routing.Problem) []routing.Problem {
	if len(found) <= maxFindings {
		return found
	}
	kept := found[:maxFindings:maxFindings]
	if rest := found[maxFindings:]; problems.Errors(rest) && !problems.Errors(kept) {
		for _, p := range rest {
			if p.Severity == routing.Error {
				return append(kept, p)
			}
		}
	}
	return kept
}

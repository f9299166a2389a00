package haproxy

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// What may stand in a main file is an allow-list: HAProxy's language can start
// programs, open sockets, read any file and set the environment, and the master
// that reads it is root. The engine's own check refuses none of that. Raw lines
// of the operator's are held to the same list, since an agent can't tell them
// from an extension's.

const (
	adminSocket = "stats socket @RUN@/admin.sock mode 600 level admin"
	// workerID is the uid and gid that a worker must give its rights up for.
	workerID = "99"
)

// directives are the first words that a section may have. One that ends in "."
// or "-" stands for all that begin so.
var directives = map[string][]string{
	"global": {
		"description", "stats", "log", "log-tag", "no", "uid", "gid", "maxconn", "maxconnrate", "maxsessrate", "maxpipes",
		"maxsslconn", "maxsslrate", "maxcomprate", "maxcompcpuusage", "maxzlibmem", "strict-limits", "ulimit-n", "fd-hard-limit",
		"hard-stop-after", "close-spread-time", "grace", "mworker-max-reloads", "nbthread", "thread-groups", "thread-group",
		"cpu-map", "cpu-policy", "spread-checks", "max-spread-checks", "busy-polling", "noepoll", "nosplice", "noreuseport",
		"h1-case-adjust", "h1-accept-payload-with-any-method", "h2-workaround-bogus-websocket-clients", "profiling.",
		"httpclient.", "tune.", "ssl-default-", "ssl-server-verify",
	},
	"defaults": {
		"mode", "log", "log-format", "error-log-format", "log-tag", "no", "option", "unique-id-format", "unique-id-header",
		"balance", "hash-type", "hash-balance-factor", "retries", "retry-on", "timeout", "http-error", "errorloc", "errorloc302",
		"errorloc303", "http-reuse", "http-check", "maxconn", "fullconn", "backlog", "compression", "max-keep-alive-queue",
		"rate-limit", "clitcpka-cnt", "clitcpka-idle", "clitcpka-intvl", "srvtcpka-cnt", "srvtcpka-idle", "srvtcpka-intvl",
	},
	"frontend": {
		"bind", "mode", "maxconn", "backlog", "log", "log-format", "error-log-format", "log-tag", "no", "option", "acl", "timeout",
		"tcp-request", "http-request", "http-response", "http-after-response", "http-error", "errorloc", "errorloc302",
		"errorloc303", "unique-id-format", "unique-id-header", "compression", "capture", "declare", "rate-limit", "use_backend",
		"default_backend", "description",
	},
	"backend": {
		"balance", "mode", "hash-type", "hash-balance-factor", "http-reuse", "http-check", "log", "log-tag", "no",
		"option", "acl", "retries", "retry-on", "timeout", "fullconn", "max-keep-alive-queue", "http-request", "http-response",
		"http-after-response", "http-error", "errorloc", "errorloc302", "errorloc303", "compression", "cookie", "dynamic-cookie-key", "stick", "stick-table",
		"description",
	},
}

// actions are those of rules: none that runs code, resolves or connects.
var actions = []string{
	"accept", "reject", "expect-proxy", "allow", "deny", "tarpit", "return", "redirect", "capture", "add-header", "set-header",
	"del-header", "replace-header", "replace-value", "replace-path", "replace-pathq", "replace-uri", "set-method", "set-path",
	"set-pathq", "set-query", "set-uri", "set-status", "set-log-level", "set-var", "set-var-fmt", "unset-var", "strict-mode",
	"early-hint", "disable-l7-retry", "normalize-uri", "silent-drop", "track-sc0", "track-sc1", "track-sc2", "sc-inc-gpc0",
	"wait-for-body",
}

// serverOptions are what an endpoint's server line may say, and how many words
// follow each: nothing that sends elsewhere, or reads a file.
var serverOptions = map[string]int{
	"check": 0, "no-check": 0, "backup": 0, "send-proxy": 0, "send-proxy-v2": 0, "inter": 1, "fastinter": 1, "downinter": 1,
	"fall": 1, "rise": 1, "observe": 1, "error-limit": 1, "on-error": 1, "on-marked-down": 1, "on-marked-up": 1, "weight": 1,
	"maxconn": 1, "minconn": 1, "maxqueue": 1, "slowstart": 1, "cookie": 1, "pool-max-conn": 1, "pool-low-conn": 1,
	"pool-purge-delay": 1, "max-reuse": 1, "proto": 1,
}

var (
	sectionLine = regexp.MustCompile(`^(?:(global|defaults)|(frontend|backend) ([A-Za-z0-9_.-]+))$`)
	// ownFile is a file of the bundle; no segment begins with a dot.
	ownFile = regexp.MustCompile(`^@DIR@(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)+$`)
	// mapFile finds the file of each map that an expression looks up.
	mapFile     = regexp.MustCompile(`map(?:_[a-z0-9_]+)?\(([^,)]*)`)
	optionValue = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)
)

const healthPath = "@RUN@/" + healthFile

// checker goes through the directives of one main file.
type checker struct {
	kind  string         // of the section it is in
	ports []int          // of the bundle
	seen  map[string]int // sections and lines that must be there once
}

// section begins a section when line is one, and says which.
func (c *checker) section(words []string) (kind, name string, ok bool) {
	m := sectionLine.FindStringSubmatch(strings.Join(words, " "))
	if m == nil {
		return "", "", false
	}
	c.kind = m[1] + m[2]
	c.seen[c.kind]++
	return c.kind, m[3], true
}

// directive judges a line that is no section's first.
func (c *checker) directive(words []string) error {
	first := words[0]
	if !slices.ContainsFunc(directives[c.kind], func(d string) bool { return d == first || open(d) && strings.HasPrefix(first, d) }) {
		return fmt.Errorf("%.60q is not among the directives of a bundle in section %q", first, c.kind)
	}
	if err := c.meaning(words); err != nil {
		return err
	}
	return files(words)
}

func open(directive string) bool {
	return strings.HasSuffix(directive, ".") || strings.HasSuffix(directive, "-")
}

// meaning judges directives that are good only in part.
func (c *checker) meaning(words []string) error {
	line := strings.Join(words, " ")
	arg := ""
	if len(words) > 1 {
		arg = words[1]
	}
	switch words[0] {
	case "stats":
		c.seen[line]++
		return when(line != adminSocket && arg != "timeout" && arg != "maxconn", "%.60q: the only socket is %q", line, adminSocket)
	case "uid", "gid":
		c.seen[line]++
		return when(line != words[0]+" "+workerID, "%.60q: the worker's is %s", line, workerID)
	case "no":
		return when(arg != "log" && arg != "option" && arg != "strict-limits", "%.60q is not among the directives of a bundle", line)
	case "log":
		return when(!slices.Contains([]string{"global", "stdout", "stderr"}, arg), "log to %.60q: only stdout, stderr and global", arg)
	case "option":
		return when(arg == "external-check", "option external-check starts programs")
	case "mode":
		return when(line != "mode http", "%.60q: only http", line)
	case "http-check":
		return when(arg == "connect", "http-check connect opens connections of its own")
	case "bind":
		return c.bind(words)
	case "tcp-request":
		return action(words, 2)
	case "http-request", "http-response", "http-after-response":
		return action(words, 1)
	}
	return nil
}

func when(bad bool, format string, args ...any) error {
	if bad {
		return fmt.Errorf(format, args...)
	}
	return nil
}

// bind allows one of the bundle's ports.
func (c *checker) bind(words []string) error {
	if len(words) < 2 || len(words) == 3 && words[2] != "accept-proxy" || len(words) > 3 {
		return fmt.Errorf("bind takes an address and accept-proxy")
	}
	i := strings.LastIndexByte(words[1], ':')
	port, err := strconv.Atoi(words[1][i+1:])
	if i < 0 || err != nil || !slices.Contains(c.ports, port) {
		return fmt.Errorf("bind %.60q: the port is not among the bundle's", words[1])
	}
	host := strings.Trim(words[1][:i], "[]")
	if _, err := netip.ParseAddr(host); host != "" && host != "*" && err != nil {
		return fmt.Errorf("bind %.60q is not at an address", words[1])
	}
	return nil
}

// action judges the action of a rule, which is word i.
func action(words []string, i int) error {
	if len(words) <= i {
		return fmt.Errorf("%s without an action", words[0])
	}
	name, _, _ := strings.Cut(words[i], "(")
	if words[0] == "tcp-request" && words[1] == "inspect-delay" || slices.Contains(actions, name) {
		return nil
	}
	return fmt.Errorf("%.60q is not among the actions of a bundle", words[i])
}

// isPlainHeader says whether word 3 is a header's value in which HAProxy
// evaluates nothing: any text may stand there.
func isPlainHeader(words []string) bool {
	return len(words) == 4 && (words[0] == "http-request" || words[0] == "http-response") && words[1] == "set-header" &&
		!strings.Contains(strings.ReplaceAll(words[3], "%%", ""), "%")
}

// files refuses every path that is not the bundle's own.
func files(words []string) error {
	for i, w := range words {
		if i == 3 && isPlainHeader(words) {
			continue
		}
		switch w {
		case "file", "lf-file", "-f", "errorfile", "errorfiles":
			if i+1 == len(words) || !ownFile.MatchString(words[i+1]) {
				return fmt.Errorf("%s takes a file below @DIR@", w)
			}
		}
		for _, m := range mapFile.FindAllStringSubmatch(w, -1) {
			if m[1] != healthPath && !ownFile.MatchString(m[1]) {
				return fmt.Errorf("the map %.60q is not below @DIR@", m[1])
			}
		}
	}
	return nil
}

// complete judges what must be there, once.
func (c *checker) complete() error {
	for _, want := range []string{"global", adminSocket, "uid " + workerID, "gid " + workerID} {
		if n := c.seen[want]; n != 1 {
			return fmt.Errorf("%q is there %d times, once is right", want, n)
		}
	}
	return nil
}

// acceptServer judges the options of an endpoint's server line.
func acceptServer(options string) error {
	words := strings.Fields(options)
	for i := 0; i < len(words); i++ {
		values, ok := serverOptions[words[i]]
		if !ok {
			return fmt.Errorf("server option %.60q is not among those of a bundle", words[i])
		}
		for range values {
			if i++; i == len(words) || !optionValue.MatchString(words[i]) {
				return fmt.Errorf("server options %.60q: a value is missing or is no plain word", options)
			}
		}
	}
	return nil
}

package haproxy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"interlock/routing"
)

// isBackendID accepts what routing.BackendID makes: "be_" and 16 hex digits.
func isBackendID(s string) bool {
	digits, ok := strings.CutPrefix(s, "be_")
	return ok && len(digits) == 16 && strings.Trim(digits, "0123456789abcdef") == ""
}

// isDockerName accepts the names that Swarm gives to services and networks:
// letters, digits, "_", ".", "-", and first a letter or digit.
func isDockerName(s string) bool {
	if s == "" || len(s) > 255 || strings.IndexByte("_.-", s[0]) >= 0 {
		return false
	}
	for i := range len(s) {
		c := s[i] | 0x20 // lower case, for letters
		if !(c >= 'a' && c <= 'z' || s[i] >= '0' && s[i] <= '9' || strings.IndexByte("_.-", s[i]) >= 0) {
			return false
		}
	}
	return true
}

// maxMilliseconds bounds every duration: a day. HAProxy's own limit is 24 days.
const maxMilliseconds = 24 * 60 * 60 * 1000

// validate refuses a table that the compiler would not have made. The renderer
// trusts nobody's grammar but the one it checks here.
func validate(t routing.Table) error {
	if err := validateBase(t.Base); err != nil {
		return fmt.Errorf("base: %w", err)
	}
	known := make(map[string]*routing.Backend, len(t.Backends))
	for i, b := range t.Backends {
		if err := validateBackend(b); err != nil {
			return fmt.Errorf("backend %.40q: %w", b.ID, err)
		}
		if known[b.ID] != nil {
			return fmt.Errorf("backend %q is there twice", b.ID)
		}
		known[b.ID] = &t.Backends[i]
	}
	return validateRoutes(t.Routes, known)
}

func validateBase(b routing.Base) error {
	if !isPort(b.HTTPPort) || !isPort(b.HealthPort) || b.HTTPPort == b.HealthPort {
		return fmt.Errorf("ports %d and %d are not two ports", b.HTTPPort, b.HealthPort)
	}
	if b.MaxConnections < 1 || b.MaxConnections > 1_000_000 {
		return fmt.Errorf("max_connections %d is not within 1 and 1000000", b.MaxConnections)
	}
	if b.MaxShare < 1 || b.MaxShare > 100 {
		return fmt.Errorf("max_share %d is not within 1 and 100", b.MaxShare)
	}
	for _, ms := range []int{b.ConnectTimeout, b.ClientTimeout, b.ServerTimeout, b.KeepaliveTimeout, b.GraceTimeout} {
		if ms < 1 || ms > maxMilliseconds {
			return fmt.Errorf("timeout %d ms is not within 1 and %d", ms, maxMilliseconds)
		}
	}
	if err := validateTrusted(b); err != nil {
		return err
	}
	return validateRawLines(append(b.GlobalOptions[:len(b.GlobalOptions):len(b.GlobalOptions)], b.DefaultOptions...))
}

// validateTrusted refuses a PROXY protocol from nobody, which would be silence,
// and addresses that are none.
func validateTrusted(b routing.Base) error {
	if b.ProxyProtocol && len(b.TrustedProxies) == 0 {
		return fmt.Errorf("proxy_protocol without trusted_proxies")
	}
	for _, s := range b.TrustedProxies {
		if _, err := netip.ParsePrefix(s); err == nil {
			continue
		}
		if a, err := netip.ParseAddr(s); err != nil || a.Zone() != "" {
			return fmt.Errorf("trusted proxy %.80q is neither an address nor a prefix", s)
		}
	}
	return nil
}

// maxWords is our bound of words in a line; HAProxy's is 64.
const maxWords = 50

// validateRawLines lets the operator's own lines through as they are, as long
// as each is one line. What they mean is the engine's check to judge.
func validateRawLines(lines []string) error {
	for _, line := range lines {
		if err := printable(strings.ReplaceAll(line, "\t", " ")); err != nil {
			return fmt.Errorf("option line: %w", err)
		}
		if len(line) > 2000 || len(strings.Fields(line)) > maxWords {
			return fmt.Errorf("option line %.80q… is longer than 2000 bytes or %d words", line, maxWords)
		}
	}
	return nil
}

func validateBackend(b routing.Backend) error {
	switch {
	case !isBackendID(b.ID):
		return fmt.Errorf("the id is not be_ and 16 hex digits")
	case !isDockerName(b.Service):
		return fmt.Errorf("service %.80q is not a service's name", b.Service)
	case b.Network != "" && !isDockerName(b.Network):
		return fmt.Errorf("network %.80q is not a network's name", b.Network)
	case !isPort(b.Port):
		return fmt.Errorf("port %d", b.Port)
	case b.Mode != routing.ModeTask && b.Mode != routing.ModeVIP:
		return fmt.Errorf("mode %.40q is unknown", b.Mode)
	case balance[b.Algorithm] == "":
		return fmt.Errorf("algorithm %.40q is unknown", b.Algorithm)
	case b.MaxFails < 0 || b.MaxFails > 1_000_000:
		return fmt.Errorf("max_fails %d", b.MaxFails)
	case b.FailTimeout < 0 || b.FailTimeout > maxMilliseconds:
		return fmt.Errorf("fail_timeout_ms %d", b.FailTimeout)
	case !isTimeout(b.ConnectTimeout) || !isTimeout(b.ResponseTimeout) || !isTimeout(b.IdleTimeout):
		return fmt.Errorf("timeouts %d, %d, %d ms are not within 0 and %d", b.ConnectTimeout, b.ResponseTimeout, b.IdleTimeout, maxMilliseconds)
	case b.MaxConnections < 0 || b.MaxConnections > 1_000_000:
		return fmt.Errorf("max_connections %d", b.MaxConnections)
	}
	if b.StickyCookie != "" && !routing.IsCookieName(b.StickyCookie) {
		return fmt.Errorf("sticky_cookie %.80q is not a cookie's name", b.StickyCookie)
	}
	if b.Protocol != "" && b.Protocol != routing.H2 {
		return fmt.Errorf("protocol %.40q is unknown", b.Protocol)
	}
	if err := routing.ValidateAllow(b.Allow); err != nil {
		return err
	}
	if err := errors.Join(routing.ValidateHeaders(b.RequestHeaders), routing.ValidateHeaders(b.ResponseHeaders)); err != nil {
		return err
	}
	return validateHealth(b)
}

// maxHealthPath keeps the line of a check below HAProxy's bound of 2 kB even
// where much must be quoted.
const maxHealthPath = 512

func validateHealth(b routing.Backend) error {
	p := b.HealthPath
	odd := func(r rune) bool { return r <= ' ' || r > '~' }
	switch {
	case p != "" && (p[0] != '/' || len(p)+3*strings.Count(p, "'") > maxHealthPath || strings.ContainsFunc(p, odd) || strings.Contains(p, "#")):
		return fmt.Errorf("health_path %.80q is not a path of at most %d bytes", p, maxHealthPath)
	case !isTimeout(b.HealthInterval) || !isTimeout(b.HealthTimeout):
		return fmt.Errorf("health_interval_ms %d or health_timeout_ms %d", b.HealthInterval, b.HealthTimeout)
	}
	if _, ok := routing.Statuses(b.HealthStatus); b.HealthStatus != "" && !ok {
		return fmt.Errorf("health_status %.80q is not a list of statuses", b.HealthStatus)
	}
	return nil
}

func validateRoutes(routes []routing.Route, known map[string]*routing.Backend) error {
	seen := make(map[string]bool, len(routes))
	for _, r := range routes {
		key, err := mapKey(r.Host, r.Path)
		if err != nil {
			return fmt.Errorf("route: %w", err)
		}
		if seen[key] {
			return fmt.Errorf("route %q is there twice", key)
		}
		seen[key] = true
		if err := validateMembers(r.Backends, known); err != nil {
			return fmt.Errorf("route %q: %w", key, err)
		}
	}
	return nil
}

func validateMembers(ids []string, known map[string]*routing.Backend) error {
	if len(ids) == 0 {
		return fmt.Errorf("no backend")
	}
	twice := make(map[string]bool, len(ids))
	for _, id := range ids {
		if known[id] == nil || twice[id] {
			return fmt.Errorf("backend %.40q is unknown or named twice", id)
		}
		if !slices.Equal(known[id].Allow, known[ids[0]].Allow) {
			return fmt.Errorf("backends %.40q and %.40q allow different clients", ids[0], id)
		}
		twice[id] = true
	}
	return nil
}

// isTimeout accepts 0, the base's.
func isTimeout(ms int) bool { return ms >= 0 && ms <= maxMilliseconds }

func isPort(n int) bool { return n >= 1 && n <= 65535 }

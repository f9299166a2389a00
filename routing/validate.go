package routing

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Validate says what in t is outside the model: a host or path that is not in
// normal form, a route twice or to an unknown backend, a backend twice. What
// compiling yields is always valid; a renderer asks because it trusts nothing.
func (t Table) Validate() error {
	known := make(map[string]bool, len(t.Backends))
	allow := make(map[string][]string, len(t.Backends))
	for _, b := range t.Backends {
		if !isID(b.ID) || known[b.ID] {
			return fmt.Errorf("backend %q: its id is malformed or given twice", b.ID)
		}
		if b.Port < 1 || b.Port > 65535 {
			return fmt.Errorf("backend %q: port %d is not between 1 and 65535", b.ID, b.Port)
		}
		if _, ok := Statuses(b.HealthStatus); b.HealthStatus != "" && !ok {
			return fmt.Errorf("backend %q: health_status %.80q is not a list of statuses", b.ID, b.HealthStatus)
		}
		if b.StickyCookie != "" && !IsCookieName(b.StickyCookie) {
			return fmt.Errorf("backend %q: %.80q is not a cookie's name", b.ID, b.StickyCookie)
		}
		if err := ValidateAllow(b.Allow); err != nil {
			return fmt.Errorf("backend %q: %w", b.ID, err)
		}
		if err := errors.Join(ValidateHeaders(b.RequestHeaders), ValidateHeaders(b.ResponseHeaders)); err != nil {
			return fmt.Errorf("backend %q: %w", b.ID, err)
		}
		if b.Protocol != "" && b.Protocol != H2 {
			return fmt.Errorf("backend %q: protocol %.40q is unknown", b.ID, b.Protocol)
		}
		known[b.ID], allow[b.ID] = true, b.Allow
	}
	seen := make(map[string]bool, len(t.Routes))
	for _, r := range t.Routes {
		if err := r.validate(known); err != nil {
			return fmt.Errorf("route %q %q: %w", r.Host, r.Path, err)
		}
		for _, id := range r.Backends[1:] {
			if !slices.Equal(allow[id], allow[r.Backends[0]]) {
				return fmt.Errorf("route %q %q: its backends allow different clients", r.Host, r.Path)
			}
		}
		key := r.Host + r.Path
		if seen[key] {
			return fmt.Errorf("route %q %q: given twice", r.Host, r.Path)
		}
		seen[key] = true
	}
	return nil
}

func (r Route) validate(known map[string]bool) error {
	name := strings.TrimPrefix(r.Host, "*.")
	if normal, ok := NormalHost(name); r.Host != DefaultHost && (!ok || normal != name) {
		return fmt.Errorf("host is not in normal form")
	}
	if reason, ok := NormalPath(r.Path); !ok {
		return fmt.Errorf("path is not in normal form: %s", reason)
	}
	if r.Path != "/" && strings.HasSuffix(r.Path, "/") {
		return fmt.Errorf("path ends in a slash")
	}
	if len(r.Backends) == 0 {
		return fmt.Errorf("no backend")
	}
	for _, id := range r.Backends {
		if !known[id] {
			return fmt.Errorf("unknown backend %q", id)
		}
	}
	return nil
}

// isID says whether id is safe as a name in any engine's configuration.
func isID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for i := range len(id) {
		if c := id[i]; !isAlphanumeric(c) && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// IsCookieName says whether a cookie by which clients are kept at an endpoint
// can be named so: letters, digits and "_", ".", "-", at most 64. That is less
// than RFC 6265 allows, and safe in every engine's configuration.
func IsCookieName(name string) bool {
	if name == "" || len(name) > 64 {
		return false
	}
	for i := range len(name) {
		if c := name[i]; !isAlphanumeric(c) && c != '_' && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// ValidateAllow says what in a list of Backend.Allow is not a CIDR in canonical
// form. Nothing may pass for a list that allows more than it says.
func ValidateAllow(list []string) error {
	for _, cidr := range list {
		p, err := netip.ParsePrefix(cidr)
		if err != nil || p.String() != cidr || p != p.Masked() || p.Addr().Is4In6() {
			return fmt.Errorf("allow %.80q is not a CIDR in canonical form", cidr)
		}
	}
	return nil
}

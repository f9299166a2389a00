package label

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"interlock/internal/problems"
	"interlock/internal/spell"
	"interlock/routing"
)

const (
	defaultFailTimeout = 10 * time.Second
	maxMaxFails        = 1000
	maxMaxConnections  = 100_000
	minFailTimeout     = time.Second
	maxFailTimeout     = time.Hour
)

var (
	digits      = regexp.MustCompile(`^[0-9]+$`)
	networkName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$`)
	clusterName = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?$`)
	durationOf  = regexp.MustCompile(`^([0-9]{1,9})(ms|s|m|h)?$`)
)

// reservedNetworks are Docker's own; no proxy joins them for a service.
var reservedNetworks = []string{"host", "none", "bridge", "ingress", "docker_gwbridge"}

// one is a single problem as parse functions return it.
func one(code, message, hint string) []routing.Problem {
	return []routing.Problem{problems.New(code, message, hint)}
}

// placeholder recognises text of a template that was never filled in.
func placeholder(name, value string) bool {
	return value == name || strings.HasPrefix(value, "<") && strings.HasSuffix(value, ">") ||
		strings.Contains(value, "{{") || strings.Contains(value, "${") || strings.Contains(value, "$(")
}

func placeholderProblem(value string) []routing.Problem {
	return one(problems.LabelPlaceholder, quote(value)+" is a placeholder that was never replaced", "write the value that it stands for")
}

func parsePort(value string, s *Spec) []routing.Problem {
	v := trim(value)
	if placeholder("port", v) {
		return placeholderProblem(value)
	}
	n, err := strconv.ParseUint(v, 10, 32)
	if digits.MatchString(v) && v[0] != '0' && err == nil && n <= 65535 {
		s.Port = int(n)
		return nil
	}
	return one(problems.LabelPort, quote(value)+" is not a port from 1 to 65535", portHint(v, n, err))
}

func portHint(v string, n uint64, err error) string {
	first, _, _ := strings.Cut(v, "/")
	if i := strings.LastIndexByte(first, ':'); i >= 0 {
		first = first[i+1:]
	}
	first, _, _ = strings.Cut(first, ".")
	switch {
	case err == nil && n > 0 && n <= 65535:
		return fmt.Sprintf("write it without leading zeros: %d", n)
	case first != v && len(first) <= 5 && digits.MatchString(first):
		return "write only the container's port, if that is " + first
	}
	return "write the port inside the container in plain digits, for example 8080"
}

func parseNetwork(value string, s *Spec) []routing.Problem {
	v := trim(value)
	switch {
	case placeholder("network", v):
		return placeholderProblem(value)
	case slices.Contains(reservedNetworks, v):
		return one(problems.LabelName, quote(v)+" is one of Docker's own networks, which proxies can't share", "name an overlay network of the service")
	case !networkName.MatchString(v):
		return one(problems.LabelName, quote(value)+" can't be the name of a network", "write the name as `docker network ls` shows it")
	}
	s.Network = v
	return nil
}

// IsClusterName says whether a cluster can be named so. "" is the default
// cluster and is not a name.
func IsClusterName(name string) bool {
	return clusterName.MatchString(name) && !strings.Contains(name, "..")
}

// parseCluster takes names literally: "prod " must not pass for "prod".
func parseCluster(value string, s *Spec) []routing.Problem {
	switch {
	case value != "" && placeholder("service_cluster", value):
		return placeholderProblem(value)
	case value != "" && !IsClusterName(value):
		return one(problems.LabelName, quote(value)+" can't be the name of a service cluster", "write the name exactly as the operator's config.toml has it, without blanks")
	}
	s.Cluster, s.ClusterSet = value, true
	return nil
}

var (
	parseMaxFails       = number(0, maxMaxFails, func(s *Spec, n int) { s.MaxFails = n })
	parseMaxConnections = number(1, maxMaxConnections, func(s *Spec, n int) { s.MaxConnections = n })
	parseFailTimeout    = duration(minFailTimeout, maxFailTimeout, func(s *Spec, d time.Duration) { s.FailTimeout = d })
)

func parseCookie(value string, s *Spec) []routing.Problem {
	v := trim(value)
	switch {
	case placeholder("sticky_session_cookie", v):
		return placeholderProblem(value)
	case !routing.IsCookieName(v):
		return one(problems.LabelName, quote(value)+" can't be the name of a cookie here", "use at most 64 letters, digits and _ . -, for example session")
	case strings.HasPrefix(v, "__Host-") || strings.HasPrefix(v, "__Secure-"):
		return one(problems.LabelName, quote(value)+" is a name that browsers take over TLS only", "use a name without __Host- and __Secure-")
	}
	s.StickyCookie = v
	return nil
}

// number makes the parse function of a whole number within bounds.
func number(least, most int, set func(*Spec, int)) func(string, *Spec) []routing.Problem {
	return func(value string, s *Spec) []routing.Problem {
		v := trim(value)
		n, err := strconv.ParseUint(v, 10, 31)
		if err != nil || int(n) < least || int(n) > most || !digits.MatchString(v) {
			return one(problems.LabelNumber, fmt.Sprintf("%s is not a number from %d to %d", quote(value), least, most), "write plain digits, for example 3")
		}
		set(s, int(n))
		return nil
	}
}

// duration makes the parse function of a duration within bounds.
func duration(least, most time.Duration, set func(*Spec, time.Duration)) func(string, *Spec) []routing.Problem {
	return func(value string, s *Spec) []routing.Problem {
		d, ok := parseDuration(trim(value))
		if !ok || d < least || d > most {
			return one(problems.LabelDuration, fmt.Sprintf("%s is not a duration from %s to %s", quote(value), brief(least), brief(most)),
				"write a number and a unit, for example 10s")
		}
		set(s, d)
		return nil
	}
}

// brief writes a bound as the docs do: "1h" where Go says "1h0m0s".
func brief(d time.Duration) string {
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if d%unit.of == 0 {
			return strconv.Itoa(int(d/unit.of)) + unit.name
		}
	}
	return strconv.Itoa(int(d/time.Millisecond)) + "ms"
}

// parseDuration reads one number with one unit; without a unit it is seconds,
// as in nginx. It is stricter than Go's, which takes "1h1h1h" and overflows.
func parseDuration(v string) (time.Duration, bool) {
	m := durationOf.FindStringSubmatch(v)
	if m == nil {
		return 0, false
	}
	n, err := strconv.Atoi(m[1])
	unit := map[string]time.Duration{"": time.Second, "ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour}[m[2]]
	if err != nil || time.Duration(n) > 24*time.Hour/unit {
		return 0, false
	}
	return time.Duration(n) * unit, true
}

// boolean makes the parse function of a switch.
func boolean(set func(*Spec, bool)) func(string, *Spec) []routing.Problem {
	return func(value string, s *Spec) []routing.Problem {
		v, found := parseBool(value)
		if found == nil {
			set(s, v)
		}
		return found
	}
}

// parseBool takes what the original took: 1, t, T, TRUE, true, True and their
// opposites.
func parseBool(value string) (bool, []routing.Problem) {
	v := trim(value)
	b, err := strconv.ParseBool(v)
	if err == nil {
		return b, nil
	}
	hint := `write "true" or "false"`
	switch strings.ToLower(v) {
	case "yes", "on", "y", "enabled":
		hint = `write "true"`
	case "no", "off", "n", "disabled":
		hint = `write "false"`
	}
	return false, one(problems.LabelBoolean, quote(value)+" is neither true nor false", hint)
}

// choice makes the parse function of a label with a fixed set of values.
func choice(values map[string]func(*Spec)) func(string, *Spec) []routing.Problem {
	known := make([]string, 0, len(values))
	for v := range values {
		known = append(known, v)
	}
	slices.Sort(known)
	return func(value string, s *Spec) []routing.Problem {
		v := trim(value)
		if set, ok := values[v]; ok {
			set(s)
			return nil
		}
		hint := "write one of: " + strings.Join(known, ", ")
		if near := spell.Nearest(asciiOnly(v), known); near != "" {
			hint = "did you mean " + near + "?"
		}
		return one(problems.LabelChoice, fmt.Sprintf("%s is none of %s", quote(value), strings.Join(known, ", ")), hint)
	}
}

var parseAlgorithm = choice(map[string]func(*Spec){
	routing.RoundRobin: func(s *Spec) { s.Algorithm = routing.RoundRobin },
	routing.LeastConn:  func(s *Spec) { s.Algorithm = routing.LeastConn },
	routing.IPHash:     func(s *Spec) { s.Algorithm = routing.IPHash },
	routing.Random:     func(s *Spec) { s.Algorithm = routing.Random },
})

package label

import (
	"fmt"
	"regexp"
	"strings"

	"interlock/internal/problems"
	"interlock/routing"
)

// maxHealthPath is in bytes, query included.
const maxHealthPath = 512

// healthForm is narrower than what a URL may hold: no character that any
// engine's configuration could take for more than itself.
var healthForm = regexp.MustCompile(`^/([A-Za-z0-9._~!&+,=:@/-]|%[0-9A-Fa-f]{2})*(\?([A-Za-z0-9._~!&+,=:@/-]|%[0-9A-Fa-f]{2})*)?$`)

func parseHealthPath(value string, s *Spec) []routing.Problem {
	v := trim(value)
	if placeholder("health_path", v) {
		return placeholderProblem(value)
	}
	path, _, _ := strings.Cut(v, "?")
	why, hint := pathMistake(path)
	switch {
	case strings.Contains(v, "#"):
		why, hint = "it contains a fragment", "remove # and what follows it"
	case strings.ContainsAny(v, "*()[]{}|^$"):
		why, hint = "it contains a character that it can't have", "use letters, digits and . _ ~ - ! & + , = : @ / ?, or %XX"
	case why == "" && len(v) > maxHealthPath:
		why, hint = fmt.Sprintf("it is longer than %d bytes", maxHealthPath), "shorten it"
	case why == "" && !healthForm.MatchString(v):
		why, hint = "it contains a character that it can't have", "use letters, digits and . _ ~ - ! & + , = : @ / ?, or %XX"
	}
	if why != "" {
		return one(problems.LabelPath, fmt.Sprintf("%s is not a path to check: %s", quote(value), why), hint)
	}
	s.HealthPath = v
	return nil
}

func parseHealthStatus(value string, s *Spec) []routing.Problem {
	v := strings.NewReplacer(" ", "", "\t", "").Replace(trim(value))
	if _, ok := routing.Statuses(v); !ok {
		return one(problems.LabelNumber, fmt.Sprintf("%s is not a list of at most %d status codes from 100 to 599", quote(value), routing.MaxStatuses),
			"write codes and ranges separated by commas, for example 200-299,401")
	}
	s.HealthStatus = v
	return nil
}

// healthLimits names what has no effect without a path.
func healthLimits(labels map[string]string, s *Spec) []routing.Problem {
	if _, set := labels[Prefix+"health_path"]; set {
		return nil
	}
	var found []routing.Problem
	for _, name := range []string{"health_timeout", "health_status"} {
		if _, set := labels[Prefix+name]; set {
			found = append(found, withoutEffect(name, "there is no health_path"))
		}
	}
	s.HealthTimeout, s.HealthStatus = 0, ""
	return found
}

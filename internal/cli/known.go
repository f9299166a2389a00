package cli

import (
	"fmt"
	"slices"
	"strings"

	"interlock/internal/api"
	"interlock/internal/spell"
)

// maxListed bounds how many names an error lists.
const maxListed = 20

// CheckClusters returns an error with a hint for the first wanted cluster that
// core does not have: an empty answer about it would look like all is well.
func CheckClusters(s api.Status, wanted []string) error {
	names := make([]string, len(s.Clusters))
	for i, c := range s.Clusters {
		names[i] = c.Name
	}
	for _, w := range wanted {
		if !slices.Contains(names, w) {
			return unknown("cluster", w, names, "leave --cluster out for all of them")
		}
	}
	return nil
}

// CheckServices does the same for services; names are all that are known.
func CheckServices(names, wanted []string) error {
	for _, w := range wanted {
		if !slices.Contains(names, w) {
			return unknown("service", w, names, "name it as docker service ls does: STACK_SERVICE")
		}
	}
	return nil
}

func unknown(kind, wanted string, names []string, hint string) error {
	if near := spell.Nearest(wanted, names); near != "" {
		hint = "did you mean " + quoted(near) + "?"
	}
	message := fmt.Sprintf("there is no %s %s", kind, quoted(wanted))
	if kind == "cluster" {
		message += "; there are: " + listed(names)
	}
	return &HintError{fmt.Errorf("%s", message), hint}
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	var words []string
	for _, n := range names[:min(maxListed, len(names))] {
		words = append(words, quoted(n))
	}
	if more := len(names) - maxListed; more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(words, ", ")
}

// quoted is a name in a sentence, clipped; the default cluster has none.
func quoted(s string) string {
	if s == "" {
		return `"" (the default one)`
	}
	return fmt.Sprintf("%q", fmt.Sprintf("%.64s", s))
}

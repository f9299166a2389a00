package policy

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"interlock/internal/problems"
	"interlock/internal/spell"
	"interlock/internal/swarm"
	"interlock/routing"
)

// OwnerInWords names an owner (swarm.Service.Owner) in a sentence.
func OwnerInWords(owner string) string {
	if name, ok := strings.CutPrefix(owner, servicePrefix); ok {
		return fmt.Sprintf("service %q", clip(name))
	}
	return fmt.Sprintf("stack %q", clip(owner))
}

// clip shortens label text for a message.
func clip(text string) string {
	const most = 80
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

func quotedList(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = fmt.Sprintf("%q", n)
	}
	return strings.Join(quoted, ", ")
}

// unknown is said of a cluster name that config.toml does not have.
func (a *admission) unknown(wanted string) routing.Problem {
	var names []string
	for _, c := range a.clusters {
		if c.Name != "" {
			names = append(names, c.Name)
		}
	}
	hint := "there is only the default cluster: leave " + clusterLabel + " out"
	if len(names) > 0 {
		hint = "write one of " + quotedList(names) + ", or leave it out"
	}
	if near := spell.Nearest(wanted, names); near != "" {
		hint = fmt.Sprintf("did you mean %s=%s?", clusterLabel, near)
	}
	return problems.New(problems.ClusterUnknown, fmt.Sprintf("there is no cluster %q", clip(wanted)), hint)
}

// nowhere is said of a service that names no cluster and that none admits.
func (a *admission) nowhere(s swarm.Service) routing.Problem {
	if a.original {
		p := problems.New(problems.ClusterUnknown, "the labels name no cluster, and there is no default cluster",
			"add "+clusterLabel+" with the name of a cluster")
		p.Label = clusterLabel
		return p
	}
	if s.Collection() == "" {
		return problems.New(problems.NotAdmittedUnlabelled,
			"the service has no collection label, and no cluster admits services without one",
			"add "+swarm.CollectionLabel+" with your collection to deploy: labels:")
	}
	var rules []string
	for _, c := range a.clusters {
		rules = append(rules, fmt.Sprintf("%q admits %s", c.Name, admits(c)))
	}
	return problems.New(problems.NotAdmittedCollection,
		fmt.Sprintf("collection %s may enter no cluster (%s)", clip(s.Collection()), strings.Join(rules, "; ")),
		"correct the collection, or ask the operator to add it to Collections")
}

// plainWord needs no quotes in a shell.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:-]+$`)

// approval is the command that moves an owner, where label text can be part of
// a command that somebody will paste.
func approval(owner, collection string) string {
	if !plainWord.MatchString(owner) || !plainWord.MatchString(collection) || strings.HasPrefix(owner, "-") {
		return "interlock approve"
	}
	return "interlock approve " + owner + " " + collection
}

// CheckHome says what is wrong with an owner or a collection that an operator
// named.
func CheckHome(owner, collection string) error {
	switch {
	case owner == "" || owner == servicePrefix:
		return errors.New("no stack is named: write a stack's name, or service:NAME")
	case !strings.HasPrefix(collection, "/"):
		return fmt.Errorf("%q is no collection: it begins with a slash, such as /prod", clip(collection))
	case len(owner) > maxName || len(collection) > maxName:
		return fmt.Errorf("a name is longer than %d characters", maxName)
	}
	return nil
}

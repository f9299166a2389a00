package label

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"interlock/internal/problems"
	"interlock/routing"
)

// Labels whose name ends in the name of a header.
const (
	requestHeader  = "headers.request."
	responseHeader = "headers.response."
)

// parseHeader reads a label such as headers.request.X-Tenant, whose name
// without Prefix is short. ok is false for one that is no header's.
func parseHeader(short, value string, s *Spec) (found []routing.Problem, ok bool) {
	if name, ok := strings.CutPrefix(short, requestHeader); ok {
		return setHeader(&s.RequestHeaders, name, value), true
	}
	if name, ok := strings.CutPrefix(short, responseHeader); ok {
		return setHeader(&s.ResponseHeaders, name, value), true
	}
	return nil, false
}

func setHeader(list *[]routing.Header, name, value string) []routing.Problem {
	h := routing.Header{Name: strings.ToLower(name), Value: trim(value)}
	switch why := routing.HeaderValueMistake(h.Value); {
	case placeholder("", name):
		return placeholderProblem(name)
	case !routing.IsHeaderName(name):
		return one(problems.LabelHeader, quote(name)+" can't be the name of a header here", "use at most 64 letters, digits and -, beginning with a letter")
	case routing.IsOwnHeader(name):
		return one(problems.LabelHeader, fmt.Sprintf("header %s is the router's own", quote(name)), "remove the label; the router sets what services may rely on")
	case h.Value == "":
		return one(problems.LabelHeader, fmt.Sprintf("the value of header %s is empty, perhaps because of a variable that is not set", quote(name)), "write a value, or remove the label")
	case why != "":
		return one(problems.LabelHeader, fmt.Sprintf("%s can't be the value of header %s: %s", quote(value), quote(name), why), "write one line of printable ASCII; a quote, @ and % count several times")
	case len(*list) == routing.MaxHeaders:
		return one(problems.LabelHeader, fmt.Sprintf("more than %d headers", routing.MaxHeaders), "let the application set them")
	}
	i, twice := slices.BinarySearchFunc(*list, h, func(a, b routing.Header) int { return cmp.Compare(a.Name, b.Name) })
	if twice {
		return one(problems.LabelHeader, fmt.Sprintf("header %s is given twice: the case of its letters does not count", quote(name)), "remove one of the two labels")
	}
	*list = slices.Insert(*list, i, h)
	return nil
}

package core

import (
	"slices"

	"interlock/internal/compile"
	"interlock/internal/explain"
	"interlock/routing"
)

// explainBy explains a request by what v shows. loose are the problems of
// services that found no cluster: these lost too.
func explainBy(v *view, loose []routing.Problem, url string) explain.Answer {
	out := v.compiled
	unserved := compile.Unserved(v.snapshot, out, slices.Concat(v.admission, loose, out.Problems))
	out.Lost = slices.Concat(out.Lost, unserved)
	return explain.Explain(out, url)
}

// loosely are the problems that are no cluster's.
func (c *Core) loosely() []routing.Problem {
	if s := c.seen.Load(); s != nil {
		return s.loose
	}
	return nil
}

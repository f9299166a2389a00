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
	answer := explain.Explain(out, url)
	answer.Pending = answer.Route != nil && !v.live(*answer.Route)
	return answer
}

// live says whether the confirmed generation has the route in the same way.
func (v *view) live(r routing.Route) bool {
	return slices.ContainsFunc(v.confirmed.Routes, func(l routing.Route) bool { return sameRoute(l, r) })
}

func sameRoute(a, b routing.Route) bool {
	return a.Host == b.Host && a.Path == b.Path && a.Rewrite == b.Rewrite && slices.Equal(a.Backends, b.Backends)
}

// loosely are the problems that are no cluster's.
func (c *Core) loosely() []routing.Problem {
	if s := c.seen.Load(); s != nil {
		return s.loose
	}
	return nil
}

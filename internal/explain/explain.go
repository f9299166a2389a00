// Package explain says what a cluster does with one request and why: which
// route wins, who holds the host, who asked for it in vain. It is pure.
package explain

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"interlock/internal/compile"
	"interlock/internal/policy"
	"interlock/routing"
)

// What happens to a request.
const (
	Forwarded  = "forwarded"
	Redirected = "redirected"
	Refused    = "refused"  // with 400: not in normal form
	Unrouted   = "unrouted" // with 503: no route, or none of its tasks runs
)

// Answer is the explanation of one request.
type Answer struct {
	Cluster string `json:"cluster"`
	URL     string `json:"url"`
	// Host is in normal form, "" when it is refused.
	Host string `json:"host"`
	// Path is what is forwarded.
	Path   string `json:"path"`
	Result string `json:"result"`
	// Status is what the router itself answers, 0 when it forwards.
	Status   int    `json:"status"`
	Reason   string `json:"reason"`
	Location string `json:"location,omitempty"`
	// Route is the one that wins, with its backends; nil when none does.
	Route    *routing.Route `json:"route"`
	Backends []Backend      `json:"backends"`
	// Pending says of a live answer that no proxy has confirmed the route yet.
	Pending bool `json:"pending,omitempty"`
	// Holder is the claim on the host, or on the nearest wildcard above it.
	Holder *Holder `json:"holder,omitempty"`
	// Lost are those who asked for the host, or a wildcard above it, in vain.
	Lost []compile.Loss `json:"lost"`
	// Problems are those of the services that win.
	Problems []routing.Problem `json:"problems"`
}

// Backend is a backend of the winning route with its present endpoints.
type Backend struct {
	routing.Backend
	Endpoints []routing.Endpoint `json:"endpoints"`
}

// Holder is who holds a host.
type Holder struct {
	Host       string    `json:"host"`
	Owner      string    `json:"owner"`
	Collection string    `json:"collection,omitempty"`
	Since      time.Time `json:"since"`
}

// Explain explains a GET request for url, which is host and path, with or
// without "http://" in front. What is not in normal form is taken as it stands.
func Explain(out compile.Output, url string) Answer {
	host, target := split(url)
	d := routing.NewResolver(out.Table).Resolve(routing.Request{
		Method: "GET", Target: target, Proto: "HTTP/1.1", Hosts: []string{host},
	})
	a := Answer{
		Cluster: out.Table.Cluster, URL: url, Host: d.Host, Path: d.Path, Status: d.Status,
		Reason: d.Reason, Location: d.Location, Route: d.Route, Result: result(d.Status),
		Backends: []Backend{}, Lost: []compile.Loss{}, Problems: []routing.Problem{},
	}
	if a.Route != nil && strings.HasPrefix(a.Route.Host, "*.") {
		a.Reason = "no route names the host itself; of the wildcards above it the longest wins, and of its paths the longest"
	}
	a.winners(out)
	if a.Host != "" {
		a.Holder = holder(out.State.Claims, a.Host)
		a.losers(out.Lost)
	}
	return a
}

// CheckURL says what keeps url from being a request that can be explained: it
// needs http:// or https:// and a host. Anything else in it is a matter of
// routing, and of Explain.
func CheckURL(url string) error {
	scheme, rest, ok := strings.Cut(url, "://")
	switch {
	case url == "":
		return errors.New("the URL is empty")
	case !ok:
		return fmt.Errorf("%q has no scheme", clip(url))
	case !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https"):
		return fmt.Errorf("%q is no scheme that a proxy serves", clip(scheme))
	case rest == "" || strings.ContainsAny(rest[:1], "/?#"):
		return fmt.Errorf("%q names no host", clip(url))
	}
	return nil
}

// clip shortens text of others for a message.
func clip(text string) string {
	const most = 200
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// split takes url apart without repairing anything.
func split(url string) (host, target string) {
	for _, scheme := range []string{"http://", "https://"} {
		if len(url) >= len(scheme) && strings.EqualFold(url[:len(scheme)], scheme) {
			url = url[len(scheme):]
			break
		}
	}
	end := strings.IndexAny(url, "/?")
	if end < 0 {
		return url, "/"
	}
	if url[end] == '?' {
		return url[:end], "/" + url[end:]
	}
	return url[:end], url[end:]
}

func result(status int) string {
	switch status {
	case routing.Forward:
		return Forwarded
	case routing.Moved:
		return Redirected
	case routing.BadRequest:
		return Refused
	}
	return Unrouted
}

// winners fills in the backends of the winning route.
func (a *Answer) winners(out compile.Output) {
	if a.Route == nil {
		return
	}
	endpoints, services := 0, map[string]bool{}
	for _, id := range a.Route.Backends {
		for _, b := range out.Table.Backends {
			if b.ID == id {
				eps := out.Endpoints[id]
				a.Backends = append(a.Backends, Backend{b, append([]routing.Endpoint{}, eps...)})
				endpoints += len(eps)
				services[b.Service] = true
			}
		}
	}
	for _, p := range out.Problems {
		if services[p.Service] {
			a.Problems = append(a.Problems, p)
		}
	}
	if endpoints == 0 && a.Result == Forwarded {
		a.Result, a.Status = Unrouted, routing.NotAvailable
		a.Reason += "; but none of its tasks is running"
	}
}

// losers are the losses of the host and of the wildcards above it; of the
// default backend only where it would have had its turn.
func (a *Answer) losers(lost []compile.Loss) {
	names := append([]string{a.Host}, slices.Collect(policy.WildcardsAbove(a.Host))...)
	if a.Route == nil || a.Route.Host == routing.DefaultHost {
		names = append(names, routing.DefaultHost)
	}
	for _, l := range lost {
		if slices.Contains(names, l.Host) {
			a.Lost = append(a.Lost, l)
		}
	}
}

// holder is the claim that covers host, the nearest one.
func holder(claims []policy.Claim, host string) *Holder {
	names := append([]string{host}, slices.Collect(policy.WildcardsAbove(host))...)
	for _, name := range names {
		for _, c := range claims {
			if c.Host == name {
				return &Holder{Host: c.Host, Owner: c.Owner, Collection: c.Collection, Since: c.Since}
			}
		}
	}
	return nil
}

package explain_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"interlock/internal/compile"
	"interlock/internal/explain"
	"interlock/internal/policy"
	"interlock/routing"
)

// compiled is a cluster with two routes, claims on them, and losers.
func compiled() compile.Output {
	backend := func(id string) routing.Backend {
		return routing.Backend{ID: id, Service: "svc-" + id, ServiceID: id, Port: 80}
	}
	lost := func(host, service string) compile.Loss {
		return compile.Loss{Host: host, Path: "/", Problem: routing.Problem{Service: service, Code: "host-conflict"}}
	}
	return compile.Output{
		Table: routing.Table{
			Cluster: "dev",
			Routes: []routing.Route{
				{Host: "*.x.test", Path: "/", Backends: []string{"w"}},
				{Host: "a.x.test", Path: "/app", Rewrite: true, Backends: []string{"a", "b"}},
			},
			Backends: []routing.Backend{backend("a"), backend("b"), backend("w")},
		},
		Endpoints: routing.Endpoints{"a": {{Address: "10.0.0.1", Port: 80, Task: "t"}}},
		Problems:  []routing.Problem{{Service: "svc-b", Code: "no-endpoints"}, {Service: "svc-w", Code: "no-endpoints"}},
		Lost:      []compile.Loss{lost("a.x.test", "one"), lost("*.x.test", "two"), lost("*", "three"), lost("y.test", "four")},
		State:     compile.State{Claims: []policy.Claim{{Host: "*.x.test", Path: "/", Owner: "w"}, {Host: "a.x.test", Path: "/app", Owner: "a"}}},
	}
}

// brief is what the tests compare of an answer.
type brief struct {
	Result, Path, Location, Route, Holder string
	Status                                int
	Backends, Lost, Problems              []string
}

func briefOf(a explain.Answer) brief {
	b := brief{Result: a.Result, Path: a.Path, Location: a.Location, Status: a.Status}
	if a.Route != nil {
		b.Route = a.Route.Host + a.Route.Path
	}
	if a.Holder != nil {
		b.Holder = a.Holder.Owner
	}
	for _, be := range a.Backends {
		b.Backends = append(b.Backends, be.Service)
	}
	for _, l := range a.Lost {
		b.Lost = append(b.Lost, l.Problem.Service)
	}
	for _, p := range a.Problems {
		b.Problems = append(b.Problems, p.Service)
	}
	return b
}

func TestExplain(t *testing.T) {
	for url, want := range map[string]brief{
		"http://a.x.test/app/1?q": {Result: explain.Forwarded, Path: "/1", Route: "a.x.test/app", Holder: "a",
			Backends: []string{"svc-a", "svc-b"}, Lost: []string{"one", "two"}, Problems: []string{"svc-b"}},
		"A.x.test:8080/app": {Result: explain.Redirected, Status: 301, Path: "/app", Location: "/app/", Route: "a.x.test/app", Holder: "a",
			Backends: []string{"svc-a", "svc-b"}, Lost: []string{"one", "two"}, Problems: []string{"svc-b"}},
		"https://n.x.test": {Result: explain.Unrouted, Status: 503, Path: "/", Route: "*.x.test/", Holder: "w",
			Backends: []string{"svc-w"}, Lost: []string{"two"}, Problems: []string{"svc-w"}},
		"http://y.test?q":             {Result: explain.Unrouted, Status: 503, Path: "/", Lost: []string{"three", "four"}},
		"http://a.x.test/app/../x":    {Result: explain.Refused, Status: 400},
		"http://user@a.x.test/app/":   {Result: explain.Refused, Status: 400},
		"http://a.x.test/app/#anchor": {Result: explain.Refused, Status: 400},
		"":                            {Result: explain.Unrouted, Status: 503, Path: "/"},
	} {
		if diff := cmp.Diff(want, briefOf(explain.Explain(compiled(), url))); diff != "" {
			t.Errorf("%q: %s", url, diff)
		}
	}
}

func TestCheckURL(t *testing.T) {
	for url, fine := range map[string]bool{
		"http://a.x.test": true, "HTTPS://a.x.test/app?q": true, "http://user@a.x.test/": true, "http://a.x.test:8080": true,
		"": false, "a.x.test/app": false, "a.x.test:8080": false, "ftp://a.x.test/": false, "http://": false, "http:///app": false, "://a": false,
		"http:/a.x.test": false, "http://?q": false,
	} {
		if err := explain.CheckURL(url); (err == nil) != fine {
			t.Errorf("%q: %v", url, err)
		}
	}
}

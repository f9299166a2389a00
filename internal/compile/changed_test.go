package compile_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"interlock/internal/compile"
	"interlock/routing"
)

func TestChanged(t *testing.T) {
	backend := func(id string, port int) routing.Backend {
		return routing.Backend{ID: "be_" + id, ServiceID: id, Port: port}
	}
	route := func(host string, ids ...string) routing.Route {
		r := routing.Route{Host: host, Path: "/"}
		for _, id := range ids {
			r.Backends = append(r.Backends, "be_"+id)
		}
		return r
	}
	before := routing.Table{
		Backends: []routing.Backend{backend("a", 80), backend("b", 80)},
		Routes:   []routing.Route{route("x", "a"), route("y", "b")},
	}
	for _, c := range []struct {
		name  string
		after routing.Table
		want  []string
	}{
		{"nothing", before, nil},
		{"another base", routing.Table{Base: routing.Base{HTTPPort: 1}, Backends: before.Backends, Routes: before.Routes}, nil},
		{"an option", routing.Table{Backends: []routing.Backend{backend("a", 81), backend("b", 80)}, Routes: before.Routes}, []string{"a"}},
		{"one gone", routing.Table{Backends: before.Backends[1:], Routes: before.Routes[1:]}, []string{"a"}},
		{"another host", routing.Table{Backends: before.Backends, Routes: []routing.Route{route("x", "a"), route("z", "b")}}, []string{"b"}},
		{"a newcomer in a pool", routing.Table{Backends: append(before.Backends, backend("c", 80)), Routes: []routing.Route{route("x", "a", "c"), route("y", "b")}}, []string{"c"}},
		{"a newcomer in front", routing.Table{Backends: append(before.Backends, backend("c", 80)), Routes: []routing.Route{route("x", "c", "a"), route("y", "b")}}, []string{"a", "c"}},
		{"all gone", routing.Table{}, []string{"a", "b"}},
	} {
		if diff := cmp.Diff(c.want, compile.Changed(before, c.after)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

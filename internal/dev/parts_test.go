package dev

import (
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"

	"interlock/routing"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func TestParseUpstreams(t *testing.T) {
	for _, c := range []struct {
		value string
		want  []routing.Endpoint
		bad   bool
	}{
		{value: ""},
		{value: "127.0.0.1:9000", want: []routing.Endpoint{{Address: "127.0.0.1", Port: 9000}}},
		{value: " localhost:1 , [::1]:2,", want: []routing.Endpoint{{Address: "127.0.0.1", Port: 1}, {Address: "::1", Port: 2}}},
		{value: "9000", bad: true},
		{value: "host:80", bad: true},
		{value: "127.0.0.1:99999", bad: true},
	} {
		got, err := parseUpstreams(c.value)
		if (err != nil) != c.bad || !c.bad && !cmp.Equal(got, c.want) {
			t.Errorf("parseUpstreams(%q) = %v, %v", c.value, got, err)
		}
	}
}

func TestStackNames(t *testing.T) {
	files := []file{{path: "a.yml"}, {path: "shop/docker-stack.yml"}, {path: "shop/web.yaml"}, {path: "x/a.yml"}}
	want := []string{"a", "shop", "web", "x-a"}
	for i := range files {
		files[i].stack = stackName(files[i].path)
	}
	for i, f := range unique(files) {
		if f.stack != want[i] {
			t.Errorf("%s is stack %q, want %q", f.path, f.stack, want[i])
		}
	}
}

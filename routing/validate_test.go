package routing_test

import (
	"strings"
	"testing"

	"interlock/routing"
)

func TestValidate(t *testing.T) {
	valid := func() routing.Table {
		return routing.Table{
			Routes:   []routing.Route{{Host: "*.a.org", Path: "/app", Backends: []string{"be_1"}}, {Host: "*", Path: "/", Backends: []string{"be_1"}}},
			Backends: []routing.Backend{{ID: "be_1", Port: 80}},
		}
	}
	if err := valid().Validate(); err != nil {
		t.Fatalf("valid table: %v", err)
	}
	for want, spoil := range map[string]func(*routing.Table){
		"host is not in normal":                   func(t *routing.Table) { t.Routes[0].Host = "A.org" },
		"begin with a slash":                      func(t *routing.Table) { t.Routes[0].Path = "app" },
		"forbidden byte":                          func(t *routing.Table) { t.Routes[0].Path = "/a?b" },
		"ends in a slash":                         func(t *routing.Table) { t.Routes[0].Path = "/app/" },
		"no backend":                              func(t *routing.Table) { t.Routes[0].Backends = nil },
		"unknown backend":                         func(t *routing.Table) { t.Routes[0].Backends[0] = "be_2" },
		"route \"*.a.org\" \"/app\": given twice": func(t *routing.Table) { t.Routes[1] = t.Routes[0] },
		"malformed or given twice":                func(t *routing.Table) { t.Backends[0].ID = "be 1" },
		"port 0 is not":                           func(t *routing.Table) { t.Backends[0].Port = 0 },
	} {
		bad := valid()
		spoil(&bad)
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate = %v, want …%s…", err, want)
		}
	}
}

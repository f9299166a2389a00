package cli

import (
	"errors"
	"testing"

	"interlock/internal/api"
)

// TestUnknownNames: what is asked for by a name that does not exist is no
// all-clear.
func TestUnknownNames(t *testing.T) {
	status := api.Status{Clusters: []api.Cluster{{Name: "dev"}, {Name: "prod"}, {Name: ""}}}
	services := []string{"shop_web", "shop_api"}
	for _, c := range []struct {
		name          string
		err           error
		message, hint string
	}{
		{"known clusters", CheckClusters(status, []string{"prod", ""}), "", ""},
		{"no cluster", CheckClusters(status, nil), "", ""},
		{"a cluster", CheckClusters(status, []string{"dev", "nope"}),
			`there is no cluster "nope"; there are: "dev", "prod", "" (the default one)`, "leave --cluster out for all of them"},
		{"a misspelt cluster", CheckClusters(status, []string{"prd"}),
			`there is no cluster "prd"; there are: "dev", "prod", "" (the default one)`, `did you mean "prod"?`},
		{"no clusters at all", CheckClusters(api.Status{}, []string{"dev"}),
			`there is no cluster "dev"; there are: none`, "leave --cluster out for all of them"},
		{"known services", CheckServices(services, services), "", ""},
		{"a service", CheckServices(services, []string{"x\x1b[2J"}),
			`there is no service "x\x1b[2J"`, "name it as docker service ls does: STACK_SERVICE"},
		{"a misspelt service", CheckServices(services, []string{"shop-wbe"}), `there is no service "shop-wbe"`, `did you mean "shop_web"?`},
	} {
		if c.message == "" {
			if c.err != nil {
				t.Errorf("%s: %v", c.name, c.err)
			}
			continue
		}
		var hint *HintError
		if !errors.As(c.err, &hint) || hint.Error() != c.message || hint.Hint != c.hint {
			t.Errorf("%s: %v, %+v", c.name, c.err, hint)
		}
	}
}

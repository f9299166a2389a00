package core

import (
	"testing"

	"interlock/internal/compile"
	"interlock/internal/problems"
	"interlock/internal/swarm"
	"interlock/routing"
)

// TestExplainNamesWhoWasNeverAdmitted: those who lost before compiling, by a
// cluster's admission or without any cluster, are told like the others.
func TestExplainNamesWhoWasNeverAdmitted(t *testing.T) {
	asks := func(name string) swarm.Service {
		return swarm.Service{ID: name, Name: name, Labels: map[string]string{"com.docker.lb.hosts": "a.test", "com.docker.lb.port": "80"}}
	}
	foreign := problems.New(problems.NotAdmittedCollection, "m", "h")
	foreign.Cluster, foreign.Service = "dev", "foreign"
	loose := problems.New(problems.NotAdmittedUnlabelled, "m", "h")
	loose.Service = "loose"
	v := &view{
		snapshot:  swarm.Snapshot{Services: []swarm.Service{asks("foreign"), asks("loose"), asks("quiet")}},
		admission: []routing.Problem{foreign},
		compiled:  compile.Output{Table: routing.Table{Cluster: "dev"}},
	}
	var lost []string
	for _, l := range explainBy(v, []routing.Problem{loose}, "http://a.test/").Lost {
		lost = append(lost, l.Problem.Service)
	}
	if len(lost) != 2 || lost[0] != "foreign" || lost[1] != "loose" {
		t.Errorf("lost: %v", lost)
	}
}

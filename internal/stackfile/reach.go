package stackfile

import (
	"fmt"

	"github.com/docker/cli/cli/compose/types"

	"interlock/internal/label"
	"interlock/internal/problems"
)

// overlay is the driver of networks that span nodes.
const overlay = "overlay"

// driverOf is the driver of a network by its deployed name, "" for Docker's
// choice; host, bridge and none are those that each node has for itself.
func driverOf(name string, n types.NetworkConfig) string {
	switch name {
	case "host", "bridge":
		return name
	case "none":
		return "null"
	}
	return n.Driver
}

// localNetworks reports networks over which no proxy on another node reaches a
// service that asks for routing.
func (p *parser) localNetworks(project Project) {
	driver := map[string]string{}
	for _, n := range project.Networks {
		driver[n.Name] = n.Driver
	}
	for _, s := range project.Services {
		for _, name := range s.Networks {
			if driver[name] != overlay && asksForRouting(s) {
				p.add(s.Line, s.Name, "", problems.New(problems.StackfileNetworkDriver,
					fmt.Sprintf("network %s has driver %s and ends at its node; the proxies reach services over overlay networks only", quote(name), quote(driver[name])),
					"put the service on an overlay network that the proxies are on"))
			}
		}
	}
}

// job reports a service whose tasks are to end and that asks for routing.
func (p *parser) job(s Service) {
	if s.Job && asksForRouting(s) {
		p.add(s.Line, s.Name, "", problems.New(problems.StackfileJob,
			"the service is a job: its tasks end, and no request is sent to them",
			"write mode: replicated or mode: global, or remove the routing labels"))
	}
}

func asksForRouting(s Service) bool {
	spec, _ := label.Parse(s.Labels)
	return spec.Registers
}

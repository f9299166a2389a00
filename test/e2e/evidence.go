package e2e

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"interlock/test/load"
)

// explain returns the reason why a failure is counted apart. It goes by
// evidence: the log of the load balancer says which proxy a client's connection
// was given to, by the client's own address and port.
func (l *Lab) explain() func(load.Failure) string {
	proxies, err := l.assigned()
	if err != nil {
		l.say("without evidence nothing is counted apart: %v", err)
	}
	return func(f load.Failure) string {
		for _, k := range l.kills {
			end := f.Began.Add(f.Took)
			if end.Before(k.at) || f.Began.After(k.until) || k.env != "" && k.env != f.Env {
				continue
			}
			switch proxy := proxies[f.Env+" "+f.Local.String()]; {
			case proxy == k.node && k.env != "":
				return "in flight on a killed process"
			case proxy == k.node:
				return "in flight on a node cut off"
			}
		}
		return ""
	}
}

// assigned maps "environment client-address" to the node of the proxy that the
// balancer chose. A line of HAProxy's TCP log begins with the client's address;
// its fourth word is "proxy/server".
func (l *Lab) assigned() (map[string]string, error) {
	found := map[string]string{}
	for _, e := range l.layout.Envs {
		f, err := os.Open(l.Swarm.LogOf("lb-" + e.Name))
		if err != nil {
			return nil, fmt.Errorf("read the load balancer's log: %w", err)
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			words := strings.Fields(lines.Text())
			if len(words) < 4 {
				continue
			}
			for i, node := range e.Proxies {
				if strings.HasSuffix(words[3], fmt.Sprintf("/proxy%d", i+1)) {
					found[e.Name+" "+words[0]] = l.Swarm.Nodes[node].Name()
				}
			}
		}
		f.Close()
		if err := lines.Err(); err != nil {
			return nil, fmt.Errorf("read the load balancer's log: %w", err)
		}
	}
	return found, nil
}

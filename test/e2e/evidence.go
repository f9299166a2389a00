package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"interlock/test/load"
	"interlock/test/swarm"
)

// session is what the load balancer says of one connection of a client.
type session struct {
	node       string // of the proxy it was given to
	begin, end time.Time
}

// sessions are by environment and client address; ports come round again, so
// there may be several.
type sessions map[string][]session

// slack is how much earlier than its client the balancer may see the end of a
// connection.
const slack = time.Second

// node is that of the proxy which had the failed request, "" if unknown.
func (s sessions) node(f load.Failure) string {
	end := f.Began.Add(f.Took)
	for _, one := range s[f.Env+" "+f.Local.String()] {
		if !one.begin.After(end) && !one.end.Before(f.Began.Add(-slack)) {
			return one.node
		}
	}
	return ""
}

// explain returns the reason why a failure is counted apart. It goes by
// evidence: the log of the load balancer says which proxy a client's connection
// was given to, by the client's own address and port.
func (l *Lab) explain() func(load.Failure) string {
	assigned, err := l.assigned()
	if err != nil {
		l.say("without evidence nothing is counted apart: %v", err)
	}
	served, err := l.served()
	if err != nil {
		l.say("without the proxies' logs nothing is known of endpoints: %v", err)
	}
	return func(f load.Failure) string {
		node := assigned.node(f)
		for _, k := range l.kills {
			if slices.Contains(k.endpoints, served[f.Env+" "+f.Local.String()]) || k.swallowed(f) {
				return "in flight to a task on a node cut off"
			}
			end := f.Began.Add(f.Took)
			if node != k.node || end.Before(k.at) || f.Began.After(k.until) || k.env != "" && k.env != f.Env {
				continue
			}
			if k.env != "" {
				return "in flight on a killed process"
			}
			return "in flight on a node cut off"
		}
		return ""
	}
}

// unnoticed is how long after a node's end requests may still be sent to its
// tasks: two failed checks, 2 s apart, of 1 s each.
const unnoticed = 8 * time.Second

// swallowed says whether a request was sent to a task on a node that had just
// gone: it began before that was noticed, and hung. The proxy does not log a
// request that is lost on a connection which it used again.
func (k kill) swallowed(f load.Failure) bool {
	return k.env == "" && f.Began.After(k.at.Add(-patience)) && f.Began.Before(k.at.Add(unnoticed)) && f.Took > 5*time.Second
}

// assigned reads the logs of the load balancers.
func (l *Lab) assigned() (sessions, error) {
	found := sessions{}
	for _, e := range l.layout.Envs {
		f, err := os.Open(l.Swarm.LogOf("lb-" + e.Name))
		if err != nil {
			return nil, fmt.Errorf("read the load balancer's log: %w", err)
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			client, server, s, ok := parseSession(lines.Text())
			if !ok {
				continue
			}
			for i, node := range e.Proxies {
				if strings.HasSuffix(server, fmt.Sprintf("/proxy%d", i+1)) {
					s.node = l.Swarm.Nodes[node].Name()
					found[e.Name+" "+client] = append(found[e.Name+" "+client], s)
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

// parseSession reads a line of HAProxy's TCP log: client, [time of accept],
// frontend, backend/server, three times in milliseconds of which the last is
// the whole.
func parseSession(line string) (client, server string, s session, ok bool) {
	words := strings.Fields(line)
	if len(words) < 5 {
		return "", "", s, false
	}
	begin, err := time.ParseInLocation("[02/Jan/2006:15:04:05.000]", words[1], time.Local)
	if err != nil {
		return "", "", s, false
	}
	times := strings.Split(words[4], "/")
	total, err := strconv.Atoi(strings.TrimPrefix(times[len(times)-1], "+"))
	if err != nil {
		return "", "", s, false
	}
	s.begin, s.end = begin, begin.Add(time.Duration(total)*time.Millisecond)
	return words[0], words[3], s, true
}

// served maps "environment client-address" to the last server that a proxy gave
// a request of that client to, of those that it had trouble with and logged.
func (l *Lab) served() (map[string]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	found := map[string]string{}
	for _, e := range l.layout.Envs {
		for _, node := range e.Proxies {
			n := l.Swarm.Nodes[node]
			ids, err := containers(ctx, n, "interlock-proxy-"+e.Name, "--all")
			if err != nil {
				return nil, err
			}
			for _, id := range ids {
				out, err := n.Docker(ctx, "logs", id)
				if err != nil {
					return nil, err
				}
				readServed(found, e.Name, out)
			}
		}
	}
	return found, nil
}

func readServed(found map[string]string, env, log string) {
	for line := range strings.Lines(log) {
		var request struct {
			Client, Server string
			Port           int
		}
		if json.Unmarshal([]byte(line), &request) == nil && request.Port > 0 {
			found[fmt.Sprintf("%s %s:%d", env, request.Client, request.Port)] = request.Server
		}
	}
}

// endpointsOn are the names that proxies give to the tasks on a node.
func (l *Lab) endpointsOn(ctx context.Context, n *swarm.Node) ([]string, error) {
	out, err := n.Docker(ctx, "ps", "--quiet")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, id := range strings.Fields(out) {
		out, err := n.Docker(ctx, "inspect", id, "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}")
		if err != nil {
			return nil, err
		}
		for _, address := range strings.Fields(out) {
			names = append(names, "e_"+strings.ReplaceAll(address, ".", "_")+"_8080")
		}
	}
	return names, nil
}

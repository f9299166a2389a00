package dev

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"interlock/internal/problems"
	"interlock/internal/stackfile"
	"interlock/routing"
)

// UpstreamLabel names where a service really runs while it is developed:
// addresses with ports, separated by commas. A service without it is played by
// an application of ours that answers with what it was asked.
const UpstreamLabel = "com.docker.interlock.dev.upstream"

// played is the address of all applications of ours.
const played = "127.0.0.1"

// origins are the applications of ours, by service. They live as long as
// the process: an idle one costs a listener.
type origins struct {
	group *errgroup.Group
	ports map[string]int
}

// upstreams are the endpoints of each service, by id.
func (o *origins) upstreams(ctx context.Context, services []stackfile.Service) (map[string][]routing.Endpoint, []routing.Problem, error) {
	all := make(map[string][]routing.Endpoint, len(services))
	var invalid []routing.Problem
	for _, s := range services {
		name := s.DeployedName()
		list, err := parseUpstreams(s.Labels[UpstreamLabel])
		if err != nil {
			p := problems.New(problems.DevUpstream, err.Error(), "write 127.0.0.1:9000, or several with commas between them")
			p.Service, p.Label, p.File, p.Line = name, UpstreamLabel, s.File, s.LineOf(UpstreamLabel)
			invalid = append(invalid, p)
			continue
		}
		if len(list) == 0 && asksForRouting(s) {
			if list, err = o.play(ctx, name); err != nil {
				return nil, nil, fmt.Errorf("play service %s: %w", name, err)
			}
		}
		all[name] = list
	}
	return all, invalid, nil
}

// parseUpstreams reads the value of UpstreamLabel: addresses, not names.
func parseUpstreams(value string) (list []routing.Endpoint, err error) {
	for field := range strings.SplitSeq(value, ",") {
		field = strings.TrimSpace(field)
		if field == "" {
			continue
		}
		address, err := netip.ParseAddrPort(strings.Replace(field, "localhost:", "127.0.0.1:", 1))
		if err != nil {
			return nil, fmt.Errorf("%q is not an address with a port", field)
		}
		list = append(list, routing.Endpoint{Address: address.Addr().String(), Port: int(address.Port())})
	}
	return list, nil
}

// play starts the application that plays a service, if it does not run yet.
func (o *origins) play(ctx context.Context, name string) ([]routing.Endpoint, error) {
	if o.ports[name] == 0 {
		ln, err := net.Listen("tcp", played+":0")
		if err != nil {
			return nil, err
		}
		server := &http.Server{Handler: echo(name), ReadHeaderTimeout: 10 * time.Second}
		o.group.Go(func() error { _ = server.Serve(ln); return nil })
		o.group.Go(func() error { <-ctx.Done(); return server.Close() })
		if o.ports == nil {
			o.ports = map[string]int{}
		}
		o.ports[name] = portOf(ln)
	}
	return []routing.Endpoint{{Address: played, Port: o.ports[name]}}, nil
}

// echo answers with the service's name and the request as it arrived.
func echo(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintf(w, "service: %s\n%s %s\nHost: %s\n", name, r.Method, r.RequestURI, r.Host)
		_ = r.Header.Write(w)
	})
}

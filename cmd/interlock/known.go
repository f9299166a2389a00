package main

import (
	"context"
	"net/url"

	"interlock/internal/api"
	"interlock/internal/cli"
	"interlock/routing"
)

// askAbout asks core about some clusters, or all. A cluster that core does not
// have is an error, not an empty answer.
func askAbout(ctx context.Context, host, path string, clusters []string, into any) error {
	if len(clusters) > 0 {
		var s api.Status
		if err := ask(ctx, host, "status", nil, &s); err != nil {
			return err
		}
		if err := cli.CheckClusters(s, clusters); err != nil {
			return hinted(err)
		}
	}
	return ask(ctx, host, path, url.Values{"cluster": clusters}, into)
}

// checkServices returns an error unless each wanted service is in the problems
// found, or Docker has it. One that ended may still have a problem.
func checkServices(ctx context.Context, host string, found []routing.Problem, wanted []string) error {
	if len(wanted) == 0 {
		return nil
	}
	var names []string
	for _, p := range found {
		names = append(names, p.Service)
	}
	if cli.CheckServices(names, wanted) == nil {
		return nil
	}
	client, err := connect(ctx, host)
	if err != nil {
		return err
	}
	defer client.Close()
	all, err := client.ServiceNames(ctx)
	if err != nil {
		return err
	}
	return hinted(cli.CheckServices(append(names, all...), wanted))
}

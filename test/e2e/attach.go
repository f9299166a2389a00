package e2e

import (
	"context"

	"interlock/test/swarm"
)

// Attach returns the laboratory that an earlier Up left running.
func Attach(ctx context.Context, o Options) (*Lab, error) {
	s, err := swarm.Open(ctx, "", o.Name)
	if err != nil {
		return nil, err
	}
	return &Lab{Swarm: s, layout: o.Layout, o: o}, nil
}

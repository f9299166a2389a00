package core

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"interlock/internal/docker"
	"interlock/internal/identity"
	"interlock/internal/problems"
	"interlock/internal/provision"
	"interlock/routing"
)

// Engine is what provisioning needs of Docker; *docker.Client is one.
type Engine interface {
	Present(ctx context.Context) (map[string]provision.Present, error)
	Apply(ctx context.Context, a provision.Action, mint docker.Mint) error
}

// SwarmProvisioner plans with package provision and carries the plan out.
type SwarmProvisioner struct {
	Engine   Engine
	Identity identity.Identity
	Settings provision.Settings
	Log      *slog.Logger

	// replaced is when running proxies were last told to be replaced, in
	// nanoseconds since 1970; 0 is never.
	replaced atomic.Int64
}

// Plan compares what clusters need with what the Swarm has at this moment.
func (s *SwarmProvisioner) Plan(ctx context.Context, f Provisioning) (provision.Plan, error) {
	present, err := s.Engine.Present(ctx)
	if err != nil {
		return provision.Plan{}, fmt.Errorf("plan: %w", err)
	}
	return provision.Make(provision.Input{
		Clusters: f.Config.Clusters, Settings: s.Settings, Snapshot: f.Snapshot, Present: present,
		Rolling: f.Rolling, Unready: f.Unready, Wanted: f.Wanted, Replaced: time.Unix(0, s.replaced.Load()), Now: time.Now(),
	}), nil
}

// Provision does the steps of the plan, one at a time. A step that fails ends
// its cluster's turn; a step that replaces running proxies ends the round, so
// that the next one is planned from what became of it.
func (s *SwarmProvisioner) Provision(ctx context.Context, f Provisioning) []routing.Problem {
	plan, err := s.Plan(ctx, f)
	if err != nil {
		return []routing.Problem{failed("", "", err)}
	}
	found := plan.Problems
	stopped := map[string]bool{}
	for _, a := range plan.Actions {
		if stopped[a.Cluster] {
			continue
		}
		if err := s.Engine.Apply(ctx, a, s.mint); err != nil {
			s.Log.Error("a step of provisioning failed", "kind", a.Kind, "name", a.Name, "cluster", a.Cluster, "error", err)
			found = append(found, failed(a.Cluster, a.Name, err))
			stopped[a.Cluster] = true
			continue
		}
		s.Log.Info("provisioned", "kind", a.Kind, "name", a.Name, "cluster", a.Cluster)
		if replaces(a.Kind) {
			s.replaced.Store(time.Now().UnixNano())
			break
		}
	}
	return found
}

func replaces(k provision.Kind) bool {
	return k == provision.UpdateService || k == provision.UndoService
}

func failed(cluster, service string, err error) routing.Problem {
	p := problems.New(problems.ProvisionFailed, err.Error(), "it is tried again")
	p.Cluster, p.Service = cluster, service
	return p
}

func (s *SwarmProvisioner) mint(uri string) ([]byte, error) {
	id, err := s.Identity.Mint(uri, time.Now())
	if err != nil {
		return nil, err
	}
	return id.Marshal()
}

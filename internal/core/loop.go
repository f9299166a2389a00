package core

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"interlock/internal/api"
	"interlock/internal/config"
	"interlock/internal/policy"
	"interlock/internal/problems"
	"interlock/internal/rollout"
	"interlock/internal/swarm"
	"interlock/routing"
)

// Core is the loop over all clusters.
type Core struct {
	o         Options
	started   time.Time
	pipelines map[string]*pipeline // by cluster name; fixed for core's life

	snapshots chan swarm.Snapshot // capacity 1: the latest
	orders    chan order
	homes     policy.Homes
	version   uint64        // of homes: the number of their changes
	loads     int           // of homes, that failed
	unsaved   chan recorded // capacity 1: the latest that are not stored
	stored    atomic.Uint64 // the newest version that is

	seen      atomic.Pointer[sight]
	provision sync.Mutex // guards hindered
	hindered  []routing.Problem
}

// sight is the last snapshot and when it was taken up.
type sight struct {
	at       time.Time
	snapshot swarm.Snapshot
	loose    []routing.Problem // of no cluster
}

// New makes a core for the clusters of o.Config.
func New(o Options) *Core {
	o.Timing = o.Timing.withDefaults()
	c := &Core{
		o: o, started: time.Now(), pipelines: map[string]*pipeline{},
		snapshots: make(chan swarm.Snapshot, 1), unsaved: make(chan recorded, 1), orders: make(chan order),
	}
	slugs := map[string]bool{}
	for _, cluster := range usableFirst(o.Config.Clusters) {
		// A second table for one cluster has no pipeline: the first one's agents
		// are not its own.
		if c.pipelines[cluster.Name] == nil && !slugs[cluster.Slug()] {
			slugs[cluster.Slug()] = true
			c.pipelines[cluster.Name] = newPipeline(cluster, o)
		}
	}
	return c
}

func usableFirst(clusters []config.Cluster) []config.Cluster {
	sorted := slices.Clone(clusters)
	slices.SortStableFunc(sorted, func(a, b config.Cluster) int {
		return cmp.Compare(len(a.Unusable), len(b.Unusable))
	})
	return sorted
}

// Run decides until ctx ends.
func (c *Core) Run(ctx context.Context) error {
	if err := c.lead(ctx); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, p := range c.pipelines {
		g.Go(func() error { return p.run(ctx) })
	}
	g.Go(func() error { return c.o.Source.Run(ctx, c.give) })
	g.Go(func() error { return c.loop(ctx) })
	g.Go(func() error { return c.keepHomes(ctx) })
	g.Go(func() error { return c.provisioning(ctx) })
	return g.Wait()
}

// lead begins a leadership. It waits for the store: admitting without the
// recorded homes would let a stack move unseen.
func (c *Core) lead(ctx context.Context) error {
	for {
		err := c.tryLead(ctx)
		if err == nil {
			return nil
		}
		c.o.Log.Error("the store does not answer", "error", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(c.o.Timing.Provision):
		}
	}
}

func (c *Core) tryLead(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.o.Timing.Work)
	defer cancel()
	epoch, err := c.o.Store.Epoch(ctx, 0)
	if err != nil {
		return fmt.Errorf("start a leadership: %w", err)
	}
	// The store answers: homes that can't be loaded again and again are lost.
	data, err := c.o.Store.LoadHomes(ctx)
	if c.loads++; err != nil && data == nil && c.loads < maxLoads {
		return fmt.Errorf("load the stacks' homes: %w", err)
	}
	if len(data) > 0 {
		err = errors.Join(err, json.Unmarshal(data, &c.homes))
	}
	if err != nil {
		c.o.Log.Warn("stored homes of stacks are left out", "error", err)
	}
	for _, p := range c.pipelines {
		p.leadership = epoch
	}
	c.o.Log.Info("leading", "epoch", epoch)
	return nil
}

// give replaces the snapshot that has not been taken yet.
func (c *Core) give(s swarm.Snapshot) { replace(c.snapshots, s) }

// replace puts v in the place of what was not taken yet. It never blocks: to has
// capacity 1 and one sender.
func replace[T any](to chan T, v T) {
	select {
	case <-to:
	default:
	}
	to <- v
}

func (c *Core) loop(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case s := <-c.snapshots:
			c.take(s)
		case o := <-c.orders:
			c.obey(o)
		}
	}
}

// take admits the services of a snapshot and gives each cluster its facts.
func (c *Core) take(s swarm.Snapshot) {
	admitted, err := admitSafely(policy.Input{Snapshot: s, Clusters: c.o.Config.Clusters, Homes: c.homes})
	if err != nil {
		c.o.Log.Error("admission failed", "error", err)
		return
	}
	if !maps.Equal(admitted.Homes, c.homes) {
		c.record(admitted.Homes)
	}
	for name, p := range c.pipelines {
		p.give(facts{
			cluster: p.cluster, admitted: admitted.Admitted[name], holding: admitted.Holding[name],
			snapshot: s, problems: about(admitted.Problems, name),
		})
	}
	c.seen.Store(&sight{at: time.Now(), snapshot: s, loose: c.loose(admitted.Problems)})
}

func admitSafely(in policy.Input) (out policy.Output, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic while admitting: %v\n%s", r, debug.Stack())
		}
	}()
	return policy.Admit(in), nil
}

// keepHomes stores homes beside the loop: a store that is slow or refuses must
// not hold anybody's endpoints up.
func (c *Core) keepHomes(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case latest := <-c.unsaved:
			c.storeHomes(ctx, latest)
		}
	}
}

// storeHomes tries until the latest homes, or newer ones, are stored. Writes are
// saveInterval apart.
func (c *Core) storeHomes(ctx context.Context, latest recorded) {
	for {
		err := c.saveHomes(ctx, latest.homes)
		if err != nil {
			c.o.Log.Error("the stacks' homes can't be stored", "error", err)
		} else {
			c.stored.Store(latest.version)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(saveInterval):
		}
		if err == nil {
			return
		}
		select {
		case latest = <-c.unsaved:
		default:
		}
	}
}

func (c *Core) saveHomes(ctx context.Context, homes policy.Homes) error {
	ctx, cancel := context.WithTimeout(ctx, c.o.Timing.Work)
	defer cancel()
	data, err := json.Marshal(homes)
	if err != nil {
		return err
	}
	return c.o.Store.SaveHomes(ctx, data)
}

func about(all []routing.Problem, cluster string) []routing.Problem {
	var out []routing.Problem
	for _, p := range all {
		if p.Cluster == cluster {
			out = append(out, p)
		}
	}
	return out
}

// loose are the problems that name no cluster of ours.
func (c *Core) loose(all []routing.Problem) []routing.Problem {
	var out []routing.Problem
	for _, p := range all {
		if c.pipelines[p.Cluster] == nil {
			out = append(out, p)
		}
	}
	return out
}

// provisioning looks at what is missing, with its own pace and deadline.
func (c *Core) provisioning(ctx context.Context) error {
	for {
		pause := min(time.Second/4, c.o.Timing.Provision) // until the Swarm is seen
		if facts, ok := c.provisionFacts(); ok {
			found := c.provisionSafely(ctx, facts)
			c.provision.Lock()
			c.hindered = found
			c.provision.Unlock()
			pause = c.o.Timing.Provision
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

func (c *Core) provisionSafely(ctx context.Context, facts Provisioning) (found []routing.Problem) {
	ctx, cancel := context.WithTimeout(ctx, 4*c.o.Timing.Work)
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			c.o.Log.Error("panic while provisioning", "panic", r, "stack", string(debug.Stack()))
			found = []routing.Problem{problems.New(problems.ProvisionFailed, fmt.Sprintf("panic while provisioning: %v", r), "please report it")}
		}
	}()
	return c.o.Provisioner.Provision(ctx, facts)
}

// provisionFacts are false while what is seen of the Swarm is not complete.
func (c *Core) provisionFacts() (Provisioning, bool) {
	s := c.seen.Load()
	if s == nil || inDoubt(s.snapshot.Doubt) || s.snapshot.Doubt.Secrets || s.snapshot.Doubt.Configs {
		return Provisioning{}, false
	}
	p := Provisioning{
		Snapshot: s.snapshot, Config: c.o.Config, Rolling: map[string]bool{}, Unready: map[string]bool{},
		Wanted: map[string][]string{},
	}
	for _, v := range c.views() {
		name, proxies := v.cluster.Name, v.proxies()
		p.Rolling[name] = v.machine.State != rollout.Idle
		if time.Since(c.started) > hearing || allConnected(proxies) {
			p.Unready[name] = len(unsynced(proxies)) > 0
		}
		p.Wanted[name] = v.networks()
	}
	return p, true
}

// hearing is how long agents have to report to a new core before their silence
// means something.
const hearing = 20 * time.Second

func allConnected(proxies []api.Proxy) bool {
	return !slices.ContainsFunc(proxies, func(p api.Proxy) bool { return !p.Connected })
}

// views are the pipelines' present states, in the order of config.toml.
func (c *Core) views() []*view {
	var out []*view
	for _, cluster := range c.o.Config.Clusters {
		v := &view{cluster: cluster}
		if p := c.pipelines[cluster.Name]; p != nil && p.cluster.Table == cluster.Table {
			if seen := p.status.Load(); seen != nil {
				v = seen
			}
		}
		out = append(out, v)
	}
	return out
}

// Status implements api.Source.
func (c *Core) Status() api.Status {
	s := api.Status{Version: c.o.Version, Started: c.started, SnapshotAge: -1, Clusters: []api.Cluster{}}
	if seen := c.seen.Load(); seen != nil {
		s.SnapshotAge = time.Since(seen.at).Milliseconds()
		s.Doubt = doubts(seen.snapshot.Doubt)
	}
	hindered := c.hindrances()
	for _, v := range c.views() {
		cluster := v.clusterStatus()
		for _, p := range about(hindered, v.cluster.Name) {
			cluster.Problems[p.Severity]++
		}
		s.Clusters = append(s.Clusters, cluster)
	}
	return s
}

func doubts(d swarm.Doubt) []string {
	var names []string
	for name, is := range map[string]bool{
		"services": d.Services, "tasks": d.Tasks, "nodes": d.Nodes,
		"networks": d.Networks, "secrets": d.Secrets, "configs": d.Configs,
	} {
		if is {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Routes implements api.Source.
func (c *Core) Routes() []api.Route {
	var out []api.Route
	for _, v := range c.views() {
		out = append(out, v.routes()...)
	}
	return out
}

// Problems implements api.Source: config.toml's, each cluster's, the rest.
func (c *Core) Problems() []routing.Problem {
	out := slices.Clone(c.o.Config.Problems)
	for _, v := range c.views() {
		out = append(out, v.problems()...)
	}
	if seen := c.seen.Load(); seen != nil {
		out = append(out, seen.loose...)
		for _, list := range doubts(seen.snapshot.Doubt) {
			out = append(out, problems.New(problems.DoubtList, "Docker's list of "+list+" is not fully known; what was known stays in force", "see `docker node ls` if it does not pass"))
		}
	}
	out = append(out, foreign(c.o.Store.Foreign())...)
	return append(out, c.hindrances()...)
}

// hindrances are what provisioning found last.
func (c *Core) hindrances() []routing.Problem {
	c.provision.Lock()
	defer c.provision.Unlock()
	return slices.Clone(c.hindered)
}

// foreign says that there are objects that only look like core's own.
func foreign(names []string) []routing.Problem {
	if len(names) == 0 {
		return nil
	}
	return []routing.Problem{problems.New(problems.StoreForeign,
		fmt.Sprintf("%d configs look like stored state and were not written with this core's key: %s", len(names), clipped(names)),
		"find out who made them with `docker config inspect`, and remove them when nothing of an earlier installation is needed")}
}

// clipped is a list of names for people.
func clipped(names []string) string {
	const most = 5
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%.64q and %d more", names[:most], more)
	}
	return fmt.Sprintf("%.64q", names)
}

// Plan implements api.Source.
func (c *Core) Plan(ctx context.Context) (any, error) {
	facts, ok := c.provisionFacts()
	if !ok {
		return nil, fmt.Errorf("plan: what is seen of the Swarm is not complete yet")
	}
	return c.o.Provisioner.Plan(ctx, facts)
}

// Explain implements api.Source.
func (c *Core) Explain(_ context.Context, cluster, url string) (any, error) {
	names := slices.Sorted(maps.Keys(c.pipelines))
	if cluster == "" && len(names) == 1 {
		cluster = names[0] // the only one needs no naming
	}
	if c.pipelines[cluster] == nil {
		return nil, fmt.Errorf("%w: there is no cluster %.64q; name one with --cluster: %s", api.ErrBadRequest, cluster, clipped(names))
	}
	v := c.pipelines[cluster].status.Load()
	if v == nil || !v.have {
		return nil, fmt.Errorf("explain: nothing is known of cluster %q yet", cluster)
	}
	return explainBy(v, c.loosely(), url), nil
}

// Counters implements api.Source.
func (c *Core) Counters() []api.Counter {
	var out []api.Counter
	for _, name := range slices.Sorted(maps.Keys(c.pipelines)) {
		out = append(out, c.pipelines[name].counts.list(name)...)
	}
	return out
}

package docker

import (
	"encoding/json"
	"errors"
	"maps"
	"time"

	"interlock/internal/swarm"
)

// view is what the watcher knows: the last answers, merged by the rule that
// missing is doubt and "shut down" is a fact (I6). It does no I/O and knows no
// clock.
type view struct {
	services *table[swarm.Service]
	tasks    *table[swarm.Task]
	nodes    *table[swarm.Node]
	networks *table[swarm.Network]
	secrets  *table[swarm.Object]
	configs  *table[swarm.Object]

	doubt swarm.Doubt
	// missing and missingTasks went missing without a reason at that time.
	missing, missingTasks map[string]time.Time
	// guard is how long they are held on to.
	guard time.Duration
	// services and tasks of a service that an answer to question n was about, or
	// that ended when n had been asked, take no answer to an earlier question.
	servicesAsOf, tasksAsOf map[string]uint64
	// changed is set by whatever changes what snapshot returns.
	changed bool
}

func newView(guard time.Duration) *view {
	d := newDigester()
	objectID := func(o *swarm.Object) string { return o.ID }
	v := &view{
		services:     newTable(d.service, func(s *swarm.Service) string { return s.ID }),
		tasks:        newTable(d.task, func(t *swarm.Task) string { return t.ID }),
		nodes:        newTable(nodeOf, func(n *swarm.Node) string { return n.ID }),
		networks:     newTable(networkOf, func(n *swarm.Network) string { return n.ID }),
		secrets:      newTable(objectOf, objectID),
		configs:      newTable(objectOf, objectID),
		missing:      map[string]time.Time{},
		missingTasks: map[string]time.Time{},
		guard:        guard,
		servicesAsOf: map[string]uint64{},
		tasksAsOf:    map[string]uint64{},
		doubt: swarm.Doubt{Services: true, Tasks: true, Nodes: true,
			Networks: true, Secrets: true, Configs: true},
		changed: true,
	}
	// History ends being in a snapshot, or never was in one.
	v.tasks.keep = func(t *swarm.Task) bool { return !over(t.State) }
	return v
}

// snapshot is what is known now. It shares memory with later ones and is not to
// be written to.
func (v *view) snapshot() swarm.Snapshot {
	s := swarm.Snapshot{
		Services: v.services.list(), Tasks: v.tasks.list(), Nodes: v.nodes.list(),
		Networks: v.networks.list(), Secrets: v.secrets.list(), Configs: v.configs.list(),
		Doubt: v.doubt,
	}
	if len(v.missing) > 0 {
		s.Doubt.MissingServices = maps.Clone(v.missing)
	}
	return s
}

func (v *view) inDoubt() bool {
	d := v.doubt
	return d.Services || d.Tasks || d.Nodes || d.Networks || d.Secrets || d.Configs
}

func (v *view) mark(flag *bool, doubt bool) {
	if *flag != doubt {
		*flag, v.changed = doubt, true
	}
}

// fill takes over a complete list of objects that are few and whose absence is
// believed: nodes, networks, secrets, configs.
func fill[T any](v *view, t *table[T], flag *bool, raws []json.RawMessage, failed error) error {
	if failed != nil {
		v.mark(flag, true)
		return failed
	}
	seen, errs := map[string]bool{}, []error(nil)
	for _, raw := range raws {
		value, changed, err := t.put(raw, nil)
		v.changed = v.changed || changed
		if err != nil {
			errs = append(errs, err)
		} else if value != nil {
			seen[t.id(value)] = true
		}
	}
	// An object that could not be read may be any of those not seen.
	if len(errs) == 0 {
		for id := range t.rows {
			if !seen[id] && t.drop(id) {
				v.changed = true
			}
		}
	}
	v.mark(flag, len(errs) > 0)
	return errors.Join(errs...)
}

// question says when something was asked for: questions are numbered, and
// answers may come in another order.
type question struct {
	number uint64
	now    time.Time // of the answer
}

// forget is told the number of the oldest question that waits for an answer.
func (v *view) forget(oldest uint64) {
	for _, asOf := range []map[string]uint64{v.servicesAsOf, v.tasksAsOf} {
		maps.DeleteFunc(asOf, func(_ string, number uint64) bool { return number <= oldest })
	}
}

// fillServices takes over a list of services; complete says whether it is of
// all of them. It returns those that are new or changed.
func (v *view) fillServices(raws []json.RawMessage, failed error, complete bool, q question) ([]string, error) {
	if failed != nil {
		v.mark(&v.doubt.Services, true)
		return nil, failed
	}
	var (
		touched  []string
		errs     []error
		seen     = map[string]bool{}
		outdated = func(s *swarm.Service) bool { return v.servicesAsOf[s.ID] > q.number }
	)
	for _, raw := range raws {
		s, changed, err := v.services.put(raw, outdated)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if seen[s.ID] = true; outdated(s) {
			continue
		}
		v.servicesAsOf[s.ID] = q.number
		if changed {
			touched = append(touched, s.ID)
		}
	}
	v.changed = v.changed || len(touched) > 0
	if complete {
		v.missServices(seen, q)
		v.mark(&v.doubt.Services, len(errs) > 0)
	}
	return touched, errors.Join(errs...)
}

// missServices holds services that are gone without a removal event until guard
// has passed, and believes their absence then.
func (v *view) missServices(seen map[string]bool, q question) {
	for id := range v.services.rows {
		since, was := v.missing[id]
		switch {
		case seen[id] && was:
			delete(v.missing, id)
			v.changed = true
		case seen[id] || v.servicesAsOf[id] > q.number:
		case !was:
			v.missing[id] = q.now
			v.changed = true
		case q.now.Sub(since) >= v.guard:
			v.removeService(id, q.number)
		}
	}
}

// removeService believes a removal event that came when the last question had
// that number: an answer to it may still name the service.
func (v *view) removeService(id string, last uint64) {
	v.servicesAsOf[id], v.tasksAsOf[id] = last+1, last+1
	delete(v.missing, id)
	if v.services.drop(id) {
		v.changed = true
	}
	for _, task := range v.tasksOf(map[string]bool{id: true}) {
		v.removeTask(task)
	}
}

func (v *view) removeTask(id string) {
	delete(v.missingTasks, id)
	if v.tasks.drop(id) {
		v.changed = true
	}
}

// tasksOf returns the ids of the known tasks of those services; nil means all.
func (v *view) tasksOf(services map[string]bool) []string {
	var out []string
	for id, r := range v.tasks.rows {
		if services == nil || services[r.value.ServiceID] {
			out = append(out, id)
		}
	}
	return out
}

// fillTasks takes over a list of tasks: all those of the given services, or,
// with nil, all that are meant to run. It returns the services to look at more
// closely: those with a task that changed or is missing.
func (v *view) fillTasks(raws []json.RawMessage, failed error, scope map[string]bool, q question) (map[string]bool, error) {
	if failed != nil {
		v.mark(&v.doubt.Tasks, true)
		return nil, failed
	}
	touched, seen, errs := map[string]bool{}, map[string]bool{}, []error(nil)
	outdated := func(t *swarm.Task) bool { return v.tasksAsOf[t.ServiceID] > q.number }
	for _, raw := range raws {
		t, changed, err := v.tasks.put(raw, outdated)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if outdated(t) {
			continue
		}
		seen[t.ID] = true
		delete(v.missingTasks, t.ID)
		if changed {
			v.changed, touched[t.ServiceID] = true, true
		}
	}
	if len(errs) == 0 {
		v.missTasks(scope, seen, touched, outdated, q.now)
	}
	about := scope
	if scope == nil {
		about = touched // the answer says nothing about tasks that are to end
	}
	for id := range about {
		v.tasksAsOf[id] = max(v.tasksAsOf[id], q.number)
	}
	if scope == nil || len(errs) > 0 {
		v.mark(&v.doubt.Tasks, len(errs) > 0)
	}
	return touched, errors.Join(errs...)
}

// missTasks judges the tasks in scope that the answer lacks. One that did not
// serve is let go. One that served is asked for again by its service, and held
// until guard has passed.
func (v *view) missTasks(scope, seen, touched map[string]bool, outdated func(*swarm.Task) bool, now time.Time) {
	for _, id := range v.tasksOf(scope) {
		t := v.tasks.get(id)
		if seen[id] || outdated(t) {
			continue
		}
		touched[t.ServiceID] = true
		since, was := v.missingTasks[id]
		switch {
		case !t.Serving() && scope != nil:
			v.removeTask(id)
		case scope == nil:
		case !was:
			v.missingTasks[id] = now
		case now.Sub(since) >= v.guard:
			v.removeTask(id)
		}
	}
}

// settled returns those of the services that have the tasks they should have.
func (v *view) settled(services map[string]bool) map[string]bool {
	serving, stopping := map[string]uint64{}, map[string]bool{}
	for _, r := range v.tasks.rows {
		switch id := r.value.ServiceID; {
		case !services[id]:
		case r.value.Serving():
			serving[id]++
		case r.value.Desired != swarm.TaskRunning:
			stopping[id] = true
		}
	}
	out := map[string]bool{}
	for id := range services {
		s := v.services.get(id)
		if s == nil || s.Job {
			out[id] = true
			continue
		}
		out[id] = !updating(s) && !stopping[id] && (s.Global || serving[id] == s.Replicas)
	}
	return out
}

func updating(s *swarm.Service) bool {
	return s != nil && (s.UpdateState == "updating" || s.UpdateState == "rollback_started")
}

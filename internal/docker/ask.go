package docker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/moby/moby/client"
)

// asking is what has been asked for and not been answered. Only the watcher's
// goroutine touches it; those of the group ask, and send answers.
type asking struct {
	// last is the number of the last question, waiting are those without answer.
	last    uint64
	waiting map[uint64]bool
	// queue are wide lists to ask for, one after another; wide: one is under way.
	queue []string
	wide  bool
	// services are in one of the scoped questions about tasks.
	services map[string]bool
	scoped   int

	answers chan answer
	group   *sync.WaitGroup
}

type answer struct {
	number uint64
	raws   []json.RawMessage
	err    error
	took   time.Duration
	take   func(answer)
}

func (a answer) question() question { return question{a.number, time.Now()} }

// everythingDone ends the lists of a look at everything in the queue.
const everythingDone = ""

// reset forgets all but the numbers.
func (a *asking) reset() {
	*a = asking{
		last: a.last, waiting: map[uint64]bool{}, services: map[string]bool{},
		answers: make(chan answer), group: new(sync.WaitGroup),
	}
}

func (a *asking) idle() bool { return len(a.queue) == 0 && len(a.waiting) == 0 }

// oldest is the least number that an answer can still have.
func (a *asking) oldest() uint64 {
	oldest := a.last + 1
	for n := range a.waiting {
		oldest = min(oldest, n)
	}
	return oldest
}

// ask asks for a list beside the loop, which calls take with the answer. A
// limit of 0 leaves the deadline to the source.
func (w *Watcher) ask(ctx context.Context, limit time.Duration, path string, filters client.Filters, take func(answer)) {
	a := &w.asking
	a.last++
	number, answers := a.last, a.answers
	a.waiting[number] = true
	a.group.Go(func() {
		asked, cancel := ctx, context.CancelFunc(func() {})
		if limit > 0 {
			asked, cancel = context.WithTimeout(ctx, limit)
		}
		defer cancel()
		began := time.Now()
		raws, err := w.from.list(asked, path, filters)
		select {
		case answers <- answer{number, raws, err, time.Since(began), take}:
		case <-ctx.Done():
		}
	})
}

// take takes an answer over.
func (w *Watcher) take(a answer) {
	delete(w.asking.waiting, a.number)
	a.take(a)
	w.view.forget(w.asking.oldest())
	w.hurry()
	w.send(false)
}

// queueEverything asks in the order in which objects name each other.
func (w *Watcher) queueEverything() {
	w.fullAt = time.Now().Add(w.o.Full)
	if !slices.Contains(w.asking.queue, everythingDone) {
		w.asking.queue = append(w.asking.queue, "secrets", "networks", "nodes", "services", "tasks", "configs", everythingDone)
	}
}

// queueTasks asks for all tasks, unless that is about to happen.
func (w *Watcher) queueTasks() {
	w.tasks.at = time.Now()
	if !slices.Contains(w.asking.queue, "tasks") {
		w.asking.queue = append(w.asking.queue, "tasks")
	}
}

// queueFirst is for lists that an event has named.
func (w *Watcher) queueFirst(list string) {
	queue := slices.DeleteFunc(w.asking.queue, func(q string) bool { return q == list })
	w.asking.queue = slices.Insert(queue, 0, list)
}

// askNext asks for the first list in the queue if no other is under way.
func (w *Watcher) askNext(ctx context.Context) {
	a := &w.asking
	for !a.wide && len(a.queue) > 0 {
		list := a.queue[0]
		a.queue = a.queue[1:]
		if list == everythingDone {
			w.endEverything()
			continue
		}
		a.wide = true
		w.ask(ctx, 0, list, wideFilters(list), func(got answer) {
			a.wide = false
			w.report(list, w.fill(list, got))
		})
	}
}

func (w *Watcher) endEverything() {
	w.begun = true
	w.fullAt = time.Now().Add(w.o.Full)
	w.hurry()
	w.send(true)
}

func wideFilters(list string) client.Filters {
	switch list {
	case "networks":
		return swarmScope()
	case "configs":
		return configFilter(false)
	case "tasks":
		return make(client.Filters).Add("desired-state", "running")
	}
	return nil
}

// fill takes over a wide list.
func (w *Watcher) fill(list string, a answer) error {
	v := w.view
	switch list {
	case "nodes":
		return fill(v, v.nodes, &v.doubt.Nodes, a.raws, a.err)
	case "networks":
		return fill(v, v.networks, &v.doubt.Networks, a.raws, a.err)
	case "secrets":
		return fill(v, v.secrets, &v.doubt.Secrets, a.raws, a.err)
	case "configs":
		return fill(v, v.configs, &v.doubt.Configs, a.raws, a.err)
	case "services":
		touched, err := v.fillServices(a.raws, a.err, true, a.question())
		w.activateAll(touched)
		return err
	default:
		return w.fillAllTasks(a)
	}
}

func (w *Watcher) fillAllTasks(a answer) error {
	began := time.Now()
	touched, err := w.view.fillTasks(a.raws, a.err, nil, a.question())
	w.activateAll(slices.Sorted(maps.Keys(touched)))
	w.tasks.at = time.Now()
	if a.err == nil {
		w.tasks.cost = min(a.took+time.Since(began), w.o.Full/share)
	}
	return err
}

// askDirty follows the hints that have been gathered.
func (w *Watcher) askDirty(ctx context.Context) {
	if w.asking.scoped >= scopedMax {
		w.dirty.at = time.Now().Add(gather)
		return
	}
	w.dirty.at = time.Time{}
	for list := range w.dirty.lists {
		w.queueFirst(list)
	}
	clear(w.dirty.lists)
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(w.dirty.services)), scopeMax) {
		w.askServices(ctx, ids)
	}
	clear(w.dirty.services)
}

func (w *Watcher) askServices(ctx context.Context, ids []string) {
	w.asking.scoped++
	w.ask(ctx, scopedWait, "services", make(client.Filters).Add("id", ids...), func(a answer) {
		w.asking.scoped--
		_, err := w.view.fillServices(a.raws, a.err, false, a.question())
		w.report("services", err)
		if a.err == nil {
			return
		}
		for _, id := range ids {
			w.dirty.services[id] = true
		}
		if w.dirty.at.IsZero() {
			w.dirty.at = time.Now().Add(askAgain)
		}
	})
}

// poll asks for the tasks of services that are changing, those first that have
// waited longest. Services whose last question is not answered yet wait; the
// others do not wait for them.
func (w *Watcher) poll(ctx context.Context, now time.Time) {
	w.pollAt = now.Add(w.o.Poll)
	var due []string
	for id, a := range w.active {
		switch at := a.polled.Add(w.pace(a, now)); {
		case w.asking.services[id]:
		case !now.Before(at):
			due = append(due, id)
		case at.Before(w.pollAt):
			w.pollAt = at
		}
	}
	slices.SortFunc(due, func(a, b string) int {
		return cmp.Or(w.active[a].polled.Compare(w.active[b].polled), cmp.Compare(a, b))
	})
	for ids := range slices.Chunk(due, scopeMax) {
		if w.asking.scoped >= scopedMax {
			w.pollAt = now.Add(w.o.Poll)
			return
		}
		for _, id := range ids {
			a := w.active[id]
			a.polled = now
			w.active[id] = a
		}
		w.askTasks(ctx, ids)
	}
}

// pace is the time between two looks at a service.
func (w *Watcher) pace(a activity, now time.Time) time.Duration {
	if now.Sub(a.since) > w.o.Settle {
		return w.o.Slow
	}
	return w.o.Poll
}

func (w *Watcher) askTasks(ctx context.Context, ids []string) {
	w.asking.scoped++
	for _, id := range ids {
		w.asking.services[id] = true
	}
	w.ask(ctx, scopedWait, "tasks", make(client.Filters).Add("service", ids...), func(a answer) {
		w.asking.scoped--
		for _, id := range ids {
			delete(w.asking.services, id)
		}
		if errors.Is(a.err, fs.ErrNotExist) {
			w.askApart(ctx, ids)
			return
		}
		w.fillScoped(ids, a)
	})
}

// askApart is for services of which the Engine does not know one: then it
// answers "not found" for all. The one that is not known is no failure; its
// removal event is on its way, or was here.
func (w *Watcher) askApart(ctx context.Context, ids []string) {
	if len(ids) == 1 {
		delete(w.active, ids[0])
		return
	}
	ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { _, ok := w.active[id]; return !ok })
	if half := len(ids) / 2; half > 0 {
		w.askTasks(ctx, ids[:half])
		ids = ids[half:]
	}
	if len(ids) > 0 {
		w.askTasks(ctx, ids)
	}
}

func (w *Watcher) fillScoped(ids []string, a answer) {
	scope := map[string]bool{}
	for _, id := range ids {
		scope[id] = true
	}
	q := a.question()
	touched, err := w.view.fillTasks(a.raws, a.err, scope, q)
	w.report("tasks", err)
	settled := w.view.settled(scope)
	for _, id := range ids {
		w.pursue(id, touched[id], settled[id] && err == nil, q.now)
	}
}

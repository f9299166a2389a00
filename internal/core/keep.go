package core

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"interlock/bundle"
	"interlock/internal/compile"
	"interlock/internal/policy"
	"interlock/internal/store"
	"interlock/routing"
)

// shed is what a stored state is without, because it would not have fitted. A
// core that starts from it rebuilds it from labels; this one still has it.
type shed struct {
	// good are the services, by id and sorted, whose last known good labels are
	// not stored.
	good   []string
	claims int
}

// persist stores the state before the generation that was made with it.
func persist(ctx context.Context, s Store, slug string, m memory, b bundle.Signed) (shed, error) {
	lost, err := saveState(ctx, s, slug, m)
	if err != nil {
		return lost, err
	}
	if err := s.SaveGeneration(ctx, slug, b, m.Confirmed); err != nil {
		return lost, fmt.Errorf("save generation: %w", err)
	}
	return lost, nil
}

// saveState stores the state, without what does not fit: its size must not keep
// the cluster from publishing.
func saveState(ctx context.Context, s Store, slug string, m memory) (shed, error) {
	var lost shed
	for {
		data, err := m.encode()
		if err != nil {
			return lost, err
		}
		err = s.SaveState(ctx, slug, data)
		if errors.Is(err, store.ErrTooLarge) && m.lighten(&lost) {
			continue
		}
		if err != nil {
			return lost, fmt.Errorf("save state: %w", err)
		}
		return lost, nil
	}
}

// lighten drops what is missed least: tables, then half of the last known good
// labels, the largest first, then half of the claims. It is false when there is
// nothing more to drop. What m shares with others is not changed.
func (m *memory) lighten(lost *shed) bool {
	switch {
	case slices.ContainsFunc(m.Origins, func(o origin) bool { return len(o.Table.Routes)+len(o.Table.Backends) > 0 }):
		m.Origins = slices.Clone(m.Origins)
		for i := range m.Origins {
			m.Origins[i].Table = routing.Table{}
		}
	case m.remembered() > 0:
		lost.good = merged(lost.good, m.forget())
	case len(m.Compile.Claims) > 0:
		kept := keptClaims(m.Compile.Claims)
		lost.claims += len(m.Compile.Claims) - len(kept)
		m.Compile.Claims = kept
	default:
		return false
	}
	return true
}

// remembered are the bytes of labels in the state.
func (m *memory) remembered() int {
	n := 0
	for _, size := range m.sizes() {
		n += size
	}
	return n
}

// sizes are the bytes of labels by service: good ones, and those that would
// become so.
func (m *memory) sizes() map[string]int {
	sizes := map[string]int{}
	add := func(labels map[string]compile.Labels) {
		for id, l := range labels {
			sizes[id]++
			for name, value := range l.Labels {
				sizes[id] += len(name) + len(value)
			}
		}
	}
	add(m.Compile.Good)
	for _, o := range m.Origins {
		add(o.Present)
	}
	return sizes
}

// forget drops the labels of the services with the most, at least half of all
// bytes, and returns them.
func (m *memory) forget() []string {
	sizes, enough := m.sizes(), (m.remembered()+1)/2
	largest := slices.SortedFunc(maps.Keys(sizes), func(a, b string) int {
		return cmp.Or(cmp.Compare(sizes[b], sizes[a]), cmp.Compare(a, b))
	})
	gone := map[string]bool{}
	for _, id := range largest {
		if enough <= 0 {
			break
		}
		enough -= sizes[id]
		gone[id] = true
	}
	dropped := func(id string, _ compile.Labels) bool { return gone[id] }
	m.Compile.Good = maps.Clone(m.Compile.Good)
	maps.DeleteFunc(m.Compile.Good, dropped)
	m.Origins = slices.Clone(m.Origins)
	for i := range m.Origins {
		m.Origins[i].Present = maps.Clone(m.Origins[i].Present)
		maps.DeleteFunc(m.Origins[i].Present, dropped)
	}
	return slices.Collect(maps.Keys(gone))
}

// keptClaims are half of the claims: those that are asked for before idle ones,
// and older ones before newer.
func keptClaims(claims []policy.Claim) []policy.Claim {
	byWorth := slices.SortedStableFunc(slices.Values(claims), func(a, b policy.Claim) int {
		return cmp.Or(cmp.Compare(a.Idle, b.Idle), policy.CompareAge(a.Since, b.Since), cmp.Compare(a.Host+a.Path, b.Host+b.Path))
	})
	return byWorth[:len(byWorth)/2]
}

func merged(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

package docker

import (
	"encoding/json"
	"hash/maphash"
	"maps"
	"slices"
)

// table holds the objects of one list as last seen. Objects that the Engine
// wrote in the same bytes as before are not decoded again.
type table[T any] struct {
	convert func(json.RawMessage) (*T, error)
	id      func(*T) string
	keep    func(*T) bool // nil: all
	seed    maphash.Seed
	rows    map[string]row[T]
	ids     map[uint64]string // by hash of the bytes
	sorted  []T               // nil when rows have changed
}

type row[T any] struct {
	value *T
	hash  uint64
}

func newTable[T any](convert func(json.RawMessage) (*T, error), id func(*T) string) *table[T] {
	return &table[T]{
		convert: convert, id: id, seed: maphash.MakeSeed(),
		rows: map[string]row[T]{}, ids: map[uint64]string{},
	}
}

// put takes over one object as the Engine wrote it, or drops it where keep says
// so. A value that outdated says so of changes nothing. A nil value with a nil
// error is an object that is not for us.
func (t *table[T]) put(raw json.RawMessage, outdated func(*T) bool) (value *T, changed bool, err error) {
	hash := maphash.Bytes(t.seed, raw)
	if id, ok := t.ids[hash]; ok {
		return t.rows[id].value, false, nil
	}
	value, err = t.convert(raw)
	if err != nil || value == nil {
		return nil, false, err
	}
	if outdated != nil && outdated(value) {
		return value, false, nil
	}
	id := t.id(value)
	if t.keep != nil && !t.keep(value) {
		return value, t.drop(id), nil
	}
	delete(t.ids, t.rows[id].hash)
	t.rows[id] = row[T]{value, hash}
	t.ids[hash] = id
	t.sorted = nil
	return value, true, nil
}

func (t *table[T]) get(id string) *T { return t.rows[id].value }

// drop forgets an object; it reports whether there was one.
func (t *table[T]) drop(id string) bool {
	r, ok := t.rows[id]
	if ok {
		delete(t.ids, r.hash)
		delete(t.rows, id)
		t.sorted = nil
	}
	return ok
}

// list is sorted by id, and not to be written to.
func (t *table[T]) list() []T {
	if t.sorted == nil {
		t.sorted = make([]T, 0, len(t.rows))
		for _, id := range slices.Sorted(maps.Keys(t.rows)) {
			t.sorted = append(t.sorted, *t.rows[id].value)
		}
	}
	return t.sorted
}

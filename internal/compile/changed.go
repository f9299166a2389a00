package compile

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash"
	"maps"
	"slices"

	"interlock/routing"
)

// Changed are the ids, sorted, of the services whose part differs between two
// tables: the change set. A service's part is its backends and, of each route
// they are in, all but the other services' backends. So a newcomer in a pool
// changes nobody else's part, unless it becomes the one whose options count.
func Changed(before, after routing.Table) []string {
	was, is := Parts(before), Parts(after)
	ids := map[string]bool{}
	for id, part := range was {
		ids[id] = is[id] != part
	}
	for id, part := range is {
		ids[id] = was[id] != part
	}
	maps.DeleteFunc(ids, func(_ string, differs bool) bool { return !differs })
	return slices.Sorted(maps.Keys(ids))
}

// Parts are digests of each service's part of a table, by service id.
func Parts(t routing.Table) map[string]string {
	hashes := map[string]hash.Hash{}
	add := func(service string, v any) {
		if hashes[service] == nil {
			hashes[service] = sha256.New()
		}
		// Encoding plain values to a hash can't fail.
		_ = json.NewEncoder(hashes[service]).Encode(v)
	}
	owner := make(map[string]string, len(t.Backends))
	for _, b := range t.Backends {
		owner[b.ID] = b.ServiceID
		add(b.ServiceID, b)
	}
	for _, r := range t.Routes {
		for i, id := range r.Backends {
			own := r
			own.Backends = []string{id}
			if i > 0 {
				own.Rewrite = false
			}
			add(owner[id], struct {
				Route routing.Route
				First bool
			}{own, i == 0})
		}
	}
	parts := make(map[string]string, len(hashes))
	for service, h := range hashes {
		parts[service] = fmt.Sprintf("%x", h.Sum(nil)[:16])
	}
	return parts
}

package enginetest

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// startChecked starts an application that answers its checks with status. Any
// other path, query or Host than that of a check is served as usual.
func startChecked(t *testing.T, name string, status *atomic.Int64) *origin {
	t.Helper()
	return serveOrigin(t, name, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host == "localhost" && r.Method == http.MethodGet && r.RequestURI == "/healthz/?full=1" {
			w.WriteHeader(int(status.Load()))
			return
		}
		if r.Host == "localhost" {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		w.Header().Set("Origin", name)
	}))
}

// await polls until done.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !done(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("%s did not happen in %s", what, patience)
		}
	}
}

// testHealthCheck: an endpoint whose checks have another status than wanted
// gets no requests until they have it again; one that came at run time too.
func testHealthCheck(t *testing.T, b *bench) {
	var one, two, three atomic.Int64
	one.Store(204)
	two.Store(299)
	three.Store(500)
	b.route("a.org", "/", startChecked(t, "1", &one), startChecked(t, "2", &two))
	be := &b.table.Backends[0]
	be.HealthPath, be.HealthInterval, be.HealthTimeout, be.HealthStatus = "/healthz/?full=1", 500, 2000, "204,299"
	b.apply(t)
	answers := func() (seen map[string]int) {
		seen = map[string]int{}
		for range 4 {
			got := b.get(t, "a.org", "/")
			seen[got.origin()]++
		}
		return seen
	}
	both := func() bool { seen := answers(); return seen["1"] == 2 && seen["2"] == 2 }
	await(t, "both serving", both)
	one.Store(200)
	await(t, "taking the first out", func() bool { return answers()["2"] == 4 })
	one.Store(299)
	await(t, "taking it back", both)
	b.endpoints[be.ID] = append(b.endpoints[be.ID], endpointsOf(startChecked(t, "3", &three))...)
	b.setEndpoints(t)
	await(t, "taking out one that was added", both)
	one.Store(500)
	two.Store(100 + 403)
	await(t, "taking all out", func() bool { return answers()[""] == 4 })
	if got := b.get(t, "a.org", "/"); got.status != 503 {
		t.Errorf("without an endpoint in order: %d, want 503", got.status)
	}
}

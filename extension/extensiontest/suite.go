// Package extensiontest is the conformance suite of extensions: what core relies
// on, whoever wrote the extension and whichever engines it renders for.
package extensiontest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"interlock/bundle"
	"interlock/extension"
	"interlock/routing"
)

// Run runs the suite. dial connects to one running extension each time it is
// called, with whatever identity that extension accepts.
func Run(t *testing.T, dial func(t testing.TB) *extension.Client) {
	s := suite{dial: dial}
	t.Run("describes itself", s.describe)
	t.Run("refuses other engines", s.otherEngine)
	t.Run("refuses other schemas", s.otherSchema)
	d, err := s.client(t).Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, engine := range d.Engines {
		t.Run(engine, func(t *testing.T) {
			s := suite{dial: dial, engine: engine}
			t.Run("renders tables", s.renders)
			t.Run("is deterministic", s.deterministic)
			t.Run("refuses bad tables", s.refuses)
			t.Run("renders a big table", s.big)
			t.Run("renders several clusters at once", s.concurrent)
			t.Run("survives callers that leave", s.abandoned)
		})
	}
}

type suite struct {
	dial   func(t testing.TB) *extension.Client
	engine string
}

// client is a connection of its own that ends with the test.
func (s suite) client(t testing.TB) *extension.Client {
	t.Helper()
	c := s.dial(t)
	t.Cleanup(func() { c.Close() })
	return c
}

func (s suite) describe(t *testing.T) {
	c := s.client(t)
	d, err := c.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d.Name == "" || d.Version == "" || len(d.Engines) == 0 {
		t.Errorf("name, version or engines are missing: %+v", d)
	}
	if d.TableSchema < extension.TableSchema {
		t.Errorf("it understands table schema %d; core sends %d", d.TableSchema, extension.TableSchema)
	}
	again, err := c.Describe(t.Context())
	if err != nil || again.Name != d.Name || !slices.Equal(again.Engines, d.Engines) {
		t.Errorf("a second description differs: %+v, %v", again, err)
	}
}

// otherEngine: not being able to render for an engine says nothing about the
// table, so it must not be a refusal of it.
func (s suite) otherEngine(t *testing.T) {
	for _, engine := range []string{"", "no-such-engine", "../haproxy", "haproxy\n"} {
		_, err := s.client(t).Render(t.Context(), engine, Small("engine"))
		if err == nil || isRefusal(err) {
			t.Errorf("engine %q: %v", engine, err)
		}
	}
}

func (s suite) otherSchema(t *testing.T) {
	c := s.client(t)
	d, err := c.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	table := encode(t, Small("schema"))
	for _, schema := range []uint32{0, d.TableSchema + 1} {
		if _, err := c.RenderEncoded(t.Context(), d.Engines[0], schema, table); err == nil || isRefusal(err) {
			t.Errorf("schema %d: %v", schema, err)
		}
	}
}

func (s suite) renders(t *testing.T) {
	c := s.client(t)
	for name, table := range map[string]routing.Table{
		"nothing": Empty("c1"), "small": Small("c2"), "features": Features("c3"), "default cluster": Small(""),
	} {
		b, err := c.Render(t.Context(), s.engine, table)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, fault := range faults(table, b) {
			t.Errorf("%s: %s", name, fault)
		}
	}
}

// faults compares a bundle with the contract.
func faults(t routing.Table, b bundle.Bundle) []string {
	var out []string
	fault := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if len(b.Files) == 0 {
		fault("no files")
	}
	for _, port := range []int{t.Base.HTTPPort, t.Base.HealthPort} {
		if !slices.Contains(b.Ports, port) {
			fault("port %d is not named for the test-bind", port)
		}
	}
	used, known := map[string]bool{}, map[string]routing.Backend{}
	for _, r := range t.Routes {
		for _, id := range r.Backends {
			used[id] = true
		}
	}
	for _, be := range t.Backends {
		known[be.ID] = be
	}
	for _, be := range b.Backends {
		if _, ok := known[be.ID]; !ok {
			fault("backend %q is not in the table", be.ID)
		}
		if used[be.ID] && (len(be.Sections) == 0 || be.DNS == "" || be.Port != known[be.ID].Port || be.Network != known[be.ID].Network) {
			fault("backend %q: no section, or not the table's port and network: %+v", be.ID, be)
		}
		delete(used, be.ID)
	}
	for id := range used {
		fault("backend %q is routed to and not in the bundle", id)
	}
	return out
}

func (s suite) deterministic(t *testing.T) {
	for _, table := range []routing.Table{Features("same"), Big("same", 500)} {
		data := encode(t, table)
		var first []byte
		for range 3 {
			got, err := s.client(t).RenderEncoded(t.Context(), s.engine, extension.TableSchema, data)
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = got
			}
			if !bytes.Equal(first, got) {
				t.Fatalf("equal tables of %d routes gave different bytes", len(table.Routes))
			}
		}
		b, err := bundle.Decode(first)
		if err != nil {
			t.Fatal(err)
		}
		if canonical, err := bundle.Encode(b); err != nil || !bytes.Equal(canonical, first) {
			t.Errorf("the answer is not in the canonical encoding (%v)", err)
		}
	}
}

func (s suite) refuses(t *testing.T) {
	c := s.client(t)
	for name, data := range badTables(t) {
		_, err := c.RenderEncoded(t.Context(), s.engine, extension.TableSchema, data)
		if !isRefusal(err) {
			t.Errorf("%s: want a refusal in words, got %v", name, err)
		}
	}
	if _, err := c.Render(t.Context(), s.engine, Small("after")); err != nil {
		t.Errorf("a good table after the bad ones: %v", err)
	}
}

// bigRoutes is more than a cluster may have by default, by five times.
const bigRoutes = 10_000

func (s suite) big(t *testing.T) {
	table := Big("big", bigRoutes)
	b, err := s.client(t).Render(t.Context(), s.engine, table)
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Backends) != bigRoutes {
		t.Errorf("%d backends of %d", len(b.Backends), bigRoutes)
	}
}

// concurrent: clusters get their own answers, whoever else asks.
func (s suite) concurrent(t *testing.T) {
	c := s.client(t)
	var wg sync.WaitGroup
	for i := range 8 {
		table := Big(fmt.Sprintf("cluster-%d", i), 10+100*i)
		alone, err := c.Render(t.Context(), s.engine, table)
		if err != nil {
			t.Fatal(err)
		}
		want := encoded(t, alone)
		for range 3 {
			wg.Go(func() {
				b, err := c.Render(t.Context(), s.engine, table)
				if err != nil {
					t.Errorf("%s: %v", table.Cluster, err)
				} else if !bytes.Equal(encoded(t, b), want) {
					t.Errorf("%s: another answer than alone", table.Cluster)
				}
			})
		}
	}
	wg.Wait()
}

// abandoned: callers whose deadline passes get an error that is no refusal, and
// leave nothing behind that keeps others waiting.
func (s suite) abandoned(t *testing.T) {
	c := s.client(t)
	table := Big("abandoned", bigRoutes)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			if _, err := c.Render(ctx, s.engine, table); err == nil || isRefusal(err) {
				t.Errorf("a render with a deadline of 1 ms: %v", err)
			}
		})
	}
	wg.Wait()
	if _, err := c.Render(t.Context(), s.engine, Small("after")); err != nil {
		t.Errorf("after them: %v", err)
	}
}

func isRefusal(err error) bool {
	var refusal *extension.Refusal
	return errors.As(err, &refusal) && strings.TrimSpace(refusal.Words) != ""
}

func encode(t testing.TB, table routing.Table) []byte {
	t.Helper()
	data, err := json.Marshal(table)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func encoded(t testing.TB, b bundle.Bundle) []byte {
	t.Helper()
	data, err := bundle.Encode(b)
	if err != nil {
		t.Error(err)
	}
	return data
}

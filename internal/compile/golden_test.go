package compile_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"interlock/internal/compile"
	"interlock/internal/config"
	"interlock/internal/label"
	"interlock/internal/policy"
	"interlock/internal/swarm"
	"interlock/routing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestStories runs each story of testdata: files named "<n> swarm" are facts,
// those named "<n> out" what all clusters compile to, with the state of the
// step before.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { story(t, file) })
	}
}

func story(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got := &txtar.Archive{Comment: archive.Comment}
	w := world{states: map[string]compile.State{}}
	for _, f := range archive.Files {
		step, isFacts := strings.CutSuffix(f.Name, " swarm")
		if !isFacts {
			continue
		}
		facts, err := parseFacts(string(f.Data))
		if err != nil {
			t.Fatalf("%s: %s: %v", file, f.Name, err)
		}
		got.Files = append(got.Files, f, txtar.File{Name: step + " out", Data: []byte(w.step(t, facts))})
	}
	want := txtar.Format(archive)
	have := txtar.Format(got)
	if *update && !bytes.Equal(want, have) {
		if err := os.WriteFile(file, have, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(want), string(have)); diff != "" {
		t.Errorf("differs; run with -update and review:\n%s", diff)
	}
}

// world is what lasts from step to step.
type world struct {
	clusters []config.Cluster
	homes    policy.Homes
	states   map[string]compile.State
}

func (w *world) step(t *testing.T, f facts) string {
	if len(f.clusters) > 0 {
		w.clusters = f.clusters
	}
	admitted := policy.Admit(policy.Input{Snapshot: f.snapshot, Clusters: w.clusters, Homes: w.homes})
	w.homes = admitted.Homes
	var b strings.Builder
	writeProblems(&b, "admission", admitted.Problems)
	for _, c := range w.clusters {
		if c.Unusable != "" {
			continue
		}
		in := compile.NewInput(c, f.snapshot, admitted.Admitted[c.Name], admitted.Holding[c.Name])
		in.Elapsed, in.Hold, in.State = f.elapsed, f.hold, quarantined(w.states[c.Name], f)
		out := compile.Compile(in)
		if err := out.Table.Validate(); err != nil {
			t.Errorf("cluster %q: %v", c.Name, err)
		}
		w.states[c.Name] = out.State
		if f.confirm {
			w.states[c.Name] = compile.Confirm(out.State, out.Present)
		}
		fmt.Fprintf(&b, "cluster %q\n", c.Name)
		writeCluster(&b, out)
		writeState(&b, w.states[c.Name])
	}
	for _, owner := range slices.Sorted(maps.Keys(w.homes)) {
		fmt.Fprintf(&b, "home %s %s\n", owner, w.homes[owner])
	}
	return b.String()
}

func quarantined(s compile.State, f facts) compile.State {
	if len(f.quarantine) == 0 {
		return s
	}
	s.Quarantine = maps.Clone(s.Quarantine)
	if s.Quarantine == nil {
		s.Quarantine = map[string]compile.Quarantine{}
	}
	for _, service := range f.snapshot.Services {
		if words, ok := f.quarantine[service.ID]; ok {
			s.Quarantine[service.ID] = compile.Quarantine{Digest: label.Digest(service.Labels), Message: words}
		}
	}
	return s
}

func writeCluster(b *strings.Builder, out compile.Output) {
	backends := map[string]routing.Backend{}
	for _, be := range out.Table.Backends {
		backends[be.ID] = be
	}
	for _, r := range out.Table.Routes {
		rewrite := ""
		if r.Rewrite {
			rewrite = " rewrite"
		}
		fmt.Fprintf(b, "  %s%s%s\n", r.Host, r.Path, rewrite)
		for _, id := range r.Backends {
			be := backends[id]
			fmt.Fprintf(b, "    %s:%d over %s %s %s", be.Service, be.Port, be.Network, be.Mode, be.Algorithm)
			if be.MaxFails > 0 {
				fmt.Fprintf(b, " fails %d in %d ms", be.MaxFails, be.FailTimeout)
			}
			b.WriteString(rareOptions(be))
			for _, e := range out.Endpoints[id] {
				fmt.Fprintf(b, " [%s:%d %s]", e.Address, e.Port, e.Task)
			}
			b.WriteString("\n")
		}
	}
	writeProblems(b, "problem", out.Problems)
	for _, l := range out.Lost {
		fmt.Fprintf(b, "  lost %s%s by %s: %s\n", l.Host, l.Path, l.Problem.Service, l.Problem.Code)
	}
	for _, id := range slices.Sorted(maps.Keys(out.Present)) {
		fmt.Fprintf(b, "  present %s\n", id)
	}
}

// rareOptions are those of a backend that most have not.
func rareOptions(be routing.Backend) string {
	all := map[string]any{}
	data, err := json.Marshal(be)
	if err == nil {
		err = json.Unmarshal(data, &all)
	}
	for _, usual := range []string{"id", "service", "service_id", "stack", "port", "network", "mode", "algorithm", "max_fails", "fail_timeout_ms"} {
		delete(all, usual)
	}
	if len(all) == 0 && err == nil {
		return ""
	}
	data, err = json.Marshal(all)
	return fmt.Sprintf(" %s%s", data, strings.TrimPrefix(fmt.Sprint(err), "<nil>"))
}

func writeProblems(b *strings.Builder, title string, ps []routing.Problem) {
	for _, p := range ps {
		fmt.Fprintf(b, "  %s %s %s(%s) at %s: %s\n    hint: %s\n", title, p.Service, p.Code, p.Severity, p.Label, p.Message, p.Hint)
	}
}

func writeState(b *strings.Builder, s compile.State) {
	for _, c := range s.Claims {
		fmt.Fprintf(b, "  claim %s%s of %s by %s since %s", c.Host, c.Path, c.Owner, c.Service, c.Since.Format(time.RFC3339))
		if c.Idle > 0 {
			fmt.Fprintf(b, " idle %s", c.Idle)
		}
		b.WriteString("\n")
	}
	for _, id := range slices.Sorted(maps.Keys(s.Good)) {
		fmt.Fprintf(b, "  good %s %s\n", id, wordsOf(s.Good[id].Labels))
	}
	for _, id := range slices.Sorted(maps.Keys(s.Quarantine)) {
		fmt.Fprintf(b, "  quarantine %s %s\n", id, s.Quarantine[id].Message)
	}
	for _, id := range slices.Sorted(maps.Keys(s.Seen)) {
		if s.Seen[id].Gone {
			fmt.Fprintf(b, "  missing %s for %s\n", id, s.Seen[id].Missing)
		}
	}
}

// wordsOf are routing labels in short form.
func wordsOf(labels map[string]string) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if short, ok := strings.CutPrefix(name, label.Prefix); ok {
			out = append(out, short+"="+labels[name])
		} else if name == swarm.CollectionLabel {
			out = append(out, labels[name])
		}
	}
	return strings.Join(out, " ")
}

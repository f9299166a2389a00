package rollout

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"interlock/bundle"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata")

// TestScripts runs each story: a line with "> " is an event, the lines after it
// are the actions that it must lead to.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { runScript(t, file) })
	}
}

func runScript(t *testing.T, file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	s := &script{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "#") || line == "" {
			fmt.Fprintln(&out, line)
		}
		if cmd, ok := strings.CutPrefix(line, "> "); ok {
			fmt.Fprintln(&out, line)
			for _, a := range s.run(t, strings.Fields(cmd)) {
				fmt.Fprintln(&out, a)
			}
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(string(data), out.String()); d != "" {
		t.Error(d)
	}
}

// script is a machine and an oracle: the services that the check refuses.
type script struct {
	m      *Machine
	now    time.Time
	guilty []string
	asked  Judge
	names  map[uint64]Candidate
}

func (s *script) run(t *testing.T, f []string) []string {
	arg := args(f[1:])
	switch f[0] {
	case "new":
		s.names = map[uint64]Candidate{}
		s.m = New(Config{Parallelism: num(arg["parallelism"]), Budget: num(arg["budget"])}, Restored{
			Epoch: uint64(num(arg["epoch"])), Confirmed: generation(arg["confirmed"]), Later: generations(arg["later"]),
		})
		return nil
	case "candidate":
		c := Candidate{ID: uint64(len(s.names) + 1), Key: f[1], Base: arg["base"], Changes: list(arg["changes"])}
		s.names[c.ID] = c
		return s.step(c)
	case "connect":
		return s.step(Connected{Agent{ID: f[1], Name: f[1], Confirmed: position(arg["confirmed"])}})
	case "gone":
		return s.step(Gone{f[1]})
	case "draining":
		return s.step(Draining{f[1]})
	case "verdict":
		return s.step(Verdict{ID: s.asked.ID, Phase: Phase(f[1]), Words: words(f[1], "words"), Key: arg["key"]})
	case "published":
		return s.step(Published{Position: position(f[1])})
	case "publish-failed":
		return s.step(PublishFailed{Position: position(f[1]), Words: "no quorum"})
	case "publish-taken":
		return s.step(PublishFailed{Position: position(f[1]), Words: "taken", Taken: true})
	case "report":
		return s.step(Report{Agent: f[1], Position: position(f[2]), Phase: Phase(f[3]), Words: words(f[3], f[1])})
	case "wait":
		d, err := time.ParseDuration(f[1])
		if err != nil {
			t.Fatal(err)
		}
		s.now = s.now.Add(d)
		return s.step(Tick{})
	case "judge-with-guilty":
		s.guilty = f[1:]
		return s.judgeAll()
	case "view":
		return []string{view(s.m.View()), "next: " + s.next()}
	}
	t.Fatalf("unknown command %q", f[0])
	return nil
}

func words(phase, w string) string {
	if phase == "refused" {
		return w + " refused"
	}
	return ""
}

func (s *script) next() string {
	if n := s.m.Next(); !n.IsZero() {
		return n.Sub(s.now).String()
	}
	return "never"
}

func (s *script) step(ev Event) []string {
	var lines []string
	for _, a := range s.m.Step(s.now, ev) {
		if j, ok := a.(Judge); ok {
			s.asked = j
		}
		lines = append(lines, describe(a))
	}
	return lines
}

// judgeAll answers judgements until the machine asks for something else. A set
// is refused when it lets in a guilty service, or all of a pair "a+b".
func (s *script) judgeAll() []string {
	var lines []string
	for n := 1; ; n++ {
		v := Verdict{ID: s.asked.ID, Phase: Accepted, Key: "held:" + strings.Join(s.asked.Variant.Hold, ",")}
		if w := s.oracle(); w != "" {
			v.Phase, v.Words = Refused, w
		}
		id := s.asked.ID
		got := s.step(v)
		lines = append(lines, got...)
		if s.asked.ID == id {
			return append(lines, fmt.Sprintf("(%d judgements)", n))
		}
	}
}

func (s *script) oracle() string {
	if s.asked.Variant.Kind != Partial {
		return ""
	}
	in := without(s.names[s.asked.Candidate].Changes, s.asked.Variant.Hold)
	for _, g := range s.guilty {
		if !slices.ContainsFunc(strings.Split(g, "+"), func(p string) bool { return !slices.Contains(in, p) }) {
			return "line of " + g
		}
	}
	return ""
}

func describe(a Action) string {
	switch a := a.(type) {
	case Judge:
		return fmt.Sprintf("  judge %s on %s: %s", a.ID, a.Agent, variant(a.Variant))
	case Publish:
		return fmt.Sprintf("  publish %s: %s", pos(a.Position), variant(a.Variant))
	case Offer:
		return fmt.Sprintf("  offer %s to %s", pos(a.Position), a.Agent)
	case Confirm:
		return fmt.Sprintf("  confirm %s to %s", pos(a.Position), a.Agent)
	case Withdraw:
		return fmt.Sprintf("  withdraw %s from %s: %s", pos(a.Position), a.Agent, a.Reason)
	case Adopt:
		return fmt.Sprintf("  adopt %s %s", pos(a.Generation.Position), a.Generation.Key)
	case Quarantine:
		return fmt.Sprintf("  quarantine %v", a.Services)
	case Freeze:
		return "  freeze: " + a.Reason
	}
	return "  " + strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%T", a), "rollout."), "{}"))
}

func variant(v Variant) string {
	if v.Kind != Partial {
		return string(v.Kind)
	}
	if len(v.Hold) == 0 {
		return "whole"
	}
	return "whole without " + strings.Join(v.Hold, ",")
}

func view(v View) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %s confirmed %s %s", v.State, pos(v.Confirmed.Position), v.Confirmed.Key)
	if v.Frozen {
		fmt.Fprintf(&b, " frozen: %s", v.Reason)
	}
	for _, a := range v.Agents {
		fmt.Fprintf(&b, "\n  %s %s synced=%t", a.Agent.Name, pos(a.Agent.Confirmed), a.Synced)
	}
	return b.String()
}

func pos(p bundle.Position) string { return fmt.Sprintf("%d/%d", p.Epoch, p.Generation) }

func position(s string) bundle.Position {
	e, g, _ := strings.Cut(s, "/")
	return bundle.Position{Epoch: uint64(num(e)), Generation: uint64(num(g))}
}

func generation(s string) Generation {
	p, k, _ := strings.Cut(s, ":")
	return Generation{Position: position(p), Key: k}
}

func generations(s string) []Generation {
	var gs []Generation
	for _, g := range list(s) {
		gs = append(gs, generation(g))
	}
	return gs
}

func list(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' })
}

func num(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

func args(fields []string) map[string]string {
	m := map[string]string{}
	for _, f := range fields {
		if k, v, ok := strings.Cut(f, "="); ok {
			m[k] = v
		}
	}
	return m
}

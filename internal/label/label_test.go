package label_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"interlock/internal/label"
	"interlock/internal/problems"
	"interlock/routing"
)

var update = flag.Bool("update", false, "rewrite golden files and docs/labels.md")

// TestValues checks testdata/values.txt against what each line says must
// happen, and all that is said against testdata/values.golden.
func TestValues(t *testing.T) {
	var out strings.Builder
	for i, line := range lines(t, "testdata/values.txt") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		want, labels := parseLine(t, line)
		spec, found := label.Parse(labels)
		if got := outcome(spec, found); got != want {
			t.Errorf("values.txt:%d: %s, want %s: %.200s\n%v", i+1, got, want, line, found)
		}
		writeCase(&out, line, spec, found)
	}
	golden(t, "testdata/values.golden", out.String())
}

func outcome(s label.Spec, found []routing.Problem) string {
	switch {
	case !s.Registers:
		return "foreign"
	case s.Bad:
		return "reject"
	case len(found) > 0:
		return "warn"
	}
	return "accept"
}

func writeCase(out *strings.Builder, line string, s label.Spec, found []routing.Problem) {
	fmt.Fprintf(out, "%.300s\n", line)
	if s.Registers && !s.Bad {
		fmt.Fprintf(out, "    hosts=%v port=%d network=%q root=%s rewrite=%t cluster=%q/%t default=%t mode=%s algorithm=%s fails=%d/%s ws=%v\n",
			s.Hosts, s.Port, s.Network, s.ContextRoot, s.Rewrite, s.Cluster, s.ClusterSet, s.DefaultBackend, s.Mode, s.Algorithm, s.MaxFails, s.FailTimeout, s.WebsocketEndpoints)
		if o := options(s); o != "" {
			fmt.Fprintf(out, "   %s\n", o)
		}
	}
	for _, p := range found {
		fmt.Fprintf(out, "    %s %s [%s] %s -> %s\n", p.Severity, p.Code, p.Label, p.Message, p.Hint)
	}
}

// options are those of a service that are rarely set.
func options(s label.Spec) string {
	var out strings.Builder
	for _, o := range []struct {
		name  string
		value any
		set   bool
	}{
		{"connect", s.ConnectTimeout, s.ConnectTimeout != 0},
		{"response", s.ResponseTimeout, s.ResponseTimeout != 0},
		{"idle", s.IdleTimeout, s.IdleTimeout != 0},
		{"connections", s.MaxConnections, s.MaxConnections != 0},
		{"health", fmt.Sprintf("%s[%s]", s.HealthPath, s.HealthStatus), s.HealthPath+s.HealthStatus != ""},
		{"sticky", s.StickyCookie, s.StickyCookie != ""},
		{"allow", s.Allow, s.Restricts},
		{"request", s.RequestHeaders, s.RequestHeaders != nil},
		{"response", s.ResponseHeaders, s.ResponseHeaders != nil},
		{"protocol", s.Protocol, s.Protocol != ""},
		{"every", s.HealthInterval, s.HealthInterval != 0},
		{"within", s.HealthTimeout, s.HealthTimeout != 0},
	} {
		if o.set {
			fmt.Fprintf(&out, " %s=%v", o.name, o.value)
		}
	}
	return out.String()
}

func lines(t *testing.T, name string) []string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []string
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		out = append(out, sc.Text())
	}
	return out
}

// parseLine reads "<want> <labels as JSON> [x<times>]".
func parseLine(t *testing.T, line string) (want string, labels map[string]string) {
	t.Helper()
	want, rest, _ := strings.Cut(line, " ")
	dec := json.NewDecoder(strings.NewReader(rest))
	if err := dec.Decode(&labels); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	if times, ok := strings.CutPrefix(strings.TrimSpace(rest[dec.InputOffset():]), "x"); ok {
		n, err := strconv.Atoi(times)
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range labels {
			labels[k] = strings.Repeat(v, n)
		}
	}
	return want, labels
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-update rewrites):\n%s", name, diff)
	}
}

func TestThreeHundredHosts(t *testing.T) {
	hosts := make([]string, 300)
	for i := range hosts {
		hosts[i] = fmt.Sprintf("Host%d.Example.com", i)
	}
	s, found := label.Parse(map[string]string{"com.docker.lb.hosts": strings.Join(hosts, ", ")})
	if len(s.Hosts) != 300 || len(found) != 0 || s.Hosts[299] != "host299.example.com" {
		t.Errorf("%d hosts, problems %v", len(s.Hosts), found)
	}
}

func TestBoundsAreCheckedFirst(t *testing.T) {
	many := map[string]string{}
	for i := range label.MaxLabels + 1 {
		many[fmt.Sprintf("com.docker.lb.x%d", i)] = ""
	}
	for name, labels := range map[string]map[string]string{
		"text":  {"com.docker.lb.hosts": strings.Repeat("a,", label.MaxText/2)},
		"count": many,
	} {
		s, found := label.Parse(labels)
		if !s.Bad || len(found) != 1 || found[0].Code != problems.LabelsTooLarge {
			t.Errorf("%s: bad=%t %v", name, s.Bad, found)
		}
	}
	if _, found := label.Parse(map[string]string{"com.docker.lb.hosts": "a.example.com", "note": strings.Repeat("x", 1<<20)}); len(found) != 0 {
		t.Errorf("text of other labels counted: %v", found)
	}
}

func TestMisplaced(t *testing.T) {
	container := map[string]string{"com.docker.lb.hosts": "a.example.com", "other": "x"}
	if p := label.Misplaced(container, false); len(p) != 1 || p[0].Severity != routing.Error {
		t.Errorf("alone: %v", p)
	}
	if p := label.Misplaced(container, true); len(p) != 1 || p[0].Severity != routing.Warning {
		t.Errorf("beside the service's own: %v", p)
	}
	if p := label.Misplaced(map[string]string{"other": "x"}, false); p != nil {
		t.Errorf("none: %v", p)
	}
}

func TestDigest(t *testing.T) {
	base := map[string]string{"com.docker.lb.hosts": "a", "com.docker.stack.namespace": "s"}
	with := func(k, v string) map[string]string {
		out := map[string]string{k: v}
		for k, v := range base {
			if _, ok := out[k]; !ok {
				out[k] = v
			}
		}
		return out
	}
	if label.Digest(base) != label.Digest(with("note", "x")) {
		t.Error("a label that is not about routing changed the digest")
	}
	for _, change := range []map[string]string{
		with("com.docker.lb.hosts", "b"), with("com.docker.stack.namespace", "t"),
		with("com.docker.ucp.access.label", "/dev"), with("com.docker.lb.prot", ""),
	} {
		if label.Digest(base) == label.Digest(change) {
			t.Errorf("%v: same digest", change)
		}
	}
}

var (
	hostForm = regexp.MustCompile(`^(\*\.)?([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$`)
	pathForm = regexp.MustCompile(`^(/|(/[A-Za-z0-9._~!&+,=:@%-]+)+)$`)
	nameForm = regexp.MustCompile(`^[A-Za-z0-9_.-]*$`)
	safeText = regexp.MustCompile(`^[ -~]*$`)
)

// checkSpec fails when anything in a Spec or problem is outside the grammar.
func checkSpec(t *testing.T, s label.Spec, found []routing.Problem) {
	t.Helper()
	for _, h := range s.Hosts {
		if !hostForm.MatchString(string(h)) || len(h) > 253 {
			t.Errorf("host %q", h)
		}
	}
	for _, p := range append(slices.Clone(s.WebsocketEndpoints), s.ContextRoot) {
		if !pathForm.MatchString(p) || slices.Contains(strings.Split(p, "/"), "..") {
			t.Errorf("path %q", p)
		}
	}
	if s.Port < 0 || s.Port > 65535 || s.MaxFails < 0 || s.MaxFails > 1000 || s.FailTimeout <= 0 {
		t.Errorf("number out of bounds: %+v", s)
	}
	if !nameForm.MatchString(s.Network) || !nameForm.MatchString(s.Cluster) {
		t.Errorf("name: %q %q", s.Network, s.Cluster)
	}
	if err := routing.ValidateAllow(s.Allow); err != nil || s.Restricts && !s.Bad && len(s.Allow) == 0 {
		t.Errorf("allow %q: %v", s.Allow, err)
	}
	if err := errors.Join(routing.ValidateHeaders(s.RequestHeaders), routing.ValidateHeaders(s.ResponseHeaders)); err != nil {
		t.Error(err)
	}
	if s.Bad != (s.Registers && problems.Errors(found)) {
		t.Errorf("bad=%t, problems %v", s.Bad, found)
	}
	if s.Registers && !s.Bad && len(s.Hosts) == 0 && !s.DefaultBackend {
		t.Error("accepted without a host")
	}
	for _, p := range found {
		if !safeText.MatchString(p.Message+p.Hint+p.Label) || len(p.Message) > 1000 || len(p.Hint) > 2000 {
			t.Errorf("unsafe text in %+v", p)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("com.docker.lb.hosts", "app.example.com", "com.docker.lb.context_root", "/app")
	f.Add("com.docker.lb.host", "\u202e", "traefik.http.routers.x.rule", "Host(`x`)")
	f.Add("com.docker.ucp.mesh.http", "external_route=http://x,internal_port=1", "com.docker.lb.port", "0")
	f.Fuzz(func(t *testing.T, k1, v1, k2, v2 string) {
		for _, prefix := range []string{"", "com.docker.lb."} {
			labels := map[string]string{prefix + k1: v1, prefix + k2: v2}
			s, found := label.Parse(labels)
			checkSpec(t, s, found)
			again, foundAgain := label.Parse(labels)
			if diff := cmp.Diff(found, foundAgain); diff != "" || fmt.Sprint(s) != fmt.Sprint(again) {
				t.Errorf("not deterministic: %s", diff)
			}
		}
	})
}

func FuzzHost(f *testing.F) {
	for _, seed := range []string{"app.example.com", "*.Example.com.", "bücher.de", "xn--bcher-kva.de", "_x.y", "a:1", "http://x/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, v string) {
		h, found, ok := label.ParseHost(v)
		if ok == problems.Errors(found) {
			t.Errorf("ok=%t, problems %v", ok, found)
		}
		if !ok {
			return
		}
		name := strings.TrimPrefix(string(h), "*.")
		if normal, ok := routing.NormalHost(name); !ok || normal != name {
			t.Errorf("%q: routing calls it %q (%t)", h, normal, ok)
		}
		again, _, ok := label.ParseHost(string(h))
		if !ok || again != h || !hostForm.MatchString(string(h)) {
			t.Errorf("%q -> %q -> %q (%t)", v, h, again, ok)
		}
	})
}

func FuzzPath(f *testing.F) {
	for _, seed := range []string{"/", "/app/", "/a%20b", "/%2e", "//", "/a;b", "app"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, v string) {
		p, why, _, ok := label.ParsePath(v)
		if !ok {
			if why == "" {
				t.Error("refused without a reason")
			}
			return
		}
		if reason, ok := routing.NormalPath(p); !ok {
			t.Errorf("%q: routing refuses it: %s", p, reason)
		}
		again, _, _, ok := label.ParsePath(p)
		if !ok || again != p || !pathForm.MatchString(p) {
			t.Errorf("%q -> %q -> %q (%t)", v, p, again, ok)
		}
	})
}

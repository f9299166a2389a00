package haproxy

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"interlock/routing"
)

// hostile are texts that broke a proxy's configuration somewhere (the report's
// 4.3 and 4.5) or would break this one.
var hostile = []string{
	"plain", "two words", "'", "''", `"`, `\`, `\'`, `'\''`, "a'b'c", "#", " # x", "$HOME", "${HOME}", `"${HOME}"`, "%", "%%", "%[env(HOME)]", "%[nbsrv(il_unrouted)]",
	"%{+json}o", "%ci", "100%", "-i", "-f", "--", "!x", "}", "{ TRUE }", "if TRUE", "unless", "@DIR@", "a;b", "a|b", "a&b", "`id`", "$(id)", "<script>", "{{ .Secret }}",
	" leading", "trailing ", "\u202eright", "\ufeffbom", "prod\u3002example", "\u043ed", "line\\", `x' if TRUE #`, `x' } or TRUE {`, "\t"[:0] + "é", strings.Repeat("w ", 200),
	strings.Repeat("'", 100), strings.Repeat("%", 101),
}

// unprintable are refused in every position.
var unprintable = []string{"a\nb", "a\rb", "a\x00b", "a\tb", "\x1b[2J", "\x7f", "a\u0085b", "a\u2028b", "a\u2029b", "\xff", "\xc3\x28"}

func TestUnprintableTextIsRefused(t *testing.T) {
	for _, s := range append(unprintable, "") {
		if q, err := word(s); err == nil {
			t.Errorf("word(%q) = %s", s, q)
		}
		if q, err := logText(s); err == nil {
			t.Errorf("logText(%q) = %s", s, q)
		}
	}
}

// TestQuotingAgainstTheEngine: the real engine says back exactly what was
// quoted, both as a plain word and as a log-format string.
func TestQuotingAgainstTheEngine(t *testing.T) { sayBack(t, hostile) }

func FuzzQuotingAgainstTheEngine(f *testing.F) {
	for _, s := range hostile[:8] {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if s != "" && len(s) < 1000 && printable(s) == nil {
			sayBack(t, []string{s})
		}
	})
}

func sayBack(t *testing.T, texts []string) {
	t.Helper()
	dir := t.TempDir()
	port := freePort(t)
	var cfg strings.Builder
	fmt.Fprintf(&cfg, "defaults\n  mode http\n  timeout client 10s\nfrontend f\n  bind 127.0.0.1:%d\n", port)
	for i, s := range texts {
		for path, quote := range map[string]func(string) (string, error){"string": word, "lf-string": logText} {
			q, err := quote(s)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&cfg, "  http-request return status 200 content-type text/plain %s %s if { path /%s/%d }\n", path, q, path, i)
		}
	}
	main := filepath.Join(dir, "f.cfg")
	write(t, main, cfg.String())
	if words, ok := check(t, main); !ok {
		t.Fatalf("HAProxy refuses %q: %s", texts, words)
	}
	cmd := exec.Command(binary(t), "-db", "-f", main)
	cmd.Env = append(os.Environ(), "HOME=/expanded")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	await(t, func() bool {
		res, err := http.Get("http://" + local(port) + "/")
		if err == nil {
			res.Body.Close()
		}
		return err == nil
	})
	for i, s := range texts {
		for _, path := range []string{"string", "lf-string"} {
			res, err := http.Get(fmt.Sprintf("http://%s/%s/%d", local(port), path, i))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil || string(body) != s {
				t.Errorf("%s %q came back as %q, %v", path, s, body, err)
			}
		}
	}
}

// neutral is a host and path of the same shape (labels, length) as a route's,
// with nothing of its text.
func neutral(r routing.Route) routing.Route {
	letters := func(keep string) func(rune) rune {
		return func(c rune) rune {
			if strings.ContainsRune(keep, c) {
				return c
			}
			return 'x'
		}
	}
	r.Host, r.Path = strings.Map(letters(".*"), r.Host), strings.Map(letters("/"), r.Path)
	return r
}

// FuzzNoLabelTextInTheConfiguration: whatever host, path and service a table
// names, it is refused or stands nowhere but in the map files, as one key in
// one line (I3).
func FuzzNoLabelTextInTheConfiguration(f *testing.F) {
	for _, s := range append(hostile, unprintable...) {
		f.Add(s, "/"+s, s)
		f.Add("a.example.com", "/"+s, "svc")
		f.Add(s+".example.com", "/", "svc")
	}
	f.Add("*.example.com", "/a%20b/c@d", "stack_svc")
	f.Fuzz(func(t *testing.T, host, path, service string) { confined(t, host, path, service) })
}

type failer interface{ Fatalf(string, ...any) }

func confined(t failer, host, path, service string) {
	base := routing.Base{HTTPPort: 80, HealthPort: 81, MaxConnections: 10, MaxShare: 10, ConnectTimeout: 1, ClientTimeout: 1, ServerTimeout: 1, KeepaliveTimeout: 1, GraceTimeout: 1}
	table := testTable(base, "x/")
	table.Routes[0].Host, table.Routes[0].Path, table.Routes[0].Rewrite = host, path, true
	table.Backends[0].Service = service
	b, err := Render(table)
	if err != nil {
		return
	}
	table.Routes[0] = neutral(table.Routes[0])
	same, err := Render(table)
	if err != nil {
		t.Fatalf("the neutral form of %q %q is refused: %v", host, path, err)
	}
	for i, file := range b.Files {
		if !strings.HasPrefix(file.Path, "maps/") && file.Data != same.Files[i].Data {
			t.Fatalf("%s depends on the text of %q %q", file.Path, host, path)
		}
		if strings.HasPrefix(file.Path, "maps/") && file.Data != "" && (strings.Count(file.Data, "\n") != 1 || len(strings.Fields(file.Data)) != 2 || file.Data[0] == '#') {
			t.Fatalf("%s is more than one key and one value: %q", file.Path, file.Data)
		}
	}
}

// names and paths in and around the grammar.
func hosts() *rapid.Generator[string] {
	label := rapid.StringMatching(`[a-z0-9_]([a-z0-9_-]{0,8}[a-z0-9_])?`)
	return rapid.Custom(func(t *rapid.T) string {
		name := strings.Join(rapid.SliceOfN(label, 1, 5).Draw(t, "labels"), ".")
		if rapid.IntRange(0, 3).Draw(t, "wild") == 0 {
			return "*." + name
		}
		return name
	})
}

func paths() *rapid.Generator[string] {
	segment := rapid.OneOf(rapid.StringMatching(`[a-zA-Z0-9._~!$&'()*+,;=:@%"<>^{|}\[\]-]{1,8}`), rapid.StringMatching(`(%2[0146]|[ab'"%$])*`))
	return rapid.Map(rapid.SliceOfN(segment, 0, 4), func(s []string) string { return "/" + strings.Join(s, "/") })
}

// TestConfined is the fuzz target's property over what is in or near the grammar.
func TestConfined(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		confined(t, hosts().Draw(t, "host"), paths().Draw(t, "path"), "svc")
	})
}

// tables are of routes within the grammar.
func tables(base routing.Base) *rapid.Generator[routing.Table] {
	return rapid.Custom(func(t *rapid.T) routing.Table {
		table, seen := testTable(base, "x/"), map[string]bool{}
		id := table.Routes[0].Backends
		table.Routes = nil
		for range rapid.IntRange(1, 200).Draw(t, "routes") {
			r := routing.Route{Host: hosts().Draw(t, "host"), Path: paths().Draw(t, "path"), Rewrite: rapid.Bool().Draw(t, "rewrite"), Backends: id}
			if key, err := mapKey(r.Host, r.Path); err == nil && !seen[key] {
				seen[key] = true
				table.Routes = append(table.Routes, r)
			}
		}
		return table
	})
}

// TestEngineAcceptsWhatIsRendered: tables of anything in the grammar pass the
// engine's check without a warning.
func TestEngineAcceptsWhatIsRendered(t *testing.T) {
	base := testBase(t)
	for seed := range 10 {
		table := tables(base).Example(seed)
		b, err := Render(table)
		if err != nil {
			t.Fatalf("a table within the grammar is refused: %v", err)
		}
		if words, ok := check(t, stage(t, b, nil)); !ok || strings.Contains(words, "WARNING") {
			t.Fatalf("HAProxy says %s", words)
		}
	}
}

// TestAnyTableAgreesWithResolve sends the table's own hosts and paths, and near
// ones, through the real engine.
func TestAnyTableAgreesWithResolve(t *testing.T) {
	for seed := range 3 {
		table := tables(testBase(t)).Example(100 + seed)
		serve(t, table)
		resolver := routing.NewResolver(table)
		for i, r := range table.Routes {
			host := strings.Replace(r.Host, "*", "a.b", 1)
			other := table.Routes[(i+7)%len(table.Routes)]
			for _, p := range to(host, r.Path, r.Path+"/", r.Path+"/x?q", r.Path+"x", other.Path) {
				if want, got := expected(resolver.Resolve(p.request())), observed(t, table, p); got != want {
					t.Errorf("%.200q\n  got  %.200s\n  want %.200s", p.bytes(), got, want)
				}
			}
		}
	}
}

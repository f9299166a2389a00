package haproxy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCommandRefusesASecondOne(t *testing.T) {
	for _, w := range []string{"", "a b", "a;b", "a\nb", "a\r", "<<", `a\`, "é", "'a'", "\x00"} {
		if line, err := command([]string{"show", w}); err == nil {
			t.Errorf("%q became %q", w, line)
		}
	}
	if _, err := command([]string{strings.Repeat("a", maxCommand)}); err == nil {
		t.Error("a command above 8 KB was made")
	}
}

func FuzzCommand(f *testing.F) {
	f.Add("be_a/e_1", "10.0.0.1:80")
	f.Fuzz(func(t *testing.T, a, b string) {
		line, err := command([]string{"set", a, b})
		if err == nil && (strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\n;<\x00") || len(strings.Fields(line)) != 3) {
			t.Errorf("%q", line)
		}
	})
}

func FuzzParseServers(f *testing.F) {
	f.Add("1\n# be_id be_name\n5 be_a 1 s1 127.0.0.1 0 1 1 1 2 8 2 0 6 0 0 0 - 25999 - 0 0 - - 0\n")
	f.Fuzz(func(t *testing.T, s string) { _, _ = parseServers(s) })
}

func TestParseServers(t *testing.T) {
	got, err := parseServers("1\n# be_id be_name\n" +
		"5 be_a 1 s1 127.0.0.1 0 1 1 1 2 8 2 0 6 0 0 0 - 25999 - 0 0 - - 0\n" +
		"5 be_a 2 e_1 fd00::1 2 0 1 1 0 1 0 0 6 0 0 0 - 80 - 0 0 - - 0")
	want := []server{
		{section: "be_a", name: "s1", address: "127.0.0.1:25999", maint: true, down: true},
		{section: "be_a", name: "e_1", address: "[fd00::1]:80"},
	}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(server{})); diff != "" {
		t.Error(diff)
	}
	if _, err := parseServers("Can't find backend."); err == nil {
		t.Error("an error message was read as a list")
	}
}

func TestSplitAnswers(t *testing.T) {
	for got, want := range map[string][]string{
		"New server registered.\n\n\n\n": {"New server registered.", "", ""},
		"\n\nServer deleted.\n\n":        {"", "", "Server deleted."},
		"\n\n":                           nil, // one is missing
		"a\nb\n\n\n\n":                   nil, // more than a line
		"\n\n\n\n":                       nil, // more than asked
	} {
		answers, err := split(nil, got, 3)
		if want == nil && err == nil {
			t.Errorf("%q was read as %q", got, answers)
		}
		if want != nil && cmp.Diff(want, answers) != "" {
			t.Errorf("%q was read as %q, %v", got, answers, err)
		}
	}
}

func TestJoinedKeepsBelowTheLimit(t *testing.T) {
	commands := make([][]string, 1000)
	for i := range commands {
		commands[i] = []string{"set", "server", "be_0123456789abcdef/e_10_0_0_1_8080", "state", "ready"}
	}
	line, n, err := joined(commands)
	if err != nil || len(line) > maxCommand || n < 100 || strings.Count(line, ";") != n-1 || strings.Count(line, "\n") != 1 {
		t.Errorf("%d commands in %d bytes, %v", n, len(line), err)
	}
}

package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"interlock/internal/cli"
)

// foundBy are the verbs that end with 1 when they found something wrong.
var foundBy = []string{"check", "compile", "config check", "config migrate", "healthcheck", "install", "migrate", "plan", "problems", "status"}

// TestHelp: every verb's help fits a terminal, has a description and examples,
// and says which exit codes it has besides 0 and 2.
func TestHelp(t *testing.T) {
	for _, verb := range allVerbs(newRootCommand()) {
		help, name := helpOf(t, verb), strings.TrimPrefix(verb.CommandPath(), "interlock ")
		for line := range strings.Lines(help) {
			if width := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); width > usageWidth {
				t.Errorf("%s: %d columns: %s", name, width, line)
			}
		}
		if verb.Hidden {
			continue
		}
		if verb.Long == "" || !strings.Contains(help, "\nExamples:\n  interlock ") || !strings.Contains(verb.Example, "interlock "+name) {
			t.Errorf("%s: no description or no examples:\n%s", name, help)
		}
		if says := strings.Contains(help, "It ends with 0"); !says && slices.Contains(foundBy, name) {
			t.Errorf("%s: its help says nothing of its exit codes", name)
		}
	}
}

// TestExamples: the commands in examples exist, with their flags.
func TestExamples(t *testing.T) {
	for _, verb := range allVerbs(newRootCommand()) {
		text := strings.ReplaceAll(verb.Example, "\\\n", " ")
		for _, m := range commandLine.FindAllStringSubmatch(text, -1) {
			if fault := commandFault(m[1], m[2]); fault != "" {
				t.Errorf("%s: interlock %s%s: %s", verb.Name(), m[1], m[2], fault)
			}
		}
	}
}

// allVerbs are the verbs below one, with theirs.
func allVerbs(cmd *cobra.Command) []*cobra.Command {
	var out []*cobra.Command
	for _, verb := range cmd.Commands() {
		out = append(append(out, verb), allVerbs(verb)...)
	}
	return out
}

func TestRootHelp(t *testing.T) {
	help := helpOf(t, newRootCommand())
	for line := range strings.Lines(help) {
		if utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > usageWidth {
			t.Errorf("too wide: %s", line)
		}
	}
	for _, verb := range verbs() {
		if listed := strings.Contains(help, "\n  "+verb.Name()+"  "); listed == verb.Hidden {
			t.Errorf("%s: listed %t, hidden %t", verb.Name(), listed, verb.Hidden)
		}
	}
}

func helpOf(t *testing.T, cmd *cobra.Command) string {
	t.Helper()
	var out bytes.Buffer
	cmd.SetOut(&out)
	if err := cmd.Help(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestWrapped(t *testing.T) {
	long := strings.Repeat("wörter ", 20)
	lines := strings.Split(strings.TrimSuffix(cli.Wrap(long, "  ", "    ", usageWidth), "\n"), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[1], "    wörter") || utf8.RuneCountInString(lines[0]) > usageWidth {
		t.Errorf("%q", lines)
	}
}

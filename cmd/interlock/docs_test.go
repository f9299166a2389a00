package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// commandLine is a command in a document: at the start of a line of a fenced
// block, or in backquotes.
var commandLine = regexp.MustCompile("(?m)(?:^ *(?:\\$ )?|`|&& |; |\\| )(?:bin/)?interlock ([a-z][a-z-]*)([^`\n]*)")

// notYet are verbs that documents name as ones that this version lacks.
var notYet = []string{"diff", "freeze", "history", "quarantine", "resume", "rollback"}

// TestDocumentedCommands: every command in the documents exists, with its flags.
func TestDocumentedCommands(t *testing.T) {
	tried := 0
	for _, name := range documents(t) {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range commandLine.FindAllStringSubmatch(string(data), -1) {
			tried++
			if fault := commandFault(m[1], m[2]); fault != "" {
				t.Errorf("%s: interlock %s%s: %s", name, m[1], m[2], fault)
			}
		}
	}
	if tried == 0 {
		t.Error("no document has a command")
	}
}

// TestNotYet: the documents say of these that they do not exist.
func TestNotYet(t *testing.T) {
	root := newRootCommand()
	for _, verb := range notYet {
		if cmd, _, err := root.Find([]string{verb}); err == nil && cmd != root {
			t.Errorf("%s exists: take it out of notYet, and of docs/operating.md, Not in this version", verb)
		}
	}
}

func documents(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, pattern := range []string{"../../*.md", "../../docs/*.md", "../../docs/decisions/*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal("no documents match", pattern, err)
		}
		out = append(out, files...)
	}
	return out
}

// commandFault says what of a command line does not exist, "" for nothing.
func commandFault(verb, rest string) string {
	if slices.Contains(notYet, verb) {
		return ""
	}
	rest, _, _ = strings.Cut(rest, "#")
	rest, _, _ = strings.Cut(rest, ";")
	rest, _, _ = strings.Cut(rest, "|")
	words := strings.Fields(rest)
	root := newRootCommand()
	cmd, _, err := root.Find([]string{verb})
	if err != nil || cmd == root {
		return "no such verb"
	}
	if cmd.HasSubCommands() && len(words) > 0 && !strings.HasPrefix(words[0], "-") {
		parent := cmd
		if cmd, _, err = root.Find([]string{verb, words[0]}); err != nil || cmd == parent {
			return "no such verb"
		}
	}
	for _, word := range words {
		word = strings.Trim(word, "[]|(),.")
		if flag, _, _ := strings.Cut(word, "="); len(flag) > 1 && flag[0] == '-' && !hasFlag(cmd, flag) {
			return "no flag " + flag
		}
	}
	return ""
}

func hasFlag(cmd *cobra.Command, flag string) bool {
	if long, ok := strings.CutPrefix(flag, "--"); ok {
		return long == "help" || cmd.Flags().Lookup(long) != nil
	}
	return cmd.Flags().ShorthandLookup(flag[1:]) != nil
}

// Package docs_test tries what the documents say: stack files are checked, TOML
// is parsed strictly, links lead somewhere. Commands are tried by the tests of
// cmd/interlock, which have the tree of verbs.
//
// A fenced block of a stack file begins with "```yaml stack"; words such as
// problem=host-conflict say what `interlock check` must find in it.
package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"interlock/internal/check"
	"interlock/internal/config"
	"interlock/internal/problems"
	"interlock/internal/stackfile"
	"interlock/routing"
)

// exampleConfig is the policy that the documents' stack files are for.
const exampleConfig = "../deploy/shared/config.toml"

func TestStackFiles(t *testing.T) {
	policy := readConfig(t, exampleConfig)
	tried := 0
	for _, b := range blocks(t) {
		if b.kind != "yaml" || !slices.Contains(b.words, "stack") {
			continue
		}
		tried++
		var want []string
		for _, w := range b.words {
			if code, ok := strings.CutPrefix(w, "problem="); ok {
				want = append(want, code)
			}
		}
		project, found := stackfile.Parse(stackfile.Source{File: b.at, Stack: "shop", Data: []byte(b.text)}, noVariables)
		report := check.Run(project, found, policy.Clusters)
		if got := codes(report.Problems); !slices.Equal(got, want) {
			t.Errorf("%s: check finds %v, the document says %v: %+v", b.at, got, want, report.Problems)
		}
		if len(report.Routes) == 0 && len(want) == 0 {
			t.Errorf("%s: it has no route", b.at)
		}
	}
	if tried == 0 {
		t.Error("no document has a stack file")
	}
}

// TestDevExample: what README names for `interlock dev` is clean.
func TestDevExample(t *testing.T) {
	files, err := filepath.Glob("../deploy/dev-example/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatal("no stack files", err)
	}
	project, found, err := stackfile.Load(files, "", noVariables)
	if err != nil {
		t.Fatal(err)
	}
	report := check.Run(project, found, readConfig(t, "../deploy/dev-example/config.toml").Clusters)
	if len(report.Problems) > 0 || len(report.Routes) == 0 {
		t.Errorf("%d routes, problems: %+v", len(report.Routes), report.Problems)
	}
}

func TestTOML(t *testing.T) {
	for _, b := range blocks(t) {
		if b.kind != "toml" {
			continue
		}
		file := config.Parse([]byte(b.text), b.at)
		if found := config.Strict(file.Problems); problems.Errors(found) || file.Unreadable != "" {
			t.Errorf("%s: %s %+v", b.at, file.Unreadable, found)
		}
	}
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

func TestLinks(t *testing.T) {
	for _, name := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(prose(read(t, name)), -1) {
			target, section, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			file := name
			if target != "" {
				file = filepath.Join(filepath.Dir(name), target)
			}
			info, err := os.Stat(file)
			switch {
			case err != nil:
				t.Errorf("%s: link to %s: %v", name, m[1], err)
			case section != "" && (info.IsDir() || !slices.Contains(sections(read(t, file)), section)):
				t.Errorf("%s: link to %s: no such section", name, m[1])
			}
		}
	}
}

var makeTarget = regexp.MustCompile("(?m)(?:^|`)make ([a-z][a-z0-9-]*)")

// TestMakeTargets: what documents tell to make can be made.
func TestMakeTargets(t *testing.T) {
	makefile := read(t, "../Makefile")
	for _, b := range blocks(t) {
		if b.kind == "" {
			makeable(t, b.at, b.text, makefile)
		}
	}
	for _, name := range documents(t) {
		makeable(t, name, prose(read(t, name)), makefile)
	}
}

func makeable(t *testing.T, at, text, makefile string) {
	t.Helper()
	for _, m := range makeTarget.FindAllStringSubmatch(text, -1) {
		if !strings.Contains(makefile, "\n"+m[1]+":") {
			t.Errorf("%s: the Makefile has no target %s", at, m[1])
		}
	}
}

// TestLineLength: 80 columns, but for tables, code and what is generated.
func TestLineLength(t *testing.T) {
	for _, name := range written {
		for i, line := range strings.Split(prose(read(t, name)), "\n") {
			if n := len([]rune(line)); n > 80 && !strings.HasPrefix(line, "|") && !strings.Contains(line, "](") {
				t.Errorf("%s:%d: %d columns", name, i+1, n)
			}
		}
	}
}

// written are the documents that are not generated.
var written = []string{"../README.md", "dev.md", "install.md", "operating.md", "developers.md", "migrating.md", "extension.md"}

func documents(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, pattern := range []string{"../*.md", "*.md", "decisions/*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal("no documents match", pattern, err)
		}
		out = append(out, files...)
	}
	return out
}

// block is one fenced block of a document.
type block struct {
	at    string // "operating.md:12"
	kind  string
	words []string // after the kind
	text  string
}

var fence = regexp.MustCompile("(?ms)^( *)```([^\n]*)\n(.*?)^ *```$")

func blocks(t *testing.T) []block {
	t.Helper()
	var out []block
	for _, name := range documents(t) {
		text := read(t, name)
		for _, m := range fence.FindAllStringSubmatchIndex(text, -1) {
			indent, words := text[m[2]:m[3]], strings.Fields(text[m[4]:m[5]])
			kind := ""
			if len(words) > 0 {
				kind, words = words[0], words[1:]
			}
			line := strings.Count(text[:m[0]], "\n") + 1
			body := strings.ReplaceAll("\n"+text[m[6]:m[7]], "\n"+indent, "\n")
			out = append(out, block{at: name + ":" + strconv.Itoa(line), kind: kind, words: words, text: body[1:]})
		}
	}
	return out
}

// prose is a document with its fenced blocks emptied, lines kept.
func prose(text string) string {
	return fence.ReplaceAllStringFunc(text, func(s string) string { return strings.Repeat("\n", strings.Count(s, "\n")) })
}

var (
	heading = regexp.MustCompile(`(?m)^#+ +(.*)$`)
	noSlug  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// sections are the anchors of a document's headings.
func sections(text string) []string {
	var out []string
	for _, m := range heading.FindAllStringSubmatch(prose(text), -1) {
		out = append(out, strings.ReplaceAll(noSlug.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return out
}

func codes(found []routing.Problem) []string {
	var out []string
	for _, p := range found {
		out = append(out, p.Code)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func noVariables(string) (string, bool) { return "", false }

func readConfig(t *testing.T, name string) config.File {
	t.Helper()
	file := config.Parse([]byte(read(t, name)), name)
	if len(file.Problems) > 0 {
		t.Fatalf("%s: %+v", name, file.Problems)
	}
	return file
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

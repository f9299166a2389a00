package problems_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"interlock/internal/problems"
	"interlock/routing"
)

var update = flag.Bool("update", false, "rewrite docs/problems.md")

const docFile = "../../docs/problems.md"

func TestDocument(t *testing.T) {
	want := document()
	if *update {
		if err := os.WriteFile(docFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(docFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/problems.md differs from the catalogue; run with -update:\n%s", diff)
	}
}

func document() string {
	var b strings.Builder
	b.WriteString("# Problem codes\n\n" +
		"What `interlock check`, `interlock problems`, `interlock compile` and `interlock explain` report. Codes are stable.\n" +
		"An *error* means that something asked for is not served as asked; a *warning*, that it is served but likely not as meant;\n" +
		"an *info*, that there is nothing to do. This file is generated from the catalogue in `internal/problems`.\n")
	for _, e := range problems.Catalogue() {
		fmt.Fprintf(&b, "\n## %s\n\nSeverity: %s.\n%s\n\n```\n%s\n```\n\n%s\n", e.Code, e.Severity, e.Meaning, e.Example, e.Fix)
	}
	return b.String()
}

func TestEntriesAreComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range problems.Catalogue() {
		if seen[e.Code] {
			t.Errorf("%s: twice", e.Code)
		}
		seen[e.Code] = true
		if e.Meaning == "" || e.Example == "" || e.Fix == "" || e.Severity == "" {
			t.Errorf("%s: incomplete entry", e.Code)
		}
		if !regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`).MatchString(e.Code) {
			t.Errorf("%s: a code is lower-case words and dashes", e.Code)
		}
	}
	for name, code := range constants(t) {
		if !seen[code] {
			t.Errorf("constant %s = %q has no entry", name, code)
		}
		delete(seen, code)
	}
	for code := range seen {
		t.Errorf("entry %s has no constant", code)
	}
}

// TestCodesComeFromHere finds problems that are made with a literal code.
func TestCodesComeFromHere(t *testing.T) {
	literal := regexp.MustCompile(`\bCode:\s*"[a-z-]+"|problems\.New\("`)
	err := fs.WalkDir(os.DirFS("../.."), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != "." && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		data, err := os.ReadFile("../../" + path)
		if err != nil {
			return err
		}
		if m := literal.Find(data); m != nil {
			t.Errorf("%s: %s: use a constant of internal/problems", path, m)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestNewTakesSeverityFromCatalogue(t *testing.T) {
	if p := problems.New(problems.LabelUnsupported, "m", "h"); p.Severity != routing.Warning {
		t.Errorf("severity %s", p.Severity)
	}
	if p := problems.New("unheard-of", "m", "h"); p.Severity != routing.Error {
		t.Errorf("unknown code: severity %s", p.Severity)
	}
}

// constants are the string constants of this package, by name.
func constants(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if v, ok := n.(*ast.ValueSpec); ok {
				collect(out, v)
			}
			return true
		})
	}
	return out
}

func collect(out map[string]string, v *ast.ValueSpec) {
	for i, name := range v.Names {
		if i >= len(v.Values) {
			return
		}
		if lit, ok := v.Values[i].(*ast.BasicLit); ok && lit.Kind == token.STRING {
			out[name.Name], _ = strconv.Unquote(lit.Value)
		}
	}
}

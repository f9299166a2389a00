package interlock_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// class is a set of packages with equal rights. Imports form a star: adapters
// know the model and never each other.
type class struct {
	name string
	// packages are paths below the module; "x/..." is x and all below it.
	packages string
	// may are the classes whose packages these may import.
	may string
	// pure packages get time and stored state as arguments: no I/O, clock,
	// goroutine, logger, context or chance.
	pure bool
}

// classes is who may import whom (design §7): cmd → wiring → adapters → pure →
// model. The first match counts. A package may import its parent.
var classes = []class{
	{name: "model", packages: "routing bundle", may: "", pure: true},
	{name: "renderer", packages: "extension/haproxy extension/embedded", may: "model", pure: true},
	{name: "pure", pure: true, may: "model pure",
		packages: "internal/swarm internal/spell internal/problems internal/label internal/config internal/policy internal/compile internal/explain internal/rollout internal/provision internal/migrate"},

	{name: "contract", packages: "proto/...", may: ""},
	{name: "sdk", packages: "extension extension/extensiontest", may: "model contract sdk renderer"},
	{name: "ground", packages: "internal/engine internal/identity internal/runfolder", may: "model pure"},

	{name: "suite", packages: "internal/engine/enginetest internal/store/storetest", may: "model ground"},
	{name: "adapter", may: "model pure renderer contract sdk ground",
		packages: "internal/docker internal/store/... internal/fleet internal/api internal/engine/... internal/supervisor internal/lkg internal/stackfile"},
	{name: "wiring", may: "model pure renderer contract sdk ground adapter",
		packages: "internal/core internal/agent internal/dev internal/cli internal/check"},
	{name: "command", packages: "cmd/...", may: "model pure renderer contract sdk ground adapter wiring"},
	{name: "proof", packages: "bench/... test/... scripts/... deploy/...", may: "model pure renderer contract sdk ground suite adapter wiring proof"},
}

// foreign says which of our packages may know a library's types.
var foreign = []struct{ library, packages string }{
	{"github.com/moby/...", "internal/docker test/... bench/..."},
	{"github.com/docker/...", "internal/docker internal/stackfile"},
	{"github.com/compose-spec/...", "internal/stackfile"},
	{"google.golang.org/grpc/...", "proto/... extension extension/extensiontest internal/fleet internal/agent test/conformance/..."},
	{"google.golang.org/protobuf/...", "proto/... extension internal/fleet internal/agent"},
	{"interlock/proto/...", "proto/... extension extension/extensiontest internal/fleet internal/agent test/conformance/..."},
	{"github.com/spf13/...", "cmd/interlock internal/cli"},
	{"github.com/BurntSushi/toml", "internal/config"},
	{"github.com/sirupsen/...", "cmd/interlock"},
}

// impure are packages and functions of the standard library that a pure
// package has no use for.
const (
	impurePackages  = "os os/... io/fs net net/http net/http/... context log log/... math/rand math/rand/v2 crypto/rand sync sync/... syscall runtime/... unsafe"
	impureFunctions = "time.Now time.Since time.Until time.After time.AfterFunc time.Sleep time.Tick time.NewTicker time.NewTimer"
)

// source is one non-test file.
type source struct {
	pkg     string // its folder, by slashes
	file    *ast.File
	at      func(ast.Node) token.Position
	imports []string
}

func TestImports(t *testing.T) {
	for _, s := range sources(t) {
		own, ok := classOf(s.pkg)
		if !ok {
			t.Errorf("package %s has no place in the table of arch_test.go", s.pkg)
			continue
		}
		for _, imported := range s.imports {
			if !mayImport(own, s.pkg, imported) {
				t.Errorf("%s: %s (%s) may not import %s", s.at(s.file), s.pkg, own.name, imported)
			}
		}
	}
}

// The table itself, by a few answers that it must give.
func TestTable(t *testing.T) {
	for _, c := range []struct {
		pkg, imported string
		want          bool
	}{
		{"internal/compile", "interlock/routing", true},
		{"internal/compile", "interlock/internal/policy", true},
		{"internal/compile", "interlock/internal/docker", false},
		{"routing", "interlock/internal/swarm", false},
		{"routing", "interlock/bundle", false},
		{"extension/haproxy", "interlock/internal/config", false},
		{"internal/docker", "interlock/internal/store", false},
		{"internal/engine/haproxy", "interlock/internal/engine", true},
		{"internal/engine/haproxy", "interlock/internal/engine/embedded", false},
		{"internal/core", "interlock/internal/docker", true},
		{"internal/core", "github.com/moby/moby/client", false},
		{"internal/docker", "github.com/moby/moby/client", true},
		{"internal/core", "interlock/proto/fleet/v1", false},
		{"internal/fleet", "interlock/proto/fleet/v1", true},
		{"cmd/interlock", "interlock/internal/core", true},
		{"cmd/interlock", "google.golang.org/grpc", false},
	} {
		own, ok := classOf(c.pkg)
		if got := mayImport(own, c.pkg, c.imported); !ok || got != c.want {
			t.Errorf("%s may import %s: %v, want %v", c.pkg, c.imported, got, c.want)
		}
	}
}

func mayImport(own class, pkg, imported string) bool {
	for _, f := range foreign {
		if matches(f.library, imported) && !matches(f.packages, pkg) {
			return false
		}
	}
	ours, ok := strings.CutPrefix(imported, "interlock/")
	if !ok {
		return true
	}
	if strings.HasPrefix(pkg, ours+"/") {
		return true // its own parent
	}
	other, ok := classOf(ours)
	return ok && slices.Contains(strings.Fields(own.may), other.name)
}

func TestPurity(t *testing.T) {
	for _, s := range sources(t) {
		if own, _ := classOf(s.pkg); !own.pure {
			continue
		}
		for _, imported := range s.imports {
			if matches(impurePackages, imported) {
				t.Errorf("%s: %s is pure and may not import %s", s.at(s.file), s.pkg, imported)
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if word := impurity(n); word != "" {
				t.Errorf("%s: %s is pure and may not use %s", s.at(n), s.pkg, word)
			}
			return true
		})
	}
}

// impurity names what a pure package may not do; "" for anything else.
func impurity(n ast.Node) string {
	switch n := n.(type) {
	case *ast.GoStmt:
		return "a goroutine"
	case *ast.SelectorExpr:
		if x, ok := n.X.(*ast.Ident); ok && matches(impureFunctions, x.Name+"."+n.Sel.Name) {
			return x.Name + "." + n.Sel.Name
		}
	}
	return ""
}

// Dependencies are arguments: nothing happens because a package is imported.
func TestNoInit(t *testing.T) {
	for _, s := range sources(t) {
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if ok && f.Recv == nil && f.Name.Name == "init" && !matches("proto/...", s.pkg) {
				t.Errorf("%s: func init", s.at(f))
			}
		}
	}
}

func TestOnePackageComment(t *testing.T) {
	comments := map[string]int{}
	for _, s := range sources(t) {
		comments[s.pkg] += 0
		if s.file.Doc != nil {
			comments[s.pkg]++
		}
	}
	for pkg, n := range comments {
		if n != 1 && !matches("proto/...", pkg) {
			t.Errorf("package %s has %d package comments, want one", pkg, n)
		}
	}
}

// matches says whether p is in a list of paths, of which "x/..." stands for x
// and all below it.
func matches(list, p string) bool {
	for _, pattern := range strings.Fields(list) {
		root, deep := strings.CutSuffix(pattern, "/...")
		if p == root || deep && strings.HasPrefix(p, root+"/") {
			return true
		}
	}
	return false
}

func classOf(pkg string) (class, bool) {
	for _, c := range classes {
		if matches(c.packages, pkg) {
			return c, true
		}
	}
	return class{}, false
}

// sources parses all non-test files of the module. It reads the files itself:
// what `go list` says would not be part of the test cache's key.
func sources(t *testing.T) (all []source) {
	t.Helper()
	files := token.NewFileSet()
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && name != "." && isIgnored(entry.Name()) {
			return filepath.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(files, name, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		all = append(all, newSource(files, filepath.ToSlash(name), file))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// isIgnored says whether the go command would not look into a folder.
func isIgnored(folder string) bool {
	return folder[0] == '.' || folder[0] == '_' || folder == "testdata" || folder == "bin"
}

func newSource(files *token.FileSet, name string, file *ast.File) source {
	s := source{pkg: path.Dir(name), file: file, at: func(n ast.Node) token.Position { return files.Position(n.Pos()) }}
	for _, i := range file.Imports {
		s.imports = append(s.imports, strings.Trim(i.Path.Value, `"`))
	}
	return s
}

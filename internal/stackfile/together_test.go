package stackfile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"pgregory.net/rapid"

	"interlock/internal/stackfile"
	"interlock/routing"
)

// variants are stack files that Docker's schema accepts or refuses in all its
// ways: at the root, in a section, in an entry, by version, by type.
var variants = []string{
	"services:\n  web: {image: x}\n",
	"services:\n  web: {image: x, ports: ['80:80'], deploy: {replicas: 2}}\n",
	"version: '3'\nservices:\n  web: {image: x}\n",
	"version: '3.0'\nservices:\n  web: {image: x}\n",
	"version: '3.3'\nservices:\n  web: {image: x}\nx-more: {a: 1}\n",
	"version: 3\nservices:\n  web: {image: x}\n",
	"version: '2'\nservices:\n  web: {image: x}\n",
	"version: '9.9'\nservices:\n  web: {image: x}\n",
	"services:\n  web: {image: x, comand: y}\n",
	"services:\n  web: {image: x, deploy: {replicas: many}}\n",
	"services:\n  web: {image: x, deploy: {replicas: '${N:-3}'}}\n",
	"services:\n  web: {image: x, deploy: {replicas: '${N:-many}'}}\n",
	"services:\n  web: {image: x, deploy: {resources: {limits: {cpu: 1}}}}\n",
	"services:\n  web: {image: x, ports: ['80:80:80:80']}\n",
	"services:\n  web: {image: x, command: 5}\n",
	"services:\n  web: {image: x, volumes_from: [db]}\n",
	"services:\n  web: {image: x, volumes_from: [db], comand: y}\n",
	"services:\n  web: {}\n",
	"services:\n  web:\n",
	"services:\n  'we b': {image: x}\n",
	"services:\n  '': {image: x}\n",
	"services:\n  7.web: {image: x, comand: y}\n",
	"services: []\n",
	"services:\n",
	"service:\n  web: {image: x}\n",
	"services:\n  web: {image: x}\nx-logging: &l {driver: json-file}\n",
	"services:\n  web: {image: x}\nnetworks: {front: {external: true}, 'b ack': {drivr: x}}\n",
	"services:\n  web: {image: x}\nnetworks: {front: {drivr: x}}\n",
	"services:\n  web: {image: x, networks: [front]}\nnetworks: {front: }\n",
	"services:\n  web: {image: x}\nvolumes: {data: {driver: 5}}\n",
	"services:\n  web: {image: x}\nsecrets: {t: {external: {nam: x}}}\n",
	"services:\n  web: {image: x, healthcheck: {interval: soon}}\n",
	"services:\n  web: {image: x, ulimits: {nofile: {soft: 1}}}\n",
	"services:\n  web: {image: '${X', deploy: {labels: {a: b}}}\n",
	"services:\n  web: {image: x}\n---\nservices: {}\n",
	"services: {web: {image: x}, web: {image: y}}\n",
	"- no stack file\n",
	"services: {web: {image: [\n",
	"",
}

// TestTogether: a file that is checked among others is found to be what it is
// found to be alone.
func TestTogether(t *testing.T) {
	files := append(goldenFiles(t), variants...)
	alone := make([]string, len(files))
	for i, text := range files {
		project, found := stackfile.Parse(stackfile.Source{File: fileName(i), Stack: "s", Data: []byte(text)}, noEnv)
		alone[i] = inWords(project, found)
	}
	rapid.Check(t, func(t *rapid.T) {
		chosen := rapid.SliceOfNDistinct(rapid.IntRange(0, len(files)-1), 1, 6, rapid.ID[int]).Draw(t, "files")
		var want []string
		var names []string
		for _, i := range chosen {
			want, names = append(want, alone[i]), append(names, fileName(i))
		}
		// One by one, as Load puts all files into one project.
		project, found, err := stackfile.LoadFrom(names, "s", noEnv, func(name string) ([]byte, error) {
			var i int
			_, err := fmt.Sscanf(name, "f%d.yml", &i)
			return []byte(files[i]), err
		})
		if err != nil {
			t.Fatal(err)
		}
		for k, i := range chosen {
			got := inWords(ofFile(project, found, fileName(i)))
			if diff := cmp.Diff(want[k], got); diff != "" {
				t.Errorf("among others:\n%s\n%s", files[i], diff)
			}
		}
	})
}

func fileName(i int) string { return fmt.Sprintf("f%d.yml", i) }

// ofFile is the part of a project that one file declares.
func ofFile(all stackfile.Project, found []routing.Problem, name string) (stackfile.Project, []routing.Problem) {
	var p stackfile.Project
	var ps []routing.Problem
	for _, s := range all.Services {
		if s.File == name {
			p.Services = append(p.Services, s)
		}
	}
	for _, f := range found {
		if f.File == name {
			ps = append(ps, f)
		}
	}
	return p, ps
}

func inWords(p stackfile.Project, found []routing.Problem) string {
	var b strings.Builder
	for _, s := range p.Services {
		fmt.Fprintf(&b, "%+v\n", s)
	}
	for _, f := range found {
		fmt.Fprintf(&b, "%+v\n", f)
	}
	return b.String()
}

// goldenFiles are the stack files that `interlock check` is tested with.
func goldenFiles(t *testing.T) []string {
	t.Helper()
	archives, err := filepath.Glob("../check/testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatal("no golden files", err)
	}
	var out []string
	for _, name := range archives {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range txtar.Parse(data).Files {
			if strings.HasSuffix(f.Name, ".yml") {
				out = append(out, string(f.Data))
			}
		}
	}
	return out
}

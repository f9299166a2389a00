// Package stackfile reads stack files as `docker stack deploy` does, offline:
// with the label values that would be deployed, and the line of each. What
// Docker would refuse, or take for something else than what was written, is a
// problem with its line.
//
// Docker's own loader judges the file and yields the values. It stops at the
// first mistake and knows no lines, so the text is looked at beforehand as a
// YAML tree; mistakes that are understood are reported and repaired there, so
// that those behind them are found too.
package stackfile

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"interlock/routing"
)

// MaxFile bounds a stack file in bytes.
const MaxFile = 16 << 20

// Source is the text of one stack file and the stack it would be deployed as.
type Source struct {
	File  string
	Stack string
	Data  []byte
}

// Project is what several stack files declare.
type Project struct {
	Services []Service
	Networks []Network
}

// Service is one service as its file declares it.
type Service struct {
	Stack string
	// Name is the service's key in the file; Docker calls it <stack>_<name>.
	Name string
	File string
	Line int
	// Refused says that Docker would not deploy the file. Labels are then as
	// good as could be read, and the rest is empty.
	Refused bool

	Labels, ContainerLabels map[string]string
	// Networks are names as Docker will have them.
	Networks []string
	// TargetPorts are the ports inside the container that are published.
	TargetPorts []int
	Replicas    uint64
	Global      bool
	// Job says that its tasks are to end: such a service is never an endpoint.
	Job         bool
	DNSRR       bool
	Constraints []string

	lines, containerLines map[string]int // by label
}

// DeployedName is the service's name in the Swarm.
func (s Service) DeployedName() string { return s.Stack + "_" + s.Name }

// LineOf is the line of a label, or of the service where the label has none.
func (s Service) LineOf(label string) int {
	if line := s.lines[label]; line > 0 {
		return line
	}
	return s.Line
}

// LineOfContainer is the same for a container label.
func (s Service) LineOfContainer(label string) int {
	if line := s.containerLines[label]; line > 0 {
		return line
	}
	return s.Line
}

// Network is a network that services of the files are on.
type Network struct {
	// Name is what Docker calls it.
	Name     string
	External bool
	// Driver is "overlay" unless the file says otherwise, or the name is one of
	// those that every node has.
	Driver string
}

// Stdin is the name of a file that stands for standard input.
const Stdin = "-"

// Load reads files from disk and parses each as a stack of its own. stack
// names them all; when "", each is named after its file. The error says which
// file can't be read; whatever is wrong inside a file is a problem. A file that
// is named twice is read once.
func Load(files []string, stack string, env func(string) (string, bool)) (Project, []routing.Problem, error) {
	return load(files, stack, env, readFile)
}

// LoadOr is Load where the file Stdin is what in yields, as the stack "stdin"
// unless stack says otherwise.
func LoadOr(in io.Reader, files []string, stack string, env func(string) (string, bool)) (Project, []routing.Problem, error) {
	return load(files, stack, env, func(name string) ([]byte, error) {
		if name == Stdin {
			return readBounded("standard input", in)
		}
		return readFile(name)
	})
}

func load(files []string, stack string, env func(string) (string, bool), read func(string) ([]byte, error)) (Project, []routing.Problem, error) {
	files = once(files)
	names := stackNames(files)
	parsed := make([]Project, len(files))
	found := make([][]routing.Problem, len(files))
	errs := make([]error, len(files)) // the first file's is said, whoever fails first
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for first := 0; first < len(files); first += atOnce {
		g.Go(func() error {
			for i, end := first, min(first+atOnce, len(files)); i < end; {
				from, size := i, 0
				var sources []Source
				for ; i < end && size < bytesAtOnce; i++ {
					data, err := read(files[i])
					if errs[i] = err; err != nil {
						return nil
					}
					size += len(data)
					sources = append(sources, Source{File: files[i], Stack: cmp.Or(stack, names[i]), Data: data})
				}
				ps, problems := parseTogether(sources, env)
				copy(parsed[from:], ps)
				copy(found[from:], problems)
			}
			return nil
		})
	}
	_ = g.Wait()
	if err := cmp.Or(errs...); err != nil {
		return Project{}, nil, fmt.Errorf("read stack file: %w", err)
	}
	return together(parsed), slices.Concat(found...), nil
}

func once(files []string) []string {
	seen := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(files), func(f string) bool {
		twice := seen[filepath.Clean(f)]
		seen[filepath.Clean(f)] = true
		return twice
	})
}

// together is one project with everything in it, each network once.
func together(projects []Project) Project {
	var out Project
	seen := map[string]bool{}
	for _, p := range projects {
		out.Services = append(out.Services, p.Services...)
		for _, n := range p.Networks {
			if !seen[n.Name] {
				seen[n.Name] = true
				out.Networks = append(out.Networks, n)
			}
		}
	}
	return out
}

func readFile(name string) ([]byte, error) {
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return nil, fmt.Errorf("%s is a directory; name the files in it", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readBounded(name, f)
}

func readBounded(name string, r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxFile+1))
	if len(data) > MaxFile {
		return nil, fmt.Errorf("%s is larger than %d bytes", name, MaxFile)
	}
	return data, err
}

// stackNames names each file's stack after the file: its base name without
// extension, with the folder's name before it where two files would be one
// stack (dev/app.yml and prod/app.yml).
func stackNames(files []string) []string {
	count := map[string]int{}
	for _, f := range files {
		count[baseName(f)]++
	}
	out := make([]string, len(files))
	for i, f := range files {
		out[i] = baseName(f)
		if folder := filepath.Base(filepath.Dir(f)); count[out[i]] > 1 && folder != "." && folder != string(filepath.Separator) {
			out[i] = folder + "-" + out[i]
		}
	}
	return out
}

func baseName(file string) string {
	if file == Stdin {
		return "stdin"
	}
	base := filepath.Base(file)
	return strings.TrimSuffix(base, filepath.Ext(base))
}

// Parse reads one file. It is total and does no input or output but for what
// Docker's loader does: it reads the files that env_file names.
func Parse(src Source, env func(string) (string, bool)) (Project, []routing.Problem) {
	p := &parser{src: src, env: env}
	p.repair()
	return p.project()
}

// repair reads the text as a tree, reports what it finds there, and repairs
// what it understands.
func (p *parser) repair() {
	root, ok := p.tree()
	if !ok || p.tooManyKeys(root) {
		return
	}
	p.root, p.readable = root, true
	p.duplicates(root)
	p.secondDocument()
	p.services = p.servicesOf(root)
	p.variables(root)
	p.placement()
	p.labels()
	p.strays(root)
}

// project is what the repaired file declares, and all that was found.
func (p *parser) project() (Project, []routing.Problem) {
	if !p.readable {
		return Project{}, p.found
	}
	cfg, ok := p.judge(p.root)
	if !ok {
		return Project{Services: p.salvage()}, p.sorted()
	}
	project := p.build(cfg)
	for i := range project.Services {
		project.Services[i].Refused = p.refused
	}
	return project, p.sorted()
}

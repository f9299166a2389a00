package stackfile

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/cli/cli/compose/interpolation"
	"github.com/docker/cli/cli/compose/loader"
	"github.com/docker/cli/cli/compose/schema"
	"github.com/docker/cli/cli/compose/types"

	"interlock/routing"
)

// atOnce is how many files are judged by one preparation of Docker's schema,
// which takes as long as reading five files. More would save little, and hold
// more trees in memory; bytesAtOnce bounds those of large files.
const (
	atOnce      = 64
	bytesAtOnce = 1 << 20
)

// parseTogether is Parse of each source.
func parseTogether(sources []Source, env func(string) (string, bool)) ([]Project, [][]routing.Problem) {
	parsers := make([]*parser, len(sources))
	for i, src := range sources {
		parsers[i] = &parser{src: src, env: env}
		parsers[i].repair()
	}
	validate(parsers)
	projects, found := make([]Project, len(sources)), make([][]routing.Problem, len(sources))
	for i, p := range parsers {
		projects[i], found[i] = p.project()
		parsers[i] = nil // its tree is not needed any more
	}
	return projects, found
}

// validate has Docker's schema judge files in one call, and notes what it says
// of each. Files that can't be judged so go through Docker's loader as they are.
//
// Files can be judged together because the schema looks at each entry of a
// section by itself: what one service or network may be depends on nothing
// else. Every file's entries come under names of their own.
func validate(parsers []*parser) {
	options := interpolationOptions()
	byVersion := map[string][]*parser{}
	for _, p := range parsers {
		if dict, ok := p.replaced(options); ok && separable(dict) {
			p.dict = dict
			v := schema.Version(dict)
			byVersion[v] = append(byVersion[v], p)
		}
	}
	for _, version := range slices.Sorted(maps.Keys(byVersion)) {
		accept(byVersion[version], version)
	}
}

// accept marks the files that the schema accepts, and gives its objection to
// those that it refuses. Docker's error is about the deepest of all mistakes,
// so it is also the one about that file: the file is taken out, and the rest is
// tried again.
func accept(group []*parser, version string) {
	for len(group) > 0 {
		err := schema.Validate(inOne(group), version)
		if err == nil {
			for _, p := range group {
				p.accepted = true
			}
			return
		}
		guilty, own, ok := ownObjection(err)
		if !ok || guilty >= len(group) {
			return // Docker's loader says it of each
		}
		group[guilty].objection = own
		group = slices.Delete(slices.Clone(group), guilty, guilty+1)
	}
}

var numbered = regexp.MustCompile(`^(services|networks|volumes|secrets|configs)\.([0-9]+)\.(.*)`)

// ownObjection is the number of the file that an error is about, and the error
// as it is when that file is judged alone.
func ownObjection(err error) (int, error, bool) {
	m := numbered.FindStringSubmatch(err.Error())
	if m == nil {
		return 0, nil, false
	}
	n, notInt := strconv.Atoi(m[2])
	return n, errors.New(m[1] + "." + m[3]), notInt == nil
}

// sections are the top-level keys whose entries the schema judges one by one.
var sections = []string{"services", "networks", "volumes", "secrets", "configs"}

// inOne is one file with the entries of all: entry web of the third file is
// 2.web, which is as good a name.
func inOne(group []*parser) map[string]any {
	out := map[string]any{}
	for i, p := range group {
		for key, value := range p.dict {
			entries, section := value.(map[string]any)
			switch {
			case slices.Contains(sections, key) && section:
				all, _ := out[key].(map[string]any)
				if all == nil {
					all = map[string]any{}
					out[key] = all
				}
				for name, entry := range entries {
					all[strconv.Itoa(i)+"."+name] = entry
				}
			case strings.HasPrefix(key, "x-"):
				out["x-"+strconv.Itoa(i)+key] = value
			default:
				out[key] = value
			}
		}
	}
	return out
}

// entryName is what Docker's schema takes for the name of an entry.
var entryName = regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)

// separable says whether what the schema says of the file is what it says of
// its entries under other names, and nothing comes before the schema.
func separable(dict map[string]any) bool {
	for key, value := range dict {
		entries, isMap := value.(map[string]any)
		_, isText := value.(string)
		switch {
		case slices.Contains(sections, key):
			if !isMap || !plain(entries) {
				return false
			}
		case key == "version":
			if !isText {
				return false
			}
		case !strings.HasPrefix(key, "x-"):
			return false
		}
	}
	return true
}

// plain holds for entries whose names are names, and which have nothing that
// Docker refuses before it asks its schema.
func plain(entries map[string]any) bool {
	for name, entry := range entries {
		if !entryName.MatchString(name) {
			return false
		}
		keys, _ := entry.(map[string]any)
		for key := range keys {
			if _, forbidden := types.ForbiddenProperties[key]; forbidden {
				return false
			}
		}
	}
	return true
}

// interpolationOptions are those of Docker's loader: which values become
// numbers and booleans when variables are replaced in them. It gives them to
// whoever is asked for options only.
func interpolationOptions() interpolation.Options {
	var out interpolation.Options
	nothing := types.ConfigDetails{ConfigFiles: []types.ConfigFile{{Config: map[string]any{}}}}
	_, _ = loader.Load(nothing, func(o *loader.Options) {
		o.SkipValidation = true
		out = *o.Interpolate
	})
	return out
}

// replaced is the repaired file with its variables replaced, unless that is
// refused.
func (p *parser) replaced(options interpolation.Options) (dict map[string]any, ok bool) {
	defer func() {
		if recover() != nil {
			dict, ok = nil, false // load says it
		}
	}()
	if !p.readable {
		return nil, false
	}
	dict, err := p.decode()
	if err != nil {
		return nil, false
	}
	options.LookupValue = interpolation.LookupValue(p.env)
	options.Substitute = substitute
	dict, err = interpolation.Interpolate(dict, options)
	return dict, err == nil
}

// decode is the repaired tree as Docker's loader takes it.
func (p *parser) decode() (map[string]any, error) {
	var v any
	if err := p.root.Decode(&v); err != nil {
		return nil, err
	}
	dict, ok := stringKeys(v).(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the file is no mapping")
	}
	return dict, nil
}

// Package migrate rewrites a stack file whose services are labelled for another
// router, so that Interlock serves them: Traefik 1, 2 and 3, and the HTTP
// routing mesh (HRM) of Docker Enterprise. It never guesses. What a service
// asks for is either expressed exactly, or reported with its line; a service
// whose route can't be expressed, or would be open to more than before, is left
// as it was. It is pure.
//
// The way of a file: a YAML tree with positions (tree.go) gives each service's
// labels; a dialect translates them to wishes for labels of ours (hrm.go,
// traefik.go and what it calls); the grammar itself judges the wishes
// (outcome.go), so that what this version does not serve is not written; the
// text is edited by byte ranges (edit.go), so that nothing else changes; and
// what came out is read again and compared with what was meant (verify.go).
package migrate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"interlock/internal/label"
	"interlock/internal/problems"
	"interlock/routing"
)

// Dialect is whose labels are translated.
type Dialect string

// The dialects, by the names that the command line has for them.
const (
	Traefik Dialect = "traefik"
	HRM     Dialect = "hrm"
)

// MaxFile bounds a stack file, in bytes.
const MaxFile = 1 << 20

// Source is a stack file and how it is to be read.
type Source struct {
	// File is its name, for problems.
	File string
	Data []byte
	// Container moves labels that stand on the container to the service. Other
	// than in Compose they have no effect there on a Swarm.
	Container bool
	// Env looks up variables, by which a text with variables is judged. The
	// variables themselves stay in the text.
	Env func(string) (string, bool)
}

// Result is a file as it is to be.
type Result struct {
	// Data is the whole file; it is the source's where nothing could be done.
	Data []byte
	// Migrated are the services that were rewritten, in the order of the file.
	Migrated []string
	// Problems are sorted by line. Those of severity error name what is not
	// expressed.
	Problems []routing.Problem
}

// dialect is one set of labels.
type dialect struct {
	// owns says whether a label's name is one of the dialect's.
	owns func(name string) bool
	// translate says what the i-th service wants.
	translate func(w *world, i int) outcome
	words     string
}

func dialectOf(d Dialect) dialect {
	if d == HRM {
		return dialect{owns: isHRM, translate: translateHRM, words: "the HTTP routing mesh"}
	}
	return dialect{owns: isTraefik, translate: translateTraefik, words: "Traefik"}
}

// world is a file's services as one dialect sees them: what one says may be
// used by another.
type world struct {
	dialect  dialect
	env      func(string) (string, bool)
	services []*service
	// networks are the file's declared networks by key.
	networks map[string]network
	// middlewares are where Traefik's middlewares are declared, users which
	// services name them, and backends which name a backend of Traefik 1.
	middlewares     map[string][]declared
	users, backends map[string][]*service
}

// network is a declared network: the name that it is given, "" for Docker's
// choice, and its driver.
type network struct{ name, driver string }

// File rewrites one stack file. It is total: whatever is wrong with the file is
// a problem, and Data is then what was given.
func File(src Source, d Dialect) Result {
	r := &run{src: src}
	if !utf8.Valid(src.Data) || len(src.Data) > MaxFile {
		r.say(1, "", "", problems.New(problems.MigrateRefused, fmt.Sprintf("the file is no UTF-8 text of at most %d bytes", MaxFile), "save it as UTF-8, or split it"))
		return r.result(src.Data)
	}
	root, err := parse(src.Data)
	if err != nil {
		r.say(lineOf(err), "", "", problems.New(problems.StackfileSyntax, "the file is not valid YAML: "+clip(strings.TrimPrefix(err.Error(), "yaml: ")), "correct the line, then migrate again"))
		return r.result(src.Data)
	}
	w := worldOf(root, dialectOf(d), src)
	text := newText(src.Data)
	for i := range w.services {
		r.service(w, i, text)
	}
	return r.finish(text, root)
}

// run is the working state of one File.
type run struct {
	src      Source
	found    []routing.Problem
	migrated []string
	changes  []change
}

// change is what is to become of one service's labels.
type change struct {
	service *service
	outcome outcome
}

func (r *run) say(line int, service, name string, p routing.Problem) {
	p.File, p.Line, p.Service = r.src.File, line, service
	if name != "" {
		p.Label = label.SafeName(name)
	}
	r.found = append(r.found, p)
}

// service migrates one service, or says why not.
func (r *run) service(w *world, i int, text *text) {
	s := w.services[i]
	if !s.has(w.dialect.owns) {
		r.onContainer(w, s)
		return
	}
	if why, hint := s.untouchable(w.dialect); why != "" {
		r.say(s.labelLine(w.dialect.owns), s.name, "", problems.New(problems.MigrateRefused, why, hint))
		return
	}
	o := w.dialect.translate(w, i)
	if !o.refused && !o.idle {
		w.reachable(s, &o)
		o.judge(w.env)
	}
	for _, f := range o.said() {
		e := s.entries[f.at]
		r.say(e.line, s.name, e.name, problems.New(f.code, f.message, f.hint))
	}
	if o.refused || o.idle {
		return
	}
	if err := text.edit(s, o); err != nil {
		r.say(s.labelLine(w.dialect.owns), s.name, "", problems.New(problems.MigrateRefused, err.Error(), "write the labels one to a line, as a plain list or mapping"))
		return
	}
	r.changes = append(r.changes, change{s, o})
	r.migrated = append(r.migrated, s.name)
}

// onContainer speaks of labels that stand where a Swarm's router does not look.
func (r *run) onContainer(w *world, s *service) {
	for _, e := range s.container {
		if w.dialect.owns(e.name) {
			r.say(e.line, s.name, e.name, problems.New(problems.MigrateLost,
				"labels of "+w.dialect.words+" on the container have no effect on a Swarm, and are left where they are",
				"move them to deploy: labels:, or run with --container"))
			return
		}
	}
}

// finish applies the edits, and takes nothing on trust: the new text must read
// as the old one with the labels replaced.
func (r *run) finish(text *text, root *node) Result {
	data := text.apply()
	if len(r.changes) == 0 {
		return r.result(r.src.Data)
	}
	if err := verify(root, data, r.changes); err != nil {
		r.migrated = nil
		r.say(1, "", "", problems.New(problems.MigrateRefused, "the file's layout is beyond what can be edited safely: "+err.Error(), "write the labels one to a line, as a plain list or mapping"))
		return r.result(r.src.Data)
	}
	return r.result(data)
}

func (r *run) result(data []byte) Result {
	slices.SortStableFunc(r.found, func(a, b routing.Problem) int { return cmp.Compare(a.Line, b.Line) })
	return Result{Data: data, Migrated: r.migrated, Problems: r.found}
}

// clip shortens text for a message.
func clip(s string) string {
	if len(s) <= 200 {
		return s
	}
	return strings.ToValidUTF8(s[:200], "") + "..."
}

// quote is an excerpt that is safe in a message.
func quote(s string) string { return fmt.Sprintf("%+q", clip(s)) }

package migrate

import (
	"regexp"
	"slices"
	"strings"

	"interlock/internal/label"
	"interlock/internal/problems"
	"interlock/routing"
)

// wish is a label of ours that is to stand where a label of the dialect stood.
type wish struct {
	from        int // index of the service's entry
	name, value string
	// essential says that the service must not be served without it.
	essential bool
}

// finding is what is to be said of one entry.
type finding struct {
	at                  int
	code, message, hint string
}

// outcome is what a service's labels come to.
type outcome struct {
	wishes []wish
	// gone are entries that say nothing beyond the wishes.
	gone  map[int]bool
	found []finding
	// refused says that the service stays as it was.
	refused bool
	// idle says that it was not routed, and is not to be.
	idle bool
}

func (o *outcome) wish(from int, name, value string, essential bool) {
	o.wishes = append(o.wishes, wish{from, name, value, essential})
}

func (o *outcome) drop(at int) {
	if o.gone == nil {
		o.gone = map[int]bool{}
	}
	o.gone[at] = true
}

// lose says that an entry is not expressed; it stays in the file.
func (o *outcome) lose(at int, message, hint string) {
	o.found = append(o.found, finding{at, problems.MigrateLost, message, hint})
}

// note says what changes a little.
func (o *outcome) note(at int, message, hint string) {
	o.found = append(o.found, finding{at, problems.MigrateNote, message, hint})
}

func (o *outcome) refuse(at int, message, hint string) {
	o.refused = true
	o.found = append(o.found, finding{at, problems.MigrateRefused, message, hint})
}

// said is what is worth saying: of a service that stays as it was, only why.
func (o *outcome) said() []finding {
	refusals := slices.DeleteFunc(slices.Clone(o.found), func(f finding) bool { return f.code != problems.MigrateRefused })
	if len(refusals) > 0 {
		return refusals
	}
	return o.found
}

// replaced are the labels that take the place of an entry.
func (o *outcome) replaced(at int) []wish {
	var out []wish
	for _, w := range o.wishes {
		if w.from == at {
			out = append(out, w)
		}
	}
	return out
}

// stays says whether an entry is left as it is.
func (o *outcome) stays(at int) bool { return !o.gone[at] && len(o.replaced(at)) == 0 }

// judge asks the grammar for each wish. What it does not serve is not expressed;
// what the service must not be without refuses it.
func (o *outcome) judge(env func(string) (string, bool)) {
	for range len(o.wishes) + 1 {
		labels := map[string]string{}
		for _, w := range o.wishes {
			labels[label.Prefix+w.name] = judged(w, env)
		}
		_, found := label.Parse(labels)
		i := slices.IndexFunc(found, unserved)
		if i < 0 {
			return
		}
		o.unwish(found[i])
		if o.refused {
			return
		}
	}
}

func unserved(p routing.Problem) bool {
	return p.Severity == routing.Error || p.Code == problems.LabelUnsupported || p.Code == problems.LabelUnknown
}

// unwish takes back the wish that a problem is about.
func (o *outcome) unwish(p routing.Problem) {
	i := slices.IndexFunc(o.wishes, func(w wish) bool { return label.SafeName(label.Prefix+w.name) == p.Label })
	if i < 0 {
		o.refuse(0, "the labels that came out are not valid: "+p.Message, p.Hint)
		return
	}
	w := o.wishes[i]
	message := label.Prefix + w.name + " would express it, but " + p.Message
	if w.essential {
		o.refuse(w.from, message, "change the label, or write the service's labels by hand")
		return
	}
	o.lose(w.from, message, "remove the label if the service may do without it")
	o.wishes = slices.Delete(o.wishes, i, i+1)
}

// variable is a variable as Docker reads them, or an escaped $.
var variable = regexp.MustCompile(`\$(?:\$|\{([A-Za-z_][A-Za-z0-9_]*)(?:(:?-)([^{}]*)|:?\?[^{}]*)?\}|([A-Za-z_][A-Za-z0-9_]*))`)

// judged is a wish's value as it might be deployed: with variables as they are
// set, or by default, or as an example of what is meant.
func judged(w wish, env func(string) (string, bool)) string {
	return substituted(w.value, env, map[string]string{"port": "80", "context_root": "/x"}[w.name])
}

// substituted replaces variables; example stands for one that is not known. An
// example that starts with a slash is meant for the start of a text only.
func substituted(text string, env func(string) (string, bool), example string) string {
	var b strings.Builder
	last := 0
	for _, m := range variable.FindAllStringSubmatchIndex(text, -1) {
		b.WriteString(text[last:m[0]])
		last = m[1]
		group := func(i int) string {
			if m[2*i] < 0 {
				return ""
			}
			return text[m[2*i]:m[2*i+1]]
		}
		b.WriteString(valueOf(group(1)+group(4), group(2) != "", group(3), example, b.Len() == 0, env))
	}
	return b.String() + text[last:]
}

func valueOf(name string, hasDefault bool, otherwise, example string, first bool, env func(string) (string, bool)) string {
	if name == "" {
		return "$"
	}
	if env != nil {
		if v, ok := env(name); ok && v != "" {
			return v
		}
	}
	switch {
	case hasDefault:
		return otherwise
	case example == "":
		return "x"
	case !first:
		return strings.TrimPrefix(example, "/")
	}
	return example
}

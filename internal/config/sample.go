package config

import (
	"fmt"
	"slices"
	"strings"
)

// Layouts are the ways to place proxies that Sample knows: the first is what it
// takes for "".
var Layouts = []string{"dedicated", "shared"}

// Sample is a config.toml for dev, test and prod with every key that is served,
// commented, and its default. It loads without a remark. With layout dedicated
// each cluster has nodes of its own, with shared all are on the same nodes. ok
// is false for another layout.
func Sample(layout string) (text string, ok bool) {
	if layout == "" {
		layout = Layouts[0]
	}
	if !slices.Contains(Layouts, layout) {
		return "", false
	}
	s := &sample{}
	s.words(intros[layout])
	s.words(sampleIntro)
	s.line("")
	s.keys(coreKeys, nil, func(line string) string { return line })
	for i, c := range sampleClusters {
		s.cluster(c.table, essentials(layout, i), c.words, i == 0)
	}
	return strings.ReplaceAll(s.b.String(), "\n\n\n", "\n\n"), true
}

var intros = map[string]string{
	"dedicated": "Interlock's config.toml for three clusters, each with proxy nodes of its own. Label them:\n\ndocker node update --label-add proxies=dev \\\n--label-add com.docker.ucp.access.label=/dev NODE",
	"shared":    "Interlock's config.toml for three clusters whose proxies share nodes, each cluster on ports of its own. Label the nodes:\n\ndocker node update --label-add proxies=shared NODE",
}

const sampleIntro = `
Change Hosts, ProxyConstraints and the ports to yours, then try it:

interlock config check config.toml

A key behind a # has the value that it has by default, unless an example is announced. docs/configuration.md has the same as a table.`

var sampleClusters = []struct{ table, words string }{
	{"dev", "Development. All keys that a cluster can have are here; they mean the same in the other tables."},
	{"test", "Test."},
	{"prod", "Production, with one name that belongs to certain stacks whoever asks first."},
}

// setting is a key that the sample sets.
type setting struct{ key, value string }

func essentials(layout string, i int) []setting {
	name := sampleClusters[i].table
	label, port := name, 8100
	if layout == "shared" {
		label, port = layout, 8101+i
	}
	hosts := fmt.Sprintf(`["*.%s.example.com"]`, name)
	var owners []setting
	if name == "prod" {
		hosts = `["*.prod.example.com", "www.example.com"]`
		owners = []setting{{"Owners", `{ "www.example.com" = "shop*" }`}}
	}
	return append([]setting{
		{"ServiceCluster", fmt.Sprintf("%q", name)},
		{"Order", fmt.Sprint(i + 1)},
		{"Collections", fmt.Sprintf(`["/%s"]`, name)},
		{"Hosts", hosts},
		{"ProxyReplicas", "2"},
		{"ProxyConstraints", fmt.Sprintf(`["node.labels.proxies==%s"]`, label)},
		{"PublishMode", `"host"`},
		{"PublishedPort", fmt.Sprint(port)},
		{"PublishedHealthPort", fmt.Sprint(port + 400)},
	}, owners...)
}

// sample is the text while it is written.
type sample struct{ b strings.Builder }

func (s *sample) line(text string) { s.b.WriteString(text + "\n") }

const sampleWidth = 80

// words writes comments, paragraph by paragraph, folded.
func (s *sample) words(text string) {
	for paragraph := range strings.SplitSeq(text, "\n") {
		line := "#"
		for word := range strings.FieldsSeq(strings.ReplaceAll(paragraph, "`", "")) {
			if len(line)+1+len(word) > sampleWidth {
				s.line(line)
				line = "#"
			}
			line += " " + word
		}
		s.line(line)
	}
}

// cluster writes one table: what it sets and, in full, what it could set.
func (s *sample) cluster(table string, set []setting, words string, full bool) {
	heading := "[Extensions." + table + "]"
	s.line("")
	s.words(words)
	s.line(heading)
	base := heading + "\n"
	var keys []string
	for _, k := range set {
		if full {
			s.line("")
			s.words(find(extensionKeys, k.key).doc)
		}
		s.line(k.key + " = " + k.value)
		base += k.key + " = " + k.value + "\n"
		keys = append(keys, k.key)
	}
	if !full {
		return
	}
	s.line("")
	s.keys(extensionKeys, keys, func(line string) string { return base + line })
	for _, sub := range []string{"rollout", "config"} {
		under := "[Extensions." + table + "." + subTables[sub].name + "]\n"
		s.line(strings.TrimSuffix(under, "\n"))
		s.line("")
		s.keys(subTables[sub].rows, nil, func(line string) string { return base + under + line })
	}
}

// keys writes every served key but those that are set, behind a #. in puts a
// line where it belongs.
func (s *sample) keys(rows []row, set []string, in func(line string) string) {
	for _, r := range rows {
		if r.status != served || slices.Contains(set, r.name) {
			continue
		}
		value, isDefault := sampleValue(r, in)
		switch {
		case isDefault:
			s.words(explained(r))
		case value != "":
			s.words(r.doc + " Default: " + r.otherwise + ". For example:")
		default:
			s.words(fmt.Sprintf("%s: %s Default: %s.", r.name, explained(r), r.otherwise))
		}
		if value != "" {
			s.line("#" + r.name + " = " + value)
		}
		s.line("")
	}
}

// explained is what a key means, and what it takes where the default does not
// show it.
func explained(r row) string {
	if r.value == "a boolean" || strings.HasPrefix(r.value, "a list") {
		return r.doc
	}
	return r.doc + " Takes " + r.value + "."
}

// sampleValue finds how a key's default is written, or else an example, by
// trying what its row says: what is shown was read by Parse.
func sampleValue(r row, in func(line string) string) (value string, isDefault bool) {
	without := meaningOf(in(""))
	accepted := func(v string) (same, ok bool) {
		f := Parse([]byte(in(r.name+" = "+v+"\n")), "")
		return meaningOf(in(r.name+" = "+v+"\n")) == without, f.Unreadable == "" && !mentions(f, r.name)
	}
	_, example, _ := strings.Cut(r.value, "such as ")
	word, _, _ := strings.Cut(strings.ReplaceAll(r.otherwise, "<cluster>", sampleClusters[0].table), ", ")
	word, _, _ = strings.Cut(word, ": ")
	first, _, _ := strings.Cut(word, " ")
	for _, v := range []string{word, fmt.Sprintf("%q", word), first, fmt.Sprintf("%q", first), "true", "false", "0"} {
		if same, ok := accepted(v); same && ok {
			return v, true
		}
	}
	if _, ok := accepted(example); ok && example != "" {
		return example, false
	}
	for _, v := range []string{"[]", "{}", `""`} {
		if same, ok := accepted(v); same && ok {
			return v, true
		}
	}
	return "", false
}

// meaningOf is what a file says in the end. A list without items is no list.
func meaningOf(text string) string {
	f := Parse([]byte(text), "")
	return fmt.Sprintf("%+v %+v", f.Core, f.Clusters)
}

// mentions says whether a problem is about a key.
func mentions(f File, key string) bool {
	for _, p := range f.Problems {
		if p.Label == key || strings.HasSuffix(p.Label, "."+key) {
			return true
		}
	}
	return false
}

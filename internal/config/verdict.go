package config

import (
	"fmt"
	"slices"
	"strings"
)

// verdict says why a key has no meaning here, "" when it has one, and how it is
// called. table says that its value is a table.
func (m *migrator) verdict(path []string, table bool) (key, why string) {
	if !strings.EqualFold(path[0], "Extensions") {
		return judgeKey(coreKeys, "", path[0], []string{"Extensions"})
	}
	if len(path) < 3 {
		return "", ""
	}
	sub, ok := subTables[strings.ToLower(path[2])]
	if ok && len(path) > 3 {
		if key, why = judgeKey(sub.rows, sub.name+".", path[3], nil); why == "" {
			why = m.facts[path[1]].meant(key)
		}
		return key, why
	}
	if ok && table {
		return "", ""
	}
	if key, why = judgeKey(extensionKeys, "", path[2], []string{"Config", "Rollout"}); why == "" {
		why = m.facts[path[1]].meant(key)
	}
	return key, why
}

// judgeKey is the verdict of a key's table.
func judgeKey(rows []row, prefix, key string, more []string) (name, why string) {
	r := find(rows, key)
	switch {
	case r == nil:
		return prefix + clip(key), noKey(hintFor(key, prefix, rows, more))
	case r.status == withoutMeaning:
		return prefix + r.name, r.doc
	}
	return prefix + r.name, ""
}

func noKey(hint string) string {
	if hint == removeHint {
		return "Interlock has no such key"
	}
	return "Interlock has no such key here; " + hint
}

// meant says why a key that we have was meant for something that we have not.
func (f tableFacts) meant(key string) string {
	switch {
	case key == "Image" && isOriginal(f.image), key == "ProxyImage" && isOriginal(f.proxyImage):
		return "Interlock's own image is used"
	case key == "Args" && isOriginal(f.image), key == "ProxyArgs" && isOriginal(f.proxyImage):
		return "arguments of the original's image"
	case key == "Config.GlobalOptions" && f.nginx():
		return "raw lines of nginx"
	}
	return ""
}

// nginx says whether the raw lines were meant for nginx, as the original's
// proxy was unless its image says HAProxy.
func (f tableFacts) nginx() bool {
	if strings.Contains(f.proxyImage, "haproxy") {
		return false
	}
	return isOriginal(f.proxyImage) || strings.Contains(f.proxyImage, "nginx") || slices.ContainsFunc(f.globalOptions, func(line any) bool {
		return strings.HasSuffix(strings.TrimSpace(fmt.Sprint(line)), ";")
	})
}

// tableFacts is what decides about other keys of a cluster's table.
type tableFacts struct {
	image, proxyImage string
	globalOptions     []any
}

func factsOf(nodes []node) map[string]tableFacts {
	out := map[string]tableFacts{}
	for _, top := range nodes {
		if !strings.EqualFold(top.key, "Extensions") {
			continue
		}
		for _, table := range top.table {
			var f tableFacts
			f.image, _ = valueAt(table.table, "Image").(string)
			f.proxyImage, _ = valueAt(table.table, "ProxyImage").(string)
			for _, sub := range table.table {
				if strings.EqualFold(sub.key, "Config") {
					f.globalOptions, _ = valueAt(sub.table, "GlobalOptions").([]any)
				}
			}
			out[table.key] = f
		}
	}
	return out
}

func valueAt(nodes []node, key string) any {
	for _, n := range nodes {
		if strings.EqualFold(n.key, key) {
			return n.value
		}
	}
	return nil
}

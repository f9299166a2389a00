package migrate

import "go.yaml.in/yaml/v3"

// pair is one entry of a mapping; merged says that it comes by a merge key.
type pair struct {
	key, value *node
	merged     bool
}

// maxMerged bounds the entries that a mapping takes in by merge keys: aliases of
// aliases grow without end.
const maxMerged = 10_000

// resolve follows an alias.
func resolve(n *node) *node {
	for depth := 0; n.Kind == yaml.AliasNode && n.Alias != nil && depth < 8; depth++ {
		n = n.Alias
	}
	return n
}

// pairs are the entries of a mapping with those it merges in, which give way to
// its own.
func pairs(n *node) []pair {
	budget := maxMerged
	return pairsWithin(n, &budget)
}

func pairsWithin(n *node, budget *int) []pair {
	if n == nil {
		return nil
	}
	if n = resolve(n); n.Kind != yaml.MappingNode {
		return nil
	}
	var out, merged []pair
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Tag == "!!merge" {
			merged = append(merged, mergedPairs(value, budget)...)
			continue
		}
		seen[key.Value] = true
		out = append(out, pair{key: key, value: value})
	}
	for _, p := range merged {
		if !seen[p.key.Value] {
			seen[p.key.Value] = true
			out = append(out, pair{key: p.key, value: p.value, merged: true})
		}
	}
	return out
}

func mergedPairs(value *node, budget *int) []pair {
	sources := []*node{resolve(value)}
	if sources[0].Kind == yaml.SequenceNode {
		sources = sources[0].Content
	}
	var out []pair
	for _, n := range sources {
		if *budget -= 1 + len(resolve(n).Content)/2; *budget < 0 {
			return out
		}
		out = append(out, pairsWithin(n, budget)...)
	}
	return out
}

// own is the value of a key in n's own text, as it stands there.
func own(n *node, key string) (*node, bool) {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil, false
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1], true
		}
	}
	return nil, false
}

// effective is the value of a key, aliases and merge keys followed.
func effective(n *node, key string) (*node, bool) {
	for _, p := range pairs(n) {
		if p.key.Value == key {
			return resolve(p.value), true
		}
	}
	return nil, false
}

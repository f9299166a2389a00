package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/BurntSushi/toml"
)

const (
	// maxFile bounds config.toml in bytes; a Docker config can't hold more.
	maxFile = 1 << 20
	// maxKeys bounds its keys, sub-keys included: fifty clusters have half as
	// many. The time to read them grows with their square.
	maxKeys = 5000
)

var errTooLarge = errors.New("the file is too large")

// node is one key of the file with its value and the line of the value.
type node struct {
	key   string
	line  int
	value any    // what TOML has: string, int64, bool, []any …; nil for a table
	table []node // for a table: its keys by line, then name
}

func (n node) isTable() bool { return n.value == nil }

// decodeTree reads TOML into nodes. The error of unreadable text has its line.
func decodeTree(data []byte) (nodes []node, line int, err error) {
	if len(data) > maxFile {
		return nil, 0, fmt.Errorf("%w: %d bytes, %d are read", errTooLarge, len(data), maxFile)
	}
	var top map[string]toml.Primitive
	meta, err := toml.Decode(string(data), &top)
	if err != nil {
		return nil, lineOf(err), messageOf(err)
	}
	if n := len(meta.Keys()); n > maxKeys {
		return nil, 0, fmt.Errorf("%w: %d keys, %d are read", errTooLarge, n, maxKeys)
	}
	nodes, err = expand(&meta, top)
	return nodes, lineOf(err), err
}

// expand turns the keys of one table into nodes, tables within it included.
func expand(meta *toml.MetaData, keys map[string]toml.Primitive) ([]node, error) {
	nodes := make([]node, 0, len(keys))
	for key, primitive := range keys {
		n := node{key: key, line: lineOf(meta.PrimitiveDecode(primitive, new(probe)))}
		err := meta.PrimitiveDecode(primitive, &n.value)
		if _, table := n.value.(map[string]any); err == nil && table {
			n.value = nil
			n.table, err = expandTable(meta, primitive)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", key, err)
		}
		nodes = append(nodes, n)
	}
	slices.SortFunc(nodes, func(a, b node) int { return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.key, b.key)) })
	return nodes, nil
}

func expandTable(meta *toml.MetaData, table toml.Primitive) ([]node, error) {
	var keys map[string]toml.Primitive
	if err := meta.PrimitiveDecode(table, &keys); err != nil {
		return nil, err
	}
	return expand(meta, keys)
}

// probe asks the TOML library for a value's line: it is only given in errors.
type probe struct{}

var errProbe = errors.New("probe")

// UnmarshalTOML always fails.
func (*probe) UnmarshalTOML(any) error { return errProbe }

func lineOf(err error) int {
	var parse toml.ParseError
	if errors.As(err, &parse) {
		return parse.Position.Line
	}
	return 0
}

// messageOf is the error without the position, which problems carry apart.
func messageOf(err error) error {
	var parse toml.ParseError
	if errors.As(err, &parse) && parse.Message != "" {
		return errors.New(parse.Message)
	}
	return err
}

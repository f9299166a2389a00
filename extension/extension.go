// Package extension is what a program needs to be an extension, and what core
// needs to call one: a process without Docker access and without keys that turns
// a cluster's table into an engine's configuration.
//
// An extension implements Renderer and calls Serve. One that renders what
// strangers wrote should serve a Child, which renders in a process of its own
// for each request, so that no table can delay or end another's:
//
//	request ─► Serve ─► Child ─► exec self "render" ─► RunChild ─► Renderer
//
// Package extensiontest is the suite that every extension passes.
package extension

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"interlock/bundle"
	"interlock/routing"
)

// TableSchema is the schema of routing.Table's JSON that this package speaks. It
// grows with each field that must not be overlooked: 2 has Backend.Allow.
const TableSchema = 2

// MaxTable bounds a table's JSON in bytes.
const MaxTable = 32 << 20

// Description says what an extension is.
type Description struct {
	Name, Version string
	// Engines are the engines it renders for, such as bundle.HAProxy.
	Engines []string
	// TableSchema is the greatest schema of the table that it understands.
	TableSchema uint32
}

// Renderer renders tables. Render is a pure function of engine and table: equal
// arguments give equal bundles. It returns a *Refusal when the table is wrong;
// any other error says nothing about the table. It is called concurrently.
type Renderer interface {
	Describe() Description
	Render(ctx context.Context, engine string, t routing.Table) (bundle.Bundle, error)
}

// Refusal says that a table can't be rendered, in words for the operator.
type Refusal struct{ Words string }

func (r *Refusal) Error() string { return r.Words }

// ErrEngine means that the extension does not render for the engine asked for.
var ErrEngine = errors.New("extension: engine not supported")

// Func renders for one engine. Its errors are refusals.
type Func func(routing.Table) (bundle.Bundle, error)

// Pure makes a Renderer of pure functions by engine.
func Pure(name, version string, engines map[string]Func) Renderer {
	return pure{name, version, engines}
}

type pure struct {
	name, version string
	engines       map[string]Func
}

func (p pure) Describe() Description {
	d := Description{Name: p.name, Version: p.version, TableSchema: TableSchema}
	for engine := range p.engines {
		d.Engines = append(d.Engines, engine)
	}
	slices.Sort(d.Engines)
	return d
}

func (p pure) Render(ctx context.Context, engine string, t routing.Table) (bundle.Bundle, error) {
	render, ok := p.engines[engine]
	if !ok {
		return bundle.Bundle{}, fmt.Errorf("%w: %.40q", ErrEngine, engine)
	}
	b, err := render(t)
	if err != nil {
		return bundle.Bundle{}, &Refusal{Words: err.Error()}
	}
	return b, ctx.Err()
}

// renderEncoded is Render from a table's JSON to a bundle's encoding.
func renderEncoded(ctx context.Context, r Renderer, engine string, table []byte) ([]byte, error) {
	if c, ok := r.(*Child); ok {
		return c.renderEncoded(ctx, engine, table)
	}
	t, err := decodeTable(table)
	if err != nil {
		return nil, err
	}
	b, err := r.Render(ctx, engine, t)
	if err != nil {
		return nil, err
	}
	return bundle.Encode(b)
}

// decodeTable is strict: a field that is not known could be one that matters.
func decodeTable(table []byte) (routing.Table, error) {
	var t routing.Table
	dec := json.NewDecoder(bytes.NewReader(table))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&t); err != nil {
		return t, &Refusal{Words: fmt.Sprintf("decode table: %v", err)}
	}
	if _, err := dec.Token(); err != io.EOF {
		return t, &Refusal{Words: "decode table: something follows the table"}
	}
	return t, nil
}

// Package embedded renders a table for the embedded engine: the table itself,
// as the engine resolves requests by it. It is pure.
package embedded

import (
	"encoding/json"
	"fmt"
	"strings"

	"interlock/bundle"
	"interlock/routing"
)

// TableFile is the path of the one file of an embedded bundle: a
// routing.Table in JSON.
const TableFile = "table.json"

// Render returns t's bundle. It refuses a table that is not valid.
func Render(t routing.Table) (bundle.Bundle, error) {
	if err := t.Validate(); err != nil {
		return bundle.Bundle{}, fmt.Errorf("render for the embedded engine: %w", err)
	}
	data, err := json.Marshal(t)
	if err != nil {
		return bundle.Bundle{}, fmt.Errorf("render for the embedded engine: %w", err)
	}
	b := bundle.Bundle{
		Cluster: t.Cluster,
		Engine:  bundle.Embedded,
		Files:   []bundle.File{{Path: TableFile, Data: string(data)}},
		Ports:   []int{t.Base.HTTPPort, t.Base.HealthPort},
	}
	for _, backend := range t.Backends {
		b.Backends = append(b.Backends, place(backend))
	}
	return b, nil
}

func place(b routing.Backend) bundle.Backend {
	dns := "tasks." + b.Service
	if b.Mode == routing.ModeVIP {
		dns = b.Service
	}
	return bundle.Backend{ID: b.ID, Sections: []string{b.ID}, DNS: dns, Port: b.Port, Network: b.Network}
}

// Table reads the table of a bundle that Render made, and refuses any other.
func Table(b bundle.Bundle) (routing.Table, error) {
	var t routing.Table
	if b.Engine != bundle.Embedded || len(b.Files) != 1 || b.Files[0].Path != TableFile {
		return t, fmt.Errorf("bundle is not one of the embedded engine")
	}
	// A field that this version does not know may be a protection.
	from := json.NewDecoder(strings.NewReader(b.Files[0].Data))
	from.DisallowUnknownFields()
	if err := from.Decode(&t); err != nil {
		return t, fmt.Errorf("table of the bundle: %w", err)
	}
	if err := t.Validate(); err != nil {
		return t, fmt.Errorf("table of the bundle: %w", err)
	}
	return t, nil
}

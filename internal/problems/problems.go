// Package problems is the catalogue of what Interlock finds wrong: each code
// with its severity and what the person who caused it should do. Codes are
// stable: they are added, never renamed. It is pure.
//
// To add one, write a constant and an Entry beside it in the file it belongs
// to, then run "go test ./internal/problems -update", which rewrites
// docs/problems.md.
package problems

import (
	"slices"

	"interlock/routing"
)

// Entry documents one code.
type Entry struct {
	Code     string
	Severity routing.Severity
	// Meaning says what was found and what it costs whom.
	Meaning string
	// Example is a line or two that cause it.
	Example string
	// Fix says what to write or do instead.
	Fix string
}

// Catalogue returns all entries, sorted by code.
func Catalogue() []Entry {
	all := slices.Concat(labelEntries(), policyEntries(), compileEntries(), configEntries(),
		stackfileEntries(), doubtEntries(), provisionEntries(), rolloutEntries(), devEntries(), migrateEntries())
	slices.SortFunc(all, func(a, b Entry) int {
		switch {
		case a.Code < b.Code:
			return -1
		case a.Code > b.Code:
			return 1
		}
		return 0
	})
	return all
}

// severities is an index of Catalogue, built once; nothing writes to it.
var severities = func() map[string]routing.Severity {
	m := map[string]routing.Severity{}
	for _, e := range Catalogue() {
		m[e.Code] = e.Severity
	}
	return m
}()

// New makes a problem with the code's severity. Cluster, service, label and
// place are the caller's to fill in. A code that is not in the catalogue is an
// error, so that it is never overlooked.
func New(code, message, hint string) routing.Problem {
	severity, ok := severities[code]
	if !ok {
		severity = routing.Error
	}
	return routing.Problem{Code: code, Severity: severity, Message: message, Hint: hint}
}

// Errors says whether one of ps is of severity error.
func Errors(ps []routing.Problem) bool {
	return slices.ContainsFunc(ps, func(p routing.Problem) bool { return p.Severity == routing.Error })
}

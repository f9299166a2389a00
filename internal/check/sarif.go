package check

import (
	"path/filepath"

	"interlock/internal/problems"
	"interlock/routing"
)

// SARIF is a report in the Static Analysis Results Interchange Format 2.1.0,
// as far as code hosts read it.
type SARIF struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool    sarifTool     `json:"tool"`
	Results []sarifResult `json:"results"`
}

type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct {
	Name    string      `json:"name"`
	Version string      `json:"version"`
	Rules   []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID               string    `json:"id"`
	ShortDescription sarifText `json:"shortDescription"`
	Help             sarifText `json:"help"`
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifResult struct {
	RuleID    string          `json:"ruleId"`
	Level     string          `json:"level"`
	Message   sarifText       `json:"message"`
	Locations []sarifLocation `json:"locations,omitempty"`
}

type sarifLocation struct {
	Physical sarifPhysical `json:"physicalLocation"`
}

type sarifPhysical struct {
	Artifact sarifArtifact `json:"artifactLocation"`
	Region   *sarifRegion  `json:"region,omitempty"`
}

type sarifArtifact struct {
	URI string `json:"uri"`
}

type sarifRegion struct {
	StartLine int `json:"startLine"`
}

// AsSARIF converts a report. Rules are the codes that occur in it.
func AsSARIF(r Report, version string) SARIF {
	run := sarifRun{Tool: sarifTool{sarifDriver{Name: "interlock", Version: version, Rules: []sarifRule{}}}, Results: []sarifResult{}}
	used := map[string]bool{}
	for _, p := range r.Problems {
		used[p.Code] = true
		run.Results = append(run.Results, sarifOf(p))
	}
	for _, e := range problems.Catalogue() {
		if used[e.Code] {
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{ID: e.Code, ShortDescription: sarifText{e.Meaning}, Help: sarifText{e.Fix}})
		}
	}
	return SARIF{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}}
}

func sarifOf(p routing.Problem) sarifResult {
	text := p.Message
	if p.Label != "" {
		text = p.Label + ": " + text
	}
	if p.Hint != "" {
		text += " (" + p.Hint + ")"
	}
	out := sarifResult{RuleID: p.Code, Level: sarifLevel(p.Severity), Message: sarifText{text}}
	if p.File != "" {
		at := sarifPhysical{Artifact: sarifArtifact{filepath.ToSlash(p.File)}}
		if p.Line > 0 {
			at.Region = &sarifRegion{p.Line}
		}
		out.Locations = []sarifLocation{{at}}
	}
	return out
}

func sarifLevel(s routing.Severity) string {
	if s == routing.Info {
		return "note"
	}
	return string(s)
}

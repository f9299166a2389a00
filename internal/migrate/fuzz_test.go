package migrate

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// FuzzRules: the parsers of rules are total, and what they accept has hosts and
// a path that stand in the rule, and no host is two.
func FuzzRules(f *testing.F) {
	for _, s := range []string{
		"Host(`a.example.com`)", "Host(`a`, `b`) && PathPrefix(`/x`)", "Host(\"a\") && (Path(`/x`) || PathPrefix(`/x/`))",
		"(Host(`a`) || Host(`b`)) && PathPrefix(`/`)", "!Host(`a`)", "HostRegexp(`{x:.*}`)", "Host(`${A}`)", "((((", "Host()",
		"Host:a.example.com,b.example.com;PathPrefixStrip:/x", "Host:a;Host:b", "PathPrefix:/a,/b", "Host:${A:-b,c}", ";;", "Host:",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, rule string) {
		for _, parse := range []func(string) (form, error){parseRule, parseRule1} {
			got, err := parse(rule)
			if err != nil {
				var words ruleError
				if !errors.As(err, &words) || words.why == "" || words.hint == "" {
					t.Errorf("no words: %v", err)
				}
				continue
			}
			if len(got.hosts) == 0 || got.path == "" {
				t.Errorf("%+v", got)
			}
			for _, h := range got.hosts {
				if !strings.Contains(rule, h) || strings.ContainsAny(substituted(h, nil, ""), ", ") {
					t.Errorf("host %q", h)
				}
			}
			if !strings.Contains(rule, got.path) && got.path != "/" {
				t.Errorf("path %q", got.path)
			}
		}
	})
}

// FuzzHRM: the parser of the mesh's labels is total.
func FuzzHRM(f *testing.F) {
	for _, s := range []string{"external_route=http://a.example.com,internal_port=80", "external_route=sni://a,sticky_sessions=x", ",,", "external_route=", "redirect=a,redirect=b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		r, why, hint := parseHRM(value)
		if why == "" && (r.host == "" || !strings.Contains(value, r.host)) || why != "" && hint == "" {
			t.Errorf("%+v %q %q", r, why, hint)
		}
	})
}

// FuzzFile: any text ends in a text; where nothing is migrated it is the same;
// what is migrated is YAML, and is not migrated again.
func FuzzFile(f *testing.F) {
	for _, s := range []string{
		"services:\n  a:\n    deploy:\n      labels:\n        traefik.port: '80'\n        traefik.frontend.rule: Host:a.example.com # x\n",
		"services:\n  a:\n    deploy:\n      labels:\n      - traefik.http.routers.a.rule=Host(`a.example.com`)\n      - traefik.http.services.a.loadbalancer.server.port=80\n",
		"services: {a: {deploy: {labels: {com.docker.ucp.mesh.http: \"external_route=http://a.example.com,internal_port=80\"}}}}",
		"services:\n  a:\n    labels:\n      traefik.port: '80'\n      traefik.frontend.rule: |\n        Host:a.example.com\n    deploy:\n      replicas: 2\n",
		"x: &a {traefik.port: 80}\nservices: {a: {deploy: {labels: *a}}, b: {deploy: {labels: {<<: *a}}}}",
	} {
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, container bool) {
		for _, d := range []Dialect{Traefik, HRM} {
			got := File(Source{File: "f.yml", Data: data, Container: container}, d)
			if len(got.Migrated) == 0 {
				if !bytes.Equal(got.Data, data) {
					t.Errorf("nothing is migrated, and the text differs: %q", got.Data)
				}
				continue
			}
			var doc yaml.Node
			if err := yaml.Unmarshal(got.Data, &doc); err != nil {
				t.Errorf("%v: %q", err, got.Data)
			}
			if again := File(Source{File: "f.yml", Data: got.Data, Container: container}, d); len(again.Migrated) > 0 {
				t.Errorf("migrated again: %v\n%s", again.Migrated, got.Data)
			}
		}
	})
}

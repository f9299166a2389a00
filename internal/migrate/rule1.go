package migrate

import (
	"fmt"
	"strings"
)

// parseRule1 reads a rule of Traefik 1: "Host:a.example.com,b.example.com;
// PathPrefix:/shop", matchers separated by ";", of which all must match. It is
// total.
func parseRule1(text string) (form, error) {
	if len(text) > maxRule {
		return form{}, ruleError{fmt.Sprintf("the rule is longer than %d bytes", maxRule), "shorten it"}
	}
	places := []place{{}}
	for part := range strings.SplitSeq(text, ";") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		name, values, _ := strings.Cut(part, ":")
		found, err := places1(strings.TrimSpace(name), splitValues(values))
		if err != nil {
			return form{}, err
		}
		if places, err = cross(places, found); err != nil {
			return form{}, err
		}
	}
	return formOf(places)
}

// splitValues splits at commas outside variables.
func splitValues(values string) []string {
	var out []string
	depth, start := 0, 0
	for i := range len(values) {
		switch values[i] {
		case '{':
			depth++
		case '}':
			depth--
		case ',':
			if depth == 0 {
				out, start = append(out, strings.TrimSpace(values[start:i])), i+1
			}
		}
	}
	return append(out, strings.TrimSpace(values[start:]))
}

func places1(name string, values []string) ([]place, error) {
	names := map[string]string{"host": "host", "path": "path", "pathprefix": "pathprefix", "pathstrip": "path", "pathprefixstrip": "pathprefix"}
	matcher, ok := names[strings.ToLower(name)]
	if !ok {
		return nil, ruleError{"the rule has " + quote(name) + ", which can't be expressed", "use Host: and PathPrefix: or PathPrefixStrip:"}
	}
	places, err := placesOf(matcher, values)
	for i := range places {
		places[i].path.strip = strings.HasSuffix(strings.ToLower(name), "strip")
	}
	return places, err
}

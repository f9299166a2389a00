package config_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"interlock/internal/config"
)

var sampleKey = regexp.MustCompile(`^#([A-Za-z]+) = `)

// TestSample: the sample loads without a remark, every value that it shows as a
// default is one, and every example is accepted.
func TestSample(t *testing.T) {
	for _, layout := range config.Layouts {
		text, ok := config.Sample(layout)
		if !ok {
			t.Fatalf("%s: no sample", layout)
		}
		file := config.Parse([]byte(text), layout)
		if len(file.Problems) > 0 || file.Unreadable != "" || len(file.Clusters) != 3 {
			t.Fatalf("%s: %s%+v\n%s", layout, file.Unreadable, file.Problems, text)
		}
		if again := config.Migrate([]byte(text), layout); string(again.Text) != text || len(again.Notes) > 0 {
			t.Errorf("%s: it would be migrated: %v", layout, again.Notes)
		}
		lines := strings.Split(text, "\n")
		tried := 0
		for i, line := range lines {
			if len(line) > 80 {
				t.Errorf("%s:%d: %d columns", layout, i+1, len(line))
			}
			if !sampleKey.MatchString(line) {
				continue
			}
			tried++
			lines[i] = line[1:]
			got := config.Parse([]byte(strings.Join(lines, "\n")), layout)
			lines[i] = line
			if strings.HasSuffix(lines[i-1], "For example:") {
				if len(got.Problems) > 0 {
					t.Errorf("%s:%d: %s: %+v", layout, i+1, line, got.Problems)
				}
				continue
			}
			if diff := cmp.Diff(file, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s:%d: %s is not the default:\n%s", layout, i+1, line, diff)
			}
		}
		if tried < 40 {
			t.Errorf("%s: only %d keys", layout, tried)
		}
	}
	if _, ok := config.Sample("triangular"); ok {
		t.Error("a layout that does not exist")
	}
}

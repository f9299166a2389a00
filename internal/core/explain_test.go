package core

import (
	"errors"
	"strings"
	"testing"

	"interlock/internal/api"
)

// TestExplainNamesClusters: who names no cluster, or one that is not there, is
// told which there are; the only one needs no naming.
func TestExplainNamesClusters(t *testing.T) {
	c := &Core{pipelines: map[string]*pipeline{"dev": {}, "prod": {}}}
	for _, name := range []string{"", "nope"} {
		_, err := c.Explain(t.Context(), name, "http://a.example.com/")
		if !errors.Is(err, api.ErrBadRequest) || !strings.Contains(err.Error(), `["dev" "prod"]`) {
			t.Errorf("cluster %q: %v", name, err)
		}
	}
	c = &Core{pipelines: map[string]*pipeline{"dev": {}}}
	if _, err := c.Explain(t.Context(), "", "http://a.example.com/"); err == nil || !strings.Contains(err.Error(), `of cluster "dev" yet`) {
		t.Errorf("the only cluster: %v", err)
	}
}

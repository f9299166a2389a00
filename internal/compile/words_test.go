package compile

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"interlock/internal/config"
)

// TestRemaining: the labels that are left are named, hostile or many as they
// may be.
func TestRemaining(t *testing.T) {
	labels := map[string]string{"com.docker.stack.namespace": "shop"}
	if got := remaining(labels); got != "" {
		t.Errorf("no routing label: %q", got)
	}
	labels["Com.Docker.LB.port"], labels["com.docker.lb.\x1b[2J"] = "80", ""
	if got, want := remaining(labels), `: "com.docker.lb.\x1b[2J", Com.Docker.LB.port`; got != want {
		t.Errorf("%s, not %s", got, want)
	}
	for i := range 300 {
		labels[fmt.Sprintf("com.docker.lb.%s%d", strings.Repeat("x", 200), i)] = ""
	}
	if got := remaining(labels); len(got) > 1200 || !strings.HasSuffix(got, " and 294 more") {
		t.Errorf("%d bytes: %s", len(got), got)
	}
}

func TestMinutes(t *testing.T) {
	for d, want := range map[time.Duration]string{
		24 * time.Hour: "24h", 20 * time.Minute: "20m", time.Minute: "1m", 90 * time.Minute: "1h30m", 10*time.Hour + time.Second: "10h",
	} {
		if got := minutes(d); got != want {
			t.Errorf("%v: %s, not %s", d, got, want)
		}
	}
}

// TestReleaseCommand: it can be pasted into a shell as it is.
func TestReleaseCommand(t *testing.T) {
	c := &compiler{cluster: config.Cluster{Name: "dev"}}
	if got := c.release("*.example.com"); got != "interlock claims release --cluster dev '*.example.com'" {
		t.Error(got)
	}
	if got := (&compiler{}).release("a.example.com"); got != "interlock claims release a.example.com" {
		t.Error(got)
	}
}

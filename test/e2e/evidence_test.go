package e2e

import (
	"net/netip"
	"testing"
	"time"

	"interlock/test/load"
)

// TestEvidence: a port that came round again does not blame the wrong proxy.
func TestEvidence(t *testing.T) {
	all := sessions{}
	for node, line := range map[string]string{
		"n2": "10.78.0.1:36546 [22/Nov/2026:21:39:46.325] dev dev/proxy1 1/0/1785 2280 SD 55/55/54/6/0 0/0",
		"n3": "10.78.0.1:36546 [22/Nov/2026:21:40:42.326] dev dev/proxy2 1/0/6385 595 -- 437/437/436/312/0 0/0",
	} {
		client, _, s, ok := parseSession(line)
		if !ok {
			t.Fatalf("not read: %s", line)
		}
		s.node = node
		all["dev "+client] = append(all["dev "+client], s)
	}
	at := time.Date(2026, 11, 22, 21, 39, 48, 74e6, time.Local)
	var failure load.Failure
	failure.Env, failure.Began, failure.Took = "dev", at, 38*time.Millisecond
	failure.Local = netip.MustParseAddrPort("10.78.0.1:36546")
	if got := all.node(failure); got != "n2" {
		t.Errorf("node %q", got)
	}
	failure.Began = at.Add(20 * time.Second)
	if got := all.node(failure); got != "" {
		t.Errorf("node %q of a connection that no line speaks of", got)
	}
	if _, _, _, ok := parseSession("Server dev/proxy1 is DOWN"); ok {
		t.Error("a line about a server was read as a session")
	}
}

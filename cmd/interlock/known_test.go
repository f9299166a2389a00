package main

import (
	"errors"
	"strings"
	"testing"

	"interlock/routing"
)

// TestCheckServices: a service is known by a problem or by Docker; any other is
// a mistake of the caller.
func TestCheckServices(t *testing.T) {
	host := fakeSwarm(t, map[string]string{"/services": `[{"Spec":{"Name":"shop_web"}}]`})
	found := []routing.Problem{{Service: "ended"}}
	for _, known := range [][]string{nil, {"ended"}, {"ended", "shop_web"}} {
		if err := checkServices(t.Context(), host, found, known); err != nil {
			t.Errorf("%v: %v", known, err)
		}
	}
	var exit *exitError
	err := checkServices(t.Context(), host, found, []string{"shop_wbe"})
	if !errors.As(err, &exit) || exit.code != exitUsage || !strings.Contains(exit.hint, `did you mean "shop_web"?`) {
		t.Errorf("%v, %+v", err, exit)
	}
}

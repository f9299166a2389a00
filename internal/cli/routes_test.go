package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"interlock/internal/api"
)

// TestRoutesFit: usual names fit a terminal, and only a network that is not the
// cluster's own is named.
func TestRoutesFit(t *testing.T) {
	route := func(network string, live bool) api.Route {
		return api.Route{Cluster: "prod", Host: "www.shop.example.com", Path: "/api", Live: live,
			Backends: []api.Backend{{Service: "shop_frontend", Port: 8080, Network: network}}}
	}
	var out bytes.Buffer
	WriteRoutes(&out, []api.Route{route("il-prod", true), route("il-prod", false), route("appnet\x1b", false)})
	want := `CLUSTER  HOST                  PATH  SERVICE        PORT  ENDPOINTS
prod     www.shop.example.com  /api  shop_frontend  8080  0
prod     www.shop.example.com  /api  shop_frontend  8080  0, not live yet
prod     www.shop.example.com  /api  shop_frontend  8080  0 over appnet\x1b, not live yet
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	for line := range strings.Lines(out.String()) {
		if !strings.Contains(line, "over") && len(line) > Width+1 {
			t.Errorf("%d columns: %s", len(line), line)
		}
	}
}

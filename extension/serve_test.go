package extension_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"testing"
	"time"

	"interlock/bundle"
	"interlock/extension"
	"interlock/extension/extensiontest"
	"interlock/extension/haproxy"
	"interlock/internal/identity"
	"interlock/routing"
)

// serve runs an extension over real sockets with mTLS and returns how to dial it
// as anybody of the same authority.
func serve(t *testing.T, r extension.Renderer) func(t testing.TB, uri string) *extension.Client {
	t.Helper()
	now := time.Now()
	core, err := identity.NewCore(now)
	if err != nil {
		t.Fatal(err)
	}
	mint := func(uri string) identity.Identity {
		id, err := core.Mint(uri, now)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	config := mint(identity.ExtensionURI).ServerTLS()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- extension.Serve(ctx, l, config, r, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return func(t testing.TB, uri string) *extension.Client {
		t.Helper()
		id := core
		if uri != identity.CoreURI {
			id = mint(uri)
		}
		return dial(t, l.Addr().String(), id.ClientTLS(identity.ExtensionURI))
	}
}

func dial(t testing.TB, address string, config *tls.Config) *extension.Client {
	t.Helper()
	c, err := extension.Dial(address, config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func haproxyRenderer() extension.Renderer {
	return extension.Pure("test", "1", map[string]extension.Func{bundle.HAProxy: haproxy.Render})
}

func TestConformance(t *testing.T) {
	connect := serve(t, haproxyRenderer())
	extensiontest.Run(t, func(t testing.TB) *extension.Client { return connect(t, identity.CoreURI) })
}

// panicking panics on every table.
type panicking struct{}

func (panicking) Describe() extension.Description {
	return extension.Description{Name: "p", Version: "1", Engines: []string{"p"}, TableSchema: 1}
}

func (panicking) Render(context.Context, string, routing.Table) (bundle.Bundle, error) {
	panic("oh no")
}

func TestPanicConcernsItsRequest(t *testing.T) {
	c := serve(t, panicking{})(t, identity.CoreURI)
	defer c.Close()
	for range 2 {
		if _, err := c.Render(t.Context(), "p", routing.Table{}); err == nil {
			t.Error("a panic is answered with success")
		}
	}
	if _, err := c.Describe(t.Context()); err != nil {
		t.Errorf("after a panic: %v", err)
	}
}

// lying answers for another cluster than it was asked for.
func lying(routing.Table) (bundle.Bundle, error) {
	return bundle.Bundle{Cluster: "prod", Engine: bundle.HAProxy}, nil
}

func TestClientComparesTheAnswer(t *testing.T) {
	c := serve(t, extension.Pure("liar", "1", map[string]extension.Func{bundle.HAProxy: lying}))(t, identity.CoreURI)
	defer c.Close()
	if b, err := c.Render(t.Context(), bundle.HAProxy, extensiontest.Small("dev")); err == nil {
		t.Errorf("accepted a bundle of cluster %s for dev", b.Cluster)
	}
}

// TestNoExtension: a call to an address where nobody listens ends in time.
func TestNoExtension(t *testing.T) {
	core, err := identity.NewCore(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	c := dial(t, l.Addr().String(), core.ClientTLS(identity.ExtensionURI))
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := c.Render(ctx, bundle.HAProxy, extensiontest.Small("dev")); err == nil {
		t.Error("rendered by nobody")
	}
}

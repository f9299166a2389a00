package core

import (
	"context"
	"errors"
	"sync"

	"interlock/bundle"
	"interlock/extension"
	"interlock/extension/embedded"
	"interlock/internal/config"
	"interlock/internal/identity"
	"interlock/internal/provision"
	"interlock/routing"
)

// Extensions is the Renderer that asks each cluster's extension service. The
// embedded engine is rendered here: its bundle is the table itself.
type Extensions struct {
	identity identity.Identity

	mu      sync.Mutex
	clients map[string]*extension.Client // by address
}

// NewExtensions dials nothing yet.
func NewExtensions(id identity.Identity) *Extensions {
	return &Extensions{identity: id, clients: map[string]*extension.Client{}}
}

// Render implements Renderer.
func (e *Extensions) Render(ctx context.Context, c config.Cluster, t routing.Table) (bundle.Bundle, error) {
	if c.Engine == bundle.Embedded {
		b, err := embedded.Render(t)
		if err != nil {
			return b, &extension.Refusal{Words: err.Error()}
		}
		return b, nil
	}
	client, err := e.client(provision.ExtensionAddress(c))
	if err != nil {
		return bundle.Bundle{}, err
	}
	return client.Render(ctx, c.Engine, t)
}

func (e *Extensions) client(address string) (*extension.Client, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if c := e.clients[address]; c != nil {
		return c, nil
	}
	c, err := extension.Dial(address, e.identity.ClientTLS(identity.ExtensionURI))
	if err == nil {
		e.clients[address] = c
	}
	return c, err
}

// Close ends all connections.
func (e *Extensions) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var errs []error
	for _, c := range e.clients {
		errs = append(errs, c.Close())
	}
	clear(e.clients)
	return errors.Join(errs...)
}

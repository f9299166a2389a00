package agent

import (
	"context"
	"errors"
	"strings"
	"sync"

	"interlock/bundle"
	"interlock/internal/engine"
	"interlock/routing"
)

// memory is an engine that runs nothing and remembers everything.
type memory struct {
	mu       sync.Mutex
	bundle   bundle.Bundle
	revision string
	eps      routing.Endpoints
	health   engine.Health
	applied  []string
	hang     chan struct{} // Check waits for it where it is set
	fail     bool          // Apply does not work
	failed   int           // how often it did not
	dead     bool          // Running does not answer
}

func (m *memory) Check(ctx context.Context, b bundle.Bundle) error {
	m.mu.Lock()
	hang := m.hang
	m.mu.Unlock()
	if hang != nil {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-hang:
		}
	}
	if strings.Contains(b.Files[0].Data, "bad") {
		return &engine.Refusal{Words: "line 1: bad"}
	}
	return nil
}

func (m *memory) Apply(_ context.Context, b bundle.Bundle, revision string, eps routing.Endpoints) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail {
		m.failed++
		return errors.New("no answer")
	}
	m.bundle, m.revision, m.eps, m.dead = b, revision, eps, false
	m.applied = append(m.applied, revision)
	return nil
}

func (m *memory) SetEndpoints(_ context.Context, eps routing.Endpoints) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.eps = eps
	return nil
}

func (m *memory) SetHealth(_ context.Context, h engine.Health) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.health = h
	return nil
}

func (m *memory) Running(context.Context) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return "", errors.New("nobody answers")
	}
	return m.revision, nil
}

// state is what can be compared: revision, health, addresses of the backend.
func (m *memory) state() (revision string, h engine.Health, addresses string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []string
	for _, e := range m.eps[testBackend] {
		list = append(list, e.Address)
	}
	return m.revision, m.health, strings.Join(list, " ")
}

func (m *memory) set(f func(*memory)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m)
}

package store

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"strconv"
	"sync"

	"interlock/internal/swarm"
)

// Memory is a Backend that lasts as long as the process: for "interlock dev"
// and for tests. storetest holds it to what the Engine does.
type Memory struct {
	mu      sync.Mutex
	objects []memoryObject
	next    int
}

type memoryObject struct {
	swarm.Object
	data []byte
}

// CreateConfig implements Backend.
func (m *Memory) CreateConfig(ctx context.Context, name string, labels map[string]string, data []byte) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return "", err
	}
	for _, o := range m.objects {
		if o.Name == name {
			return "", fmt.Errorf("create %s: %w", name, fs.ErrExist)
		}
	}
	m.next++
	id := "config" + strconv.Itoa(m.next)
	m.objects = append(m.objects, memoryObject{
		swarm.Object{ID: id, Name: name, Labels: maps.Clone(labels)}, bytes.Clone(data)})
	return id, nil
}

// StateConfigs implements Backend.
func (m *Memory) StateConfigs(ctx context.Context) ([]swarm.Object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []swarm.Object
	for _, o := range m.objects {
		if _, ok := o.Labels[SlugLabel]; ok {
			out = append(out, o.Object)
		}
	}
	return out, ctx.Err()
}

// ReadConfig implements Backend.
func (m *Memory) ReadConfig(ctx context.Context, id string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, o := range m.objects {
		if o.ID == id {
			return bytes.Clone(o.data), ctx.Err()
		}
	}
	return nil, fmt.Errorf("read %s: %w", id, fs.ErrNotExist)
}

// RemoveConfig implements Backend.
func (m *Memory) RemoveConfig(ctx context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, o := range m.objects {
		if o.ID == id {
			m.objects = append(m.objects[:i:i], m.objects[i+1:]...)
			return ctx.Err()
		}
	}
	return fmt.Errorf("remove %s: %w", id, fs.ErrNotExist)
}

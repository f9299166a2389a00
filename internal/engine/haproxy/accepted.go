package haproxy

import (
	"os"
	"slices"
	"sync"

	"interlock/bundle"
)

// maxAccepted bounds the verdicts remembered: a bundle is offered soon after it
// was accepted.
const maxAccepted = 4

// accepted are the bundles that the engine's check has accepted lately, oldest
// first: one that was judged and is offered then is not checked twice. A
// verdict depends on nothing but bundle and binary, so another binary forgets
// all. Refusals are not remembered.
type accepted struct {
	mu      sync.Mutex
	binary  os.FileInfo
	digests []string
}

// has reports whether the bundle of that digest was accepted by this binary.
func (a *accepted) has(binary, digest string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.same(binary) && slices.Contains(a.digests, digest)
}

// put remembers a verdict that began when the binary was as it is.
func (a *accepted) put(binary os.FileInfo, digest string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !sameFile(a.binary, binary) {
		a.binary, a.digests = binary, nil
	}
	if slices.Contains(a.digests, digest) {
		return
	}
	if a.digests = append(a.digests, digest); len(a.digests) > maxAccepted {
		a.digests = slices.Delete(a.digests, 0, 1)
	}
}

func (a *accepted) same(binary string) bool {
	now, err := os.Stat(binary)
	return err == nil && sameFile(a.binary, now)
}

func sameFile(a, b os.FileInfo) bool {
	return a != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// digestOf is "" for a bundle that can't be encoded, which is never remembered.
func digestOf(b bundle.Bundle) string {
	encoded, err := bundle.Encode(b)
	if err != nil {
		return ""
	}
	return bundle.Digest(encoded)
}

// Package bundle is the structure an agent applies: an engine's files and the
// backends they name, without any endpoint. A bundle is known by the digest of
// its encoding; the encoding is the same on the wire, in the store and on a
// proxy's disk.
package bundle

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"sort"
	"strings"
)

// MaxSize bounds an encoded bundle in bytes; larger ones are refused by Decode.
const MaxSize = 32 << 20

// Engines.
const (
	HAProxy  = "haproxy"
	Embedded = "embedded"
)

// Bundle is the structure of one cluster for one engine.
type Bundle struct {
	Cluster  string    `json:"cluster"`
	Engine   string    `json:"engine"`
	Files    []File    `json:"files"`
	Backends []Backend `json:"backends"`
	// Ports are what the engine will listen on, for the agent's test-bind.
	Ports []int `json:"ports"`
}

// File is one text file of the engine's configuration. Path is relative,
// slash-separated, clean, and ours: never built from label text.
type File struct {
	Path string `json:"path"`
	Data string `json:"data"`
}

// Backend says where in the engine the endpoints of a routing.Backend go.
type Backend struct {
	ID string `json:"id"`
	// Sections are the engine's names of the groups that take this backend's
	// endpoints: its own and those of the pools it is in.
	Sections []string `json:"sections"`
	// Server is the engine's options for one endpoint, as rendered.
	Server string `json:"server,omitempty"`
	// DNS is the name that answers with the service's tasks when no core is
	// there ("tasks.<service>"), and Port the port to use then.
	DNS  string `json:"dns,omitempty"`
	Port int    `json:"port,omitempty"`
	// Network is the overlay the addresses must be on, by name.
	Network string `json:"network,omitempty"`
}

// Encode returns the canonical encoding: files by path, backends by id.
func Encode(b Bundle) ([]byte, error) {
	b.Files = append([]File(nil), b.Files...)
	b.Backends = append([]Backend(nil), b.Backends...)
	sort.Slice(b.Files, func(i, j int) bool { return b.Files[i].Path < b.Files[j].Path })
	sort.Slice(b.Backends, func(i, j int) bool { return b.Backends[i].ID < b.Backends[j].ID })
	if err := b.validate(); err != nil {
		return nil, err
	}
	data, err := json.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("encode bundle: %w", err)
	}
	if len(data) > MaxSize {
		return nil, fmt.Errorf("encode bundle: %d bytes, %d allowed", len(data), MaxSize)
	}
	return data, nil
}

// Decode reads an encoded bundle and refuses one that Encode would not write.
func Decode(data []byte) (Bundle, error) {
	var b Bundle
	if len(data) > MaxSize {
		return b, fmt.Errorf("decode bundle: %d bytes, %d allowed", len(data), MaxSize)
	}
	if err := json.Unmarshal(data, &b); err != nil {
		return b, fmt.Errorf("decode bundle: %w", err)
	}
	return b, b.validate()
}

func (b Bundle) validate() error {
	for i, f := range b.Files {
		if f.Path == "" || path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path || strings.HasPrefix(f.Path, "..") {
			return fmt.Errorf("bundle: file path %q is not a clean relative path", f.Path)
		}
		if i > 0 && b.Files[i-1].Path >= f.Path {
			return fmt.Errorf("bundle: file %q twice or out of order", f.Path)
		}
	}
	for i, be := range b.Backends {
		if be.ID == "" || i > 0 && b.Backends[i-1].ID >= be.ID {
			return fmt.Errorf("bundle: backend %q empty, twice or out of order", be.ID)
		}
	}
	return nil
}

// Digest names an encoded bundle: "sha256:" and 64 hex digits.
func Digest(encoded []byte) string {
	sum := sha256.Sum256(encoded)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Position is a place in a cluster's order of generations. An agent never goes
// back in it except to its own last known good (I14).
type Position struct {
	Epoch      uint64 `json:"epoch"`
	Generation uint64 `json:"generation"`
}

// Less orders positions by epoch, then generation.
func (p Position) Less(q Position) bool {
	return p.Epoch < q.Epoch || p.Epoch == q.Epoch && p.Generation < q.Generation
}

// Signed is a published bundle: an encoding, its place, and core's signature
// over cluster, place and digest.
type Signed struct {
	Cluster   string   `json:"cluster"`
	Position  Position `json:"position"`
	Digest    string   `json:"digest"`
	Signature []byte   `json:"signature"`
	Encoded   []byte   `json:"-"`
}

// ErrSignature means that a bundle was not signed by the expected core, or for
// another cluster, place or content.
var ErrSignature = errors.New("bundle: signature does not match")

// Sign publishes an encoded bundle at a position.
func Sign(key ed25519.PrivateKey, cluster string, at Position, encoded []byte) Signed {
	s := Signed{Cluster: cluster, Position: at, Digest: Digest(encoded), Encoded: encoded}
	s.Signature = ed25519.Sign(key, s.statement())
	return s
}

// Verify checks signature and content; it returns ErrSignature when either is off.
func (s Signed) Verify(key ed25519.PublicKey, cluster string) error {
	if s.Digest != Digest(s.Encoded) {
		return ErrSignature
	}
	return s.VerifyClaim(key, cluster)
}

// VerifyClaim checks the signature alone: that core published something with
// this digest at this position. The content may be missing, or another's.
func (s Signed) VerifyClaim(key ed25519.PublicKey, cluster string) error {
	if s.Cluster != cluster || !ed25519.Verify(key, s.statement(), s.Signature) {
		return ErrSignature
	}
	return nil
}

// statement is what is signed: a fixed domain and length-prefixed fields, so
// that no two different publications share their bytes.
func (s Signed) statement() []byte {
	return fmt.Appendf(nil, "interlock bundle v1\n%d:%s\n%d\n%d\n%s\n",
		len(s.Cluster), s.Cluster, s.Position.Epoch, s.Position.Generation, s.Digest)
}

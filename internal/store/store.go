// Package store keeps what must outlive core in Docker's own Raft store, as
// config objects, and sparingly: a careless store once made "docker stack rm"
// fail for everybody [E4].
//
//	il.<slug>.state.<n>  a cluster's claims and last good labels; the two newest
//	il.<slug>.g<n>       a published bundle; the ten newest
//	il.homes.<n>         the collections stacks are at home in; the two newest
//	il.epoch.<n>         a leadership; the two newest
//
// Creating an object by name is a compare-and-swap: a second creator of the
// same name gets ErrConflict [E2]. Objects are never changed. A write whose
// outcome is not known is read back before anything else is done.
//
// Every object is signed in its labels. What is not, or by another key, is
// somebody else's whatever it is called: it is not read, counts for no number
// and no budget, and is never removed; a number whose name it took is passed
// over.
package store

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"interlock/bundle"
	"interlock/internal/swarm"
)

// Limits, in bytes as stored.
const (
	MaxObject = 250_000
	MaxTotal  = 16_000_000
	// Generations kept for each cluster.
	Generations = 10
)

const keepStates = 2

var (
	// ErrConflict means that somebody else wrote first: this core does not lead.
	ErrConflict = errors.New("store: somebody else has written it already")
	// ErrTooLarge means that the data, compressed, exceeds MaxObject.
	ErrTooLarge = errors.New("store: too large")
	// ErrFull means that everything together would exceed MaxTotal.
	ErrFull = errors.New("store: full")
	// ErrTaken means that the name belongs to an object that is not ours: the
	// next number is to be tried.
	ErrTaken = errors.New("store: the name is taken by an object of somebody else's")
)

// Labels on stored objects.
const (
	// SlugLabel is docker.StateLabel: such objects are not listed with others.
	SlugLabel = "com.docker.interlock.state"
	sizeLabel = "com.docker.interlock.size"
	// digestLabel is the SHA-256 of the data as stored, in hex.
	digestLabel = "com.docker.interlock.digest"
	// signatureLabel is core's signature over the name and the labels above.
	signatureLabel = "com.docker.interlock.signature"
)

// Backend holds small immutable objects by name. Errors match fs.ErrExist and
// fs.ErrNotExist where that is the reason; any other error of CreateConfig
// leaves open whether the object is there.
type Backend interface {
	CreateConfig(ctx context.Context, name string, labels map[string]string, data []byte) (id string, err error)
	// StateConfigs lists the objects with SlugLabel.
	StateConfigs(ctx context.Context) ([]swarm.Object, error)
	ReadConfig(ctx context.Context, id string) ([]byte, error)
	RemoveConfig(ctx context.Context, id string) error
}

// Store is safe for concurrent use. It remembers what is stored, so that
// listing, which carries all data, is done once.
type Store struct {
	backend Backend
	key     ed25519.PrivateKey
	log     *slog.Logger

	mu      sync.Mutex
	known   map[string]object // ours, by name; nil until listed
	foreign map[string]string // ids of what only looks like ours, by name
}

// New does nothing until the first call. Objects are signed with key; those
// signed with another are not the store's.
func New(b Backend, key ed25519.PrivateKey, log *slog.Logger) *Store {
	return &Store{backend: b, key: key, log: log}
}

// SaveState stores a cluster's state.
func (s *Store) SaveState(ctx context.Context, slug string, data []byte) error {
	return s.appendTo(ctx, stateSeries(slug), slug, data)
}

// LoadState returns the newest state of a cluster that can be read, nil when
// there is none. An error beside data says what newer state was lost.
func (s *Store) LoadState(ctx context.Context, slug string) ([]byte, error) {
	return s.newest(ctx, stateSeries(slug))
}

// SaveHomes stores what is the Swarm's and not a cluster's.
func (s *Store) SaveHomes(ctx context.Context, data []byte) error {
	return s.appendTo(ctx, homesSeries, "homes", data)
}

// LoadHomes is LoadState for what SaveHomes stored.
func (s *Store) LoadHomes(ctx context.Context) ([]byte, error) { return s.newest(ctx, homesSeries) }

// Epoch starts a leadership: its number is stored, greater than all stored
// before and than floor, which is the greatest that any agent reported. As long
// as others are faster it tries again, ever more slowly, until ctx ends.
func (s *Store) Epoch(ctx context.Context, floor uint64) (uint64, error) {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		epoch, err := s.nextEpoch(ctx, floor)
		if !errors.Is(err, ErrConflict) {
			return epoch, err
		}
		floor = max(floor, epoch)
		select {
		case <-ctx.Done():
			return 0, errors.Join(ctx.Err(), err)
		case <-time.After(pause/2 + rand.N(pause)):
		}
	}
}

func (s *Store) nextEpoch(ctx context.Context, floor uint64) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = nil // another core may have led since
	if err := s.list(ctx); err != nil {
		return 0, err
	}
	n, err := s.next(ctx, epochSeries, max(min(floor, maxNumber), s.newestNumber(epochSeries))+1, "epoch", nil)
	if err != nil {
		return n, fmt.Errorf("store epoch %d: %w", n, err)
	}
	s.prune(ctx, epochSeries, keepStates)
	return n, nil
}

// SaveGeneration stores a published bundle under its generation's number. It
// returns ErrConflict when another core has taken that number (I14), ErrTaken
// when somebody who is not a core has.
//
// Of older ones the newest are kept, and the confirmed one however old it is:
// proxies that lost theirs get it back.
func (s *Store) SaveGeneration(ctx context.Context, slug string, b bundle.Signed, confirmed bundle.Position) error {
	data, err := packBundle(b)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.list(ctx); err != nil {
		return err
	}
	n := b.Position.Generation
	if err := s.create(ctx, bundleSeries(slug), n, slug, data); err != nil {
		return fmt.Errorf("store generation %d of %s: %w", n, slug, err)
	}
	s.prune(ctx, bundleSeries(slug), Generations, confirmed.Generation)
	return nil
}

// LoadGenerations returns a cluster's stored bundles, newest first. Those that
// can't be read are left out and named in the error.
func (s *Store) LoadGenerations(ctx context.Context, slug string) ([]bundle.Signed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.list(ctx); err != nil {
		return nil, err
	}
	var (
		out  []bundle.Signed
		errs []error
	)
	for _, o := range s.series(bundleSeries(slug)) {
		data, err := s.read(ctx, o)
		var b bundle.Signed
		if err == nil {
			b, err = unpackBundle(data)
		}
		if err == nil && b.Position.Generation != o.n {
			err = fmt.Errorf("%w: it holds generation %d", errDamaged, b.Position.Generation)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("load generation %d of %s: %w", o.n, slug, err))
			continue
		}
		out = append(out, b)
	}
	return out, errors.Join(errs...)
}

func (s *Store) appendTo(ctx context.Context, series, slug string, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.list(ctx); err != nil {
		return err
	}
	n, err := s.next(ctx, series, s.newestNumber(series)+1, slug, data)
	if err != nil {
		return fmt.Errorf("store %s%d: %w", series, n, err)
	}
	s.prune(ctx, series, keepStates)
	return nil
}

func (s *Store) newest(ctx context.Context, series string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.list(ctx); err != nil {
		return nil, err
	}
	var errs []error
	for _, o := range s.series(series) {
		data, err := s.read(ctx, o)
		if err == nil {
			return data, errors.Join(errs...)
		}
		errs = append(errs, fmt.Errorf("load %s%d: %w", series, o.n, err))
	}
	return nil, errors.Join(errs...)
}

// series returns the known objects of a series, newest first.
func (s *Store) series(series string) []object {
	var out []object
	for _, o := range s.known {
		if o.series == series {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b object) int { return cmp.Compare(b.n, a.n) })
	return out
}

// newestNumber is the greatest number of a series, 0 when it is empty.
func (s *Store) newestNumber(series string) uint64 {
	if stored := s.series(series); len(stored) > 0 {
		return stored[0].n
	}
	return 0
}

// Fits says, as ErrTooLarge, that an encoded bundle could not be stored.
func Fits(encoded []byte) error {
	if len(encoded) <= MaxObject-headRoom {
		return nil
	}
	packed, err := pack(encoded)
	if err == nil && len(packed) > MaxObject-headRoom {
		err = fmt.Errorf("%w: %d bytes compressed, %d allowed", ErrTooLarge, len(packed), MaxObject-headRoom)
	}
	return err
}

// headRoom is more than what a bundle's place and signature, and the wrapping
// of what can't be compressed, add to it.
const headRoom = 2000

func (s *Store) afford(size int) error {
	if size > MaxObject {
		return fmt.Errorf("%w: %d bytes compressed, %d allowed", ErrTooLarge, size, MaxObject)
	}
	total := size
	for _, o := range s.known {
		total += o.size
	}
	if total > MaxTotal {
		return fmt.Errorf("%w: %d bytes in all, %d allowed", ErrFull, total, MaxTotal)
	}
	return nil
}

// prune removes all but the newest of a series, and those to spare. What can't
// be removed stays known and is tried again after the next write.
func (s *Store) prune(ctx context.Context, series string, keep int, spare ...uint64) {
	stored := s.series(series)
	for _, o := range stored[min(keep, len(stored)):] {
		if slices.Contains(spare, o.n) {
			continue
		}
		err := s.backend.RemoveConfig(ctx, o.id)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			delete(s.known, series+strconv.FormatUint(o.n, 10))
		}
	}
}

const (
	homesSeries = "il.homes."
	epochSeries = "il.epoch."
)

func stateSeries(slug string) string  { return "il." + slug + ".state." }
func bundleSeries(slug string) string { return "il." + slug + ".g" }

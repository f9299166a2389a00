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
package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync"

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
	// ErrTooLarge means that the data, compressed, exceeds MaxObject or
	// everything together MaxTotal.
	ErrTooLarge = errors.New("store: too large")
)

// Labels on stored objects.
const (
	// SlugLabel is docker.StateLabel: such objects are not listed with others.
	SlugLabel = "com.docker.interlock.state"
	sizeLabel = "com.docker.interlock.size"
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

	mu    sync.Mutex
	known map[string]object // by name; nil until listed
}

type object struct {
	id     string
	series string
	n      uint64
	size   int
}

// New does nothing until the first call.
func New(b Backend) *Store { return &Store{backend: b} }

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
// before and than floor, which is the greatest that any agent reported.
func (s *Store) Epoch(ctx context.Context, floor uint64) (uint64, error) {
	for {
		epoch, err := s.nextEpoch(ctx, floor)
		if !errors.Is(err, ErrConflict) {
			return epoch, err
		}
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		floor = max(floor, epoch)
	}
}

func (s *Store) nextEpoch(ctx context.Context, floor uint64) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = nil // another core may have led since
	if err := s.list(ctx); err != nil {
		return 0, err
	}
	n := floor
	for _, o := range s.series(epochSeries) {
		n = max(n, o.n)
	}
	n++
	if err := s.create(ctx, epochSeries, n, "epoch", nil); err != nil {
		return n, fmt.Errorf("store epoch %d: %w", n, err)
	}
	s.prune(ctx, epochSeries, keepStates)
	return n, nil
}

// SaveGeneration stores a published bundle under its generation's number. It
// returns ErrConflict when that number is taken (I14).
func (s *Store) SaveGeneration(ctx context.Context, slug string, b bundle.Signed) error {
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
	s.prune(ctx, bundleSeries(slug), Generations)
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
	n := uint64(1)
	if stored := s.series(series); len(stored) > 0 {
		n = stored[0].n + 1
	}
	if err := s.create(ctx, series, n, slug, data); err != nil {
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

func (s *Store) read(ctx context.Context, o object) ([]byte, error) {
	packed, err := s.backend.ReadConfig(ctx, o.id)
	if err != nil {
		return nil, err
	}
	return unpack(packed)
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

// list fills known when it is not.
func (s *Store) list(ctx context.Context) error {
	if s.known != nil {
		return nil
	}
	objects, err := s.backend.StateConfigs(ctx)
	if err != nil {
		return fmt.Errorf("list stored state: %w", err)
	}
	s.known = map[string]object{}
	for _, o := range objects {
		if series, n, ok := parseName(o.Name); ok {
			size, _ := strconv.Atoi(o.Labels[sizeLabel])
			s.known[o.Name] = object{o.ID, series, n, size}
		}
	}
	return nil
}

// create writes one object. After it failed, known is listed anew: whatever it
// was that happened, it is looked at first.
func (s *Store) create(ctx context.Context, series string, n uint64, slug string, data []byte) error {
	packed, err := pack(data)
	if err != nil {
		return err
	}
	if err := s.afford(len(packed)); err != nil {
		return err
	}
	name := series + strconv.FormatUint(n, 10)
	labels := map[string]string{SlugLabel: slug, sizeLabel: strconv.Itoa(len(packed))}
	id, err := s.backend.CreateConfig(ctx, name, labels, packed)
	if err != nil {
		s.known = nil
		return s.readBack(ctx, name, packed, err)
	}
	s.known[name] = object{id, series, n, len(packed)}
	return nil
}

// readBack finds out whether a write that failed has happened all the same.
func (s *Store) readBack(ctx context.Context, name string, packed []byte, failed error) error {
	if err := s.list(ctx); err != nil {
		return errors.Join(failed, err)
	}
	o, ok := s.known[name]
	if !ok {
		return failed
	}
	there, err := s.backend.ReadConfig(ctx, o.id)
	if err != nil {
		return errors.Join(failed, err)
	}
	// An epoch has no content to tell two writers apart by.
	if slices.Equal(there, packed) && o.series != epochSeries {
		return nil
	}
	return errors.Join(ErrConflict, failed)
}

func (s *Store) afford(size int) error {
	if size > MaxObject {
		return fmt.Errorf("%w: %d bytes compressed, %d allowed", ErrTooLarge, size, MaxObject)
	}
	total := size
	for _, o := range s.known {
		total += o.size
	}
	if total > MaxTotal {
		return fmt.Errorf("%w: %d bytes in all, %d allowed", ErrTooLarge, total, MaxTotal)
	}
	return nil
}

// prune removes all but the newest of a series. What can't be removed stays
// known and is tried again after the next write.
func (s *Store) prune(ctx context.Context, series string, keep int) {
	stored := s.series(series)
	for _, o := range stored[min(keep, len(stored)):] {
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

// parseName takes a name apart into its series and number.
func parseName(name string) (series string, n uint64, ok bool) {
	digits := len(name) - len(strings.TrimRight(name, "0123456789"))
	series, number := name[:len(name)-digits], name[len(name)-digits:]
	n, err := strconv.ParseUint(number, 10, 64)
	return series, n, err == nil && strings.HasPrefix(series, "il.")
}

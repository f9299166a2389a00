package store

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"interlock/internal/swarm"
)

// maxNumber is the greatest number of an object: far from where adding to it
// would wrap.
const maxNumber = 1 << 62

// object is one of ours, as its signed labels say.
type object struct {
	id     string
	series string
	n      uint64
	size   int
	digest string
}

// labelsOf are the labels that make an object ours: anybody who may create
// configs can use our names and labels, but not our key.
func (s *Store) labelsOf(name, slug string, packed []byte) map[string]string {
	size, digest := strconv.Itoa(len(packed)), digestOf(packed)
	signature := ed25519.Sign(s.key, statement(name, slug, size, digest))
	return map[string]string{
		SlugLabel: slug, sizeLabel: size, digestLabel: digest,
		signatureLabel: base64.StdEncoding.EncodeToString(signature),
	}
}

// own reads a listed object; it is false for what is not signed by our key for
// that very name.
func (s *Store) own(o swarm.Object) (object, bool) {
	series, n, ok := parseName(o.Name)
	signature, err := base64.StdEncoding.DecodeString(o.Labels[signatureLabel])
	if !ok || err != nil {
		return object{}, false
	}
	said := statement(o.Name, o.Labels[SlugLabel], o.Labels[sizeLabel], o.Labels[digestLabel])
	if !ed25519.Verify(s.key.Public().(ed25519.PublicKey), said, signature) {
		return object{}, false
	}
	size, err := strconv.Atoi(o.Labels[sizeLabel])
	return object{o.ID, series, n, size, o.Labels[digestLabel]}, err == nil
}

// statement is what is signed: a domain that bundles do not share and
// length-prefixed fields, so that no two objects share its bytes.
func statement(name, slug, size, digest string) []byte {
	text := []byte("interlock stored object v1\n")
	for _, field := range []string{name, slug, size, digest} {
		text = fmt.Appendf(text, "%d:%s\n", len(field), field)
	}
	return text
}

func digestOf(packed []byte) string {
	sum := sha256.Sum256(packed)
	return hex.EncodeToString(sum[:])
}

// list fills known when it is not. Objects that only look like ours are left
// alone, said once, and count for nothing.
func (s *Store) list(ctx context.Context) error {
	if s.known != nil {
		return nil
	}
	objects, err := s.backend.StateConfigs(ctx)
	if err != nil {
		return fmt.Errorf("list stored state: %w", err)
	}
	s.known = map[string]object{}
	foreign := map[string]string{}
	for _, o := range objects {
		if own, ok := s.own(o); ok {
			s.known[o.Name] = own
			continue
		}
		foreign[o.Name] = o.ID
		if s.foreign[o.Name] != o.ID {
			s.log.Warn("a config that looks like stored state was not written with this core's key; it is ignored and left alone", "config", o.Name, "id", o.ID)
		}
	}
	s.foreign = foreign
	return nil
}

// Foreign are the names, sorted, of the configs that look like stored state
// and are not this core's: they are ignored and never removed.
func (s *Store) Foreign() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name := range s.foreign {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// next writes data under the first number from n on that nobody else took, and
// returns it. Steps double, so that a row of taken names is soon passed.
func (s *Store) next(ctx context.Context, series string, n uint64, slug string, data []byte) (uint64, error) {
	for step := uint64(1); ; step *= 2 {
		err := s.create(ctx, series, n, slug, data)
		if !errors.Is(err, ErrTaken) {
			return n, err
		}
		n += step
	}
}

// create writes one object. After it failed, known is listed anew: whatever it
// was that happened, it is looked at first.
func (s *Store) create(ctx context.Context, series string, n uint64, slug string, data []byte) error {
	if n > maxNumber {
		return fmt.Errorf("number %d is greater than %d, the greatest there is", n, uint64(maxNumber))
	}
	packed, err := pack(data)
	if err != nil {
		return err
	}
	if err := s.afford(len(packed)); err != nil {
		return err
	}
	name := series + strconv.FormatUint(n, 10)
	if s.foreign[name] != "" {
		return ErrTaken
	}
	id, err := s.backend.CreateConfig(ctx, name, s.labelsOf(name, slug, packed), packed)
	if err != nil {
		s.known = nil
		return s.readBack(ctx, series, n, packed, err)
	}
	s.known[name] = object{id, series, n, len(packed), digestOf(packed)}
	return nil
}

// readBack finds out whether a write that failed has happened all the same, and
// who took the name if it has not.
func (s *Store) readBack(ctx context.Context, series string, n uint64, packed []byte, failed error) error {
	if err := s.list(ctx); err != nil {
		return errors.Join(failed, err)
	}
	name := series + strconv.FormatUint(n, 10)
	o, ok := s.known[name]
	switch {
	// An epoch has no content to tell two writers apart by.
	case ok && o.digest == digestOf(packed) && series != epochSeries:
		return nil
	case ok || s.newestNumber(series) >= n:
		return errors.Join(ErrConflict, failed)
	case s.foreign[name] != "" || errors.Is(failed, fs.ErrExist):
		return errors.Join(ErrTaken, failed)
	}
	return failed
}

// read returns an object's content, which is what was signed.
func (s *Store) read(ctx context.Context, o object) ([]byte, error) {
	packed, err := s.backend.ReadConfig(ctx, o.id)
	if err != nil {
		return nil, err
	}
	if digestOf(packed) != o.digest {
		return nil, fmt.Errorf("%w: it is not what was signed", errDamaged)
	}
	return unpack(packed)
}

// parseName takes a name apart into its series and number.
func parseName(name string) (series string, n uint64, ok bool) {
	digits := len(name) - len(strings.TrimRight(name, "0123456789"))
	series, number := name[:len(name)-digits], name[len(name)-digits:]
	n, err := strconv.ParseUint(number, 10, 64)
	return series, n, err == nil && n <= maxNumber && strings.HasPrefix(series, "il.")
}

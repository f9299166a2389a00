package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

// layers are the base as it is, then our own files.
func (i Image) layers() ([]layer, error) {
	var layers []layer
	if i.Base != "" {
		base, err := fileLayer(i.Base)
		if err != nil {
			return nil, err
		}
		layers = append(layers, base)
	}
	own, err := i.ownLayer()
	return append(layers, own), err
}

func fileLayer(name string) (layer, error) {
	f, err := os.Open(name)
	if err != nil {
		return layer{}, err
	}
	defer f.Close()
	h := sha256.New()
	size, err := io.Copy(h, f)
	if err != nil {
		return layer{}, fmt.Errorf("read %s: %w", name, err)
	}
	return layer{
		digest: hex.EncodeToString(h.Sum(nil)), size: size,
		open: func() (io.ReadCloser, error) { return os.Open(name) },
	}, nil
}

func (i Image) ownLayer() (layer, error) {
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for _, dir := range slices.Sorted(maps.Keys(i.Dirs)) {
		err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: strings.TrimPrefix(dir, "/") + "/", Mode: tarMode(i.Dirs[dir])})
		if err != nil {
			return layer{}, err
		}
	}
	for _, to := range slices.Sorted(maps.Keys(i.Files)) {
		data, err := os.ReadFile(i.Files[to])
		if err != nil {
			return layer{}, err
		}
		if err := writeEntry(tw, strings.TrimPrefix(to, "/"), 0o755, bytes.NewReader(data), int64(len(data))); err != nil {
			return layer{}, err
		}
	}
	if err := tw.Close(); err != nil {
		return layer{}, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil }
	return layer{digest: sum(b.Bytes()), size: int64(b.Len()), open: open}, nil
}

// tarMode is a mode in tar's own bits.
func tarMode(m os.FileMode) int64 {
	mode := int64(m.Perm())
	if m&os.ModeSticky != 0 {
		mode |= 0o1000
	}
	return mode
}

func (l layer) copyTo(tw *tar.Writer, name string) error {
	r, err := l.open()
	if err != nil {
		return err
	}
	defer r.Close()
	return writeEntry(tw, name, 0o644, r, l.size)
}

func writeEntry(tw *tar.Writer, name string, mode int64, r io.Reader, size int64) error {
	if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: size}); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if _, err := io.Copy(tw, r); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// Package image writes container images as archives that `docker load` reads,
// without an engine and without a registry: the same files give the same image
// on every node.
package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"time"
)

// Image is an image to write.
type Image struct {
	Ref  string // name:tag
	Base string // a root file system as a tar file; "" is from scratch
	// Files are copied in, by their absolute path in the image, with mode 0755.
	Files map[string]string
	// Dirs are made, with their modes.
	Dirs map[string]os.FileMode

	Entrypoint, Cmd []string
	Env             []string
	StopSignal      string
}

// layer is one layer's tar and its digest.
type layer struct {
	digest string // hex
	size   int64
	open   func() (io.ReadCloser, error)
}

// WriteFile writes the image to a file, whole or not at all.
func (i Image) WriteFile(name string) error {
	f, err := os.CreateTemp(path.Dir(name), ".image-*")
	if err != nil {
		return fmt.Errorf("write image %s: %w", i.Ref, err)
	}
	defer os.Remove(f.Name())
	if err := i.write(f); err != nil {
		f.Close()
		return fmt.Errorf("write image %s: %w", i.Ref, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write image %s: %w", i.Ref, err)
	}
	return os.Rename(f.Name(), name)
}

func (i Image) write(w io.Writer) error {
	layers, err := i.layers()
	if err != nil {
		return err
	}
	config, err := json.Marshal(i.config(layers))
	if err != nil {
		return err
	}
	configName := sum(config) + ".json"
	names := make([]string, len(layers))
	tw := tar.NewWriter(w)
	for n, l := range layers {
		names[n] = l.digest + "/layer.tar"
		if err := l.copyTo(tw, names[n]); err != nil {
			return err
		}
	}
	manifest, err := json.Marshal([]map[string]any{{"Config": configName, "RepoTags": []string{i.Ref}, "Layers": names}})
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		data []byte
	}{{configName, config}, {"manifest.json", manifest}} {
		if err := writeEntry(tw, f.name, 0o644, bytes.NewReader(f.data), int64(len(f.data))); err != nil {
			return err
		}
	}
	return tw.Close()
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

// config is the image's configuration in the form of the OCI image
// specification, which is Docker's too. Without times, so that it is stable.
func (i Image) config(layers []layer) map[string]any {
	ids := make([]string, len(layers))
	for n, l := range layers {
		ids[n] = "sha256:" + l.digest
	}
	return map[string]any{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"created":      time.Unix(0, 0).UTC(),
		"config": map[string]any{
			"Env":        append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, i.Env...),
			"Entrypoint": i.Entrypoint, "Cmd": i.Cmd, "StopSignal": i.StopSignal, "WorkingDir": "/",
		},
		"rootfs": map[string]any{"type": "layers", "diff_ids": ids},
	}
}

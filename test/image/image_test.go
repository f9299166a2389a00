package image

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func entries(t *testing.T, r io.Reader) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		if found[h.Name], err = io.ReadAll(tr); err != nil {
			t.Fatal(err)
		}
	}
}

// The same input gives the same bytes, and a layer's name is the digest of what
// it holds, so that `docker load` accepts it.
func TestSameFilesSameImage(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "binary")
	if err := os.WriteFile(binary, []byte("a program"), 0o755); err != nil {
		t.Fatal(err)
	}
	var wrote [2][]byte
	for n := range wrote {
		out := filepath.Join(dir, "image.tar")
		if err := Core("dev", binary).WriteFile(out); err != nil {
			t.Fatal(err)
		}
		var err error
		if wrote[n], err = os.ReadFile(out); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(wrote[0], wrote[1]) {
		t.Error("two archives of the same files differ")
	}
}

func TestLayersNameWhatTheyHold(t *testing.T) {
	dir := t.TempDir()
	binary, out := filepath.Join(dir, "binary"), filepath.Join(dir, "image.tar")
	if err := os.WriteFile(binary, []byte("a program"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Demo("v1", binary).WriteFile(out); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var layers int
	for name, data := range entries(t, f) {
		dir, base := filepath.Split(name)
		if base != "layer.tar" {
			continue
		}
		layers++
		if diff := cmp.Diff(sum(data)+"/", dir); diff != "" {
			t.Errorf("layer %s (-what it holds +its name):\n%s", name, diff)
		}
	}
	if layers != 1 {
		t.Errorf("%d layers, want 1", layers)
	}
}

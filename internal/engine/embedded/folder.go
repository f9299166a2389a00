package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"interlock/bundle"
	"interlock/internal/engine"
	"interlock/internal/runfolder"
)

// Where the engine's process and those who drive it meet, in the run folder.
// The files are the whole truth; an order on the socket only says which of
// them to read again. An engine that is started anew reads all of them.
const (
	// BundleFile is the present bundle. It is replaced only when it changes.
	BundleFile = "embedded.json"
	healthFile = "embedded.health"
	socketFile = "embedded.sock"
)

// stagedVersion is of the form of BundleFile.
const stagedVersion = 1

// staged is BundleFile's content.
type staged struct {
	Version  int             `json:"version"`
	Revision string          `json:"revision"`
	Bundle   json.RawMessage `json:"bundle"` // as of bundle.Encode
}

func encodeStaged(b bundle.Bundle, revision string) ([]byte, error) {
	encoded, err := bundle.Encode(b)
	if err != nil {
		return nil, err
	}
	return json.Marshal(staged{stagedVersion, revision, encoded})
}

// readStaged returns fs.ErrNotExist where nothing was staged yet.
func readStaged(folder runfolder.Folder) (b bundle.Bundle, revision string, err error) {
	f, err := os.Open(folder.Path(BundleFile))
	if err != nil {
		return b, "", fmt.Errorf("read the bundle: %w", err)
	}
	defer f.Close()
	var s staged
	const most = bundle.MaxSize + 4<<10
	if err := json.NewDecoder(io.LimitReader(f, most)).Decode(&s); err != nil {
		return b, "", fmt.Errorf("read the bundle: %w", err)
	}
	if s.Version != stagedVersion {
		return b, "", fmt.Errorf("read the bundle: its form is %d, not %d", s.Version, stagedVersion)
	}
	b, err = bundle.Decode(s.Bundle)
	return b, s.Revision, err
}

// readHealth is "not ready" until something else was said.
func readHealth(folder runfolder.Folder) (engine.Health, error) {
	data, err := os.ReadFile(folder.Path(healthFile))
	if errors.Is(err, fs.ErrNotExist) {
		return engine.NotReady, nil
	}
	switch h := engine.Health(data); {
	case err != nil:
		return "", fmt.Errorf("read the health: %w", err)
	case h != engine.Ready && h != engine.NotReady && h != engine.Drain:
		return "", fmt.Errorf("read the health: %q is none", data)
	default:
		return h, nil
	}
}

// loadBundle makes the engine what the folder says, all but its health.
func (e *Engine) loadBundle(ctx context.Context, folder runfolder.Folder) error {
	b, revision, err := readStaged(folder)
	if err != nil {
		return err
	}
	eps, err := folder.Endpoints()
	if err != nil {
		return err
	}
	return e.Apply(ctx, b, revision, eps)
}

func (e *Engine) loadEndpoints(ctx context.Context, folder runfolder.Folder) error {
	eps, err := folder.Endpoints()
	if err != nil {
		return err
	}
	return e.SetEndpoints(ctx, eps)
}

func (e *Engine) loadHealth(ctx context.Context, folder runfolder.Folder) error {
	h, err := readHealth(folder)
	if err != nil {
		return err
	}
	return e.SetHealth(ctx, h)
}

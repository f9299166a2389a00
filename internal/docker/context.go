package docker

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/docker/cli/cli/connhelper"
	"github.com/moby/moby/client"
)

// resolve turns Options into the client's, in the order of the Docker CLI:
// what was given, DOCKER_HOST, DOCKER_CONTEXT, the current context, the default.
func (o Options) resolve() ([]client.Opt, error) {
	if o.Host == "" && os.Getenv("DOCKER_HOST") == "" {
		found, err := currentContext()
		if err != nil {
			return nil, err
		}
		o.Host, o.CACert, o.Cert, o.Key = found.Host, found.CACert, found.Cert, found.Key
	}
	if o.Host == "" {
		return fromEnvironment()
	}
	opts, err := atHost(o.Host)
	if err != nil {
		return nil, err
	}
	if o.CACert != "" || o.Cert != "" {
		opts = append(opts, client.WithTLSClientConfig(o.CACert, o.Cert, o.Key))
	}
	return opts, nil
}

func fromEnvironment() ([]client.Opt, error) {
	opts, err := atHost(os.Getenv("DOCKER_HOST"))
	return append([]client.Opt{client.FromEnv}, opts...), err
}

// atHost goes through ssh where the address says so, as the Docker CLI does.
func atHost(host string) ([]client.Opt, error) {
	if host == "" {
		return nil, nil
	}
	helper, err := connhelper.GetConnectionHelper(host)
	if err != nil {
		return nil, err
	}
	if helper == nil {
		return []client.Opt{client.WithHost(host)}, nil
	}
	return []client.Opt{client.WithHost(helper.Host), client.WithDialContext(helper.Dialer)}, nil
}

// currentContext reads the Docker CLI's store of contexts; empty Options mean
// the default one.
func currentContext() (Options, error) {
	folder := os.Getenv("DOCKER_CONFIG")
	if folder == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			// Core's container has no home, and no contexts.
			return Options{}, nil
		}
		folder = filepath.Join(home, ".docker")
	}
	name, err := contextName(folder)
	if err != nil || name == "" || name == "default" {
		return Options{}, err
	}
	return readContext(folder, name)
}

func contextName(folder string) (string, error) {
	if name := os.Getenv("DOCKER_CONTEXT"); name != "" {
		return name, nil
	}
	var file struct{ CurrentContext string }
	err := readJSON(filepath.Join(folder, "config.json"), &file)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return file.CurrentContext, err
}

func readContext(folder, name string) (Options, error) {
	sum := sha256.Sum256([]byte(name))
	id := hex.EncodeToString(sum[:])
	var meta struct {
		Endpoints struct {
			Docker struct{ Host string } `json:"docker"`
		}
	}
	if err := readJSON(filepath.Join(folder, "contexts", "meta", id, "meta.json"), &meta); err != nil {
		return Options{}, fmt.Errorf("read Docker context %q: %w", name, err)
	}
	o := Options{Host: meta.Endpoints.Docker.Host}
	tls := filepath.Join(folder, "contexts", "tls", id, "docker")
	for file, to := range map[string]*string{"ca.pem": &o.CACert, "cert.pem": &o.Cert, "key.pem": &o.Key} {
		path := filepath.Join(tls, file)
		if _, err := os.Stat(path); err == nil {
			*to = path
		}
	}
	return o, nil
}

func readJSON(path string, into any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

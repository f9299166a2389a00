package dev

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Bounds of what is read: a mistaken directory must not fill the memory.
const (
	maxFiles    = 1000
	maxFileSize = 1 << 20
	maxDepth    = 4
)

// configFile is the name of the operator's file in the directory.
const configFile = "config.toml"

// file is one stack file.
type file struct {
	path  string // below the directory, by slashes
	stack string
	data  []byte
	err   error // it can't be read, or is too large
}

// scan reads all stack files below dir, sorted by path, and config.toml (nil
// when there is none).
func scan(dir string) (files []file, config []byte, err error) {
	root := os.DirFS(dir)
	err = fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil && name == ".":
			return err
		case err != nil:
			return nil // it went away meanwhile
		case entry.IsDir() && name != "." && (strings.HasPrefix(entry.Name(), ".") || strings.Count(name, "/") >= maxDepth):
			return fs.SkipDir
		case !isStackFile(entry):
			return nil
		case len(files) == maxFiles:
			return fmt.Errorf("%s holds more than %d stack files", dir, maxFiles)
		}
		f := file{path: name, stack: stackName(name)}
		f.data, f.err = readBounded(root, name)
		files = append(files, f)
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read directory: %w", err)
	}
	config, err = readBounded(root, configFile)
	if err != nil && !os.IsNotExist(err) {
		return nil, nil, fmt.Errorf("read %s: %w", filepath.Join(dir, configFile), err)
	}
	return unique(files), config, nil
}

func isStackFile(entry fs.DirEntry) bool {
	ext := path.Ext(entry.Name())
	return !entry.IsDir() && !strings.HasPrefix(entry.Name(), ".") && (ext == ".yml" || ext == ".yaml")
}

// stackName is the name a stack is deployed by: the file's, or its folder's
// where the file has one of the usual names.
func stackName(name string) string {
	base := strings.TrimSuffix(path.Base(name), path.Ext(name))
	usual := []string{"docker-stack", "docker-compose", "compose", "stack"}
	if dir := path.Dir(name); dir != "." && slices.Contains(usual, base) {
		return path.Base(dir)
	}
	return base
}

// unique gives a stack whose name is taken the name of its whole path.
func unique(files []file) []file {
	taken := map[string]bool{}
	for i, f := range files {
		if taken[f.stack] {
			files[i].stack = strings.ReplaceAll(strings.TrimSuffix(f.path, path.Ext(f.path)), "/", "-")
		}
		taken[files[i].stack] = true
	}
	return files
}

func readBounded(root fs.FS, name string) ([]byte, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err == nil && len(data) > maxFileSize {
		return nil, fmt.Errorf("%s is larger than %d bytes", name, maxFileSize)
	}
	return data, err
}

// fingerprint tells two scans apart.
func fingerprint(files []file, config []byte) string {
	sum := sha256.New()
	for _, f := range files {
		fmt.Fprintf(sum, "%d %s %d %v\n", len(f.path), f.path, len(f.data), f.err)
		sum.Write(f.data)
	}
	fmt.Fprintf(sum, "config %v %d\n", config != nil, len(config))
	sum.Write(config)
	return string(sum.Sum(nil))
}

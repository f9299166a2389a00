package lkg

import (
	"os"
)

// files are the operations that change a disk, apart so that a test can stop
// between any two of them.
type files interface {
	mkdir(path string) error
	// write returns when the data is on the disk.
	write(path string, data []byte) error
	rename(from, to string) error
	// sync makes the entries of a directory last.
	sync(dir string) error
	// remove is no error where nothing is.
	remove(path string) error
}

// disk is the real one.
type disk struct{}

func (disk) mkdir(path string) error      { return os.MkdirAll(path, 0o700) }
func (disk) rename(from, to string) error { return os.Rename(from, to) }
func (disk) remove(path string) error     { return os.RemoveAll(path) }

func (disk) write(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

func (disk) sync(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

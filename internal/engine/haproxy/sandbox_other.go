//go:build !linux

package haproxy

import "errors"

// Judge works on Linux only, where the proxies are.
func Judge(binary, config string) error {
	return errors.New("judge: bundles are judged on Linux only")
}

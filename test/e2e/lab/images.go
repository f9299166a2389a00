package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"interlock/test/image"
)

// images writes the archives of all images into a folder.
func images(args []string) error {
	flags := flag.NewFlagSet("images", flag.ContinueOnError)
	version := flags.String("version", "dev", "version of the images")
	root := flags.String("haproxy", ".run/haproxy.tar", "root file system with HAProxy 3.0 or newer")
	out := flags.String("out", ".run/images", "folder for the archives")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := os.MkdirAll(*out, 0o755); err != nil {
		return fmt.Errorf("make the folder of images: %w", err)
	}
	for name, i := range map[string]image.Image{
		"interlock":       image.Core(*version, "bin/interlock"),
		"interlock-proxy": image.Proxy(*version, "bin/interlock", *root),
		"interlock-demo":  image.Demo(*version, "bin/demo"),
		// For the story: an extension with a fault, and a next image for the proxies.
		"interlock-faulty": image.Faulty(*version, "bin/faulty"),
		"interlock-proxy2": image.Proxy(*version+"2", "bin/interlock", *root),
	} {
		file := filepath.Join(*out, name+".tar")
		if err := i.WriteFile(file); err != nil {
			return err
		}
		fmt.Printf("images: %s in %s\n", i.Ref, file)
	}
	return nil
}

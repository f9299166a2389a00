// Child is the process of one render in the tests of package extension. The
// table's cluster says how it misbehaves.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"interlock/bundle"
	"interlock/extension"
	"interlock/routing"
)

func main() {
	r := extension.Pure("misbehaving", "1", map[string]extension.Func{bundle.HAProxy: render})
	os.Exit(extension.RunChild(context.Background(), r, os.Args[1], os.Stdin, os.Stdout, os.Stderr))
}

func render(t routing.Table) (bundle.Bundle, error) {
	b := bundle.Bundle{Cluster: t.Cluster, Engine: bundle.HAProxy}
	switch t.Cluster {
	case "refuse":
		return b, fmt.Errorf("this table is wrong")
	case "hang":
		for {
		}
	case "hog":
		for hog := [][]byte(nil); ; {
			hog = append(hog, []byte(strings.Repeat("x", 1<<20)))
		}
	case "panic":
		panic("at the disco")
	case "die":
		os.Exit(7)
	case "chatter":
		for range 1 << 10 {
			os.Stderr.WriteString(strings.Repeat("noise ", 1<<10))
		}
		os.Exit(1)
	case "flood":
		for range 64 {
			os.Stdout.WriteString(strings.Repeat("x", 1<<20))
		}
	case "environment":
		b.Files = []bundle.File{{Path: "env", Data: strings.Join(os.Environ(), "\n")}}
	}
	return b, nil
}

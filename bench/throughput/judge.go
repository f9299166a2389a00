package main

import (
	"fmt"
	"os"

	"interlock/internal/engine/haproxy"
)

// runJudge is the throw-away child of the engine's check.
func runJudge(args []string) int {
	if len(args) != 2 {
		fmt.Fprintln(os.Stderr, "judge: binary and configuration are needed")
		return 2
	}
	if err := haproxy.Judge(args[0], args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	return 0
}

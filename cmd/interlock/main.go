// Interlock is a layer-7 router for Docker Swarm that keeps one team's mistake
// away from everyone else. This command is all of its programs.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
)

// version is set by the linker.
var version = "dev"

// Exit codes that outside programs rely on.
const (
	exitFindings = 1 // findings of severity error
	exitUsage    = 2 // usage, or an input that can't be read
)

// exitError ends the program with a code of its own; msg may be empty when all
// has been said.
type exitError struct {
	code int
	msg  string
	hint string
}

func (e *exitError) Error() string { return e.msg }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

func run(ctx context.Context, args []string) int {
	// Docker's loader of stack files writes advice there that is none of ours.
	logrus.SetOutput(io.Discard)
	root := newRootCommand()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	code := exitUsage
	var exit *exitError
	if errors.As(err, &exit) {
		code = exit.code
	}
	if err.Error() != "" {
		fmt.Fprintln(os.Stderr, "interlock:", err)
	}
	if exit != nil && exit.hint != "" {
		fmt.Fprintln(os.Stderr, "hint:", exit.hint)
	}
	return code
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "interlock",
		Short:         "Layer-7 routing for Docker Swarm, with a service cluster for each environment.",
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		// A shell's completions are no part of routing.
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetUsageFunc(writeUsage)
	root.AddCommand(verbs()...)
	return root
}

// Lab makes images, and starts and removes the Swarm of the demonstration; it
// is what `make images`, `make up` and `make down` run.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("say what to do: images, up, story or down")
	}
	switch args[0] {
	case "images":
		return images(args[1:])
	case "up":
		return up(ctx, args[1:])
	case "story":
		return story(ctx, args[1:])
	case "down":
		return down(ctx)
	default:
		return fmt.Errorf("%q is none of images, up, story, down", args[0])
	}
}

package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"interlock/test/e2e"
	"interlock/test/swarm"
)

// labName is the Swarm's of make up.
const labName = "up"

// up sets everything up, tells the story, and leaves all running.
func up(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("up", flag.ContinueOnError)
	quiet := flags.Bool("no-story", false, "only set up")
	layout := flags.String("layout", "shared", "shared or dedicated")
	if err := flags.Parse(args); err != nil {
		return err
	}
	o, err := options(*layout)
	if err != nil {
		return err
	}
	lab, err := e2e.Up(ctx, o)
	if err != nil {
		return err
	}
	if !*quiet {
		if err := lab.Story(ctx); err != nil {
			return err
		}
	}
	lab.HowToLook()
	return nil
}

func options(layout string) (e2e.Options, error) {
	root, err := os.Getwd()
	if err != nil {
		return e2e.Options{}, fmt.Errorf("find the repository: %w", err)
	}
	o := e2e.Options{Name: labName, Layout: e2e.Shared(), Root: root, Out: os.Stdout}
	if layout == "dedicated" {
		o.Layout = e2e.Dedicated()
	}
	return o, nil
}

// story tells the story, or the steps that begin with an argument, on what an
// earlier up left running.
func story(ctx context.Context, args []string) error {
	o, err := options("shared")
	if err != nil {
		return err
	}
	lab, err := e2e.Attach(ctx, o)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		args = []string{""}
	}
	return lab.StoryOf(ctx, args[0])
}

// down removes what up made, also after a crash.
func down(ctx context.Context) error {
	if err := swarm.Down(ctx, "", labName); err != nil {
		return err
	}
	fmt.Println("down: nothing of make up is left")
	return nil
}

package core

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"time"

	"interlock/internal/config"
	"interlock/internal/problems"
)

// configSlug is under which the last config.toml that could be read is stored.
// No cluster has this slug: slugs begin with a letter or digit.
const configSlug = "-config"

// LoadConfig is what text says, or, when it can't be read at all, what the last
// one that could said, with a problem beside it. It waits for the store.
func LoadConfig(ctx context.Context, s Store, text []byte, log *slog.Logger) (config.File, error) {
	file := config.Parse(text, "config.toml")
	for {
		good, err := lastGood(ctx, s, text, file, log)
		if err == nil || ctx.Err() != nil {
			return good, err
		}
		log.Error("the last good config.toml can't be loaded", "error", err)
		select {
		case <-ctx.Done():
			return file, ctx.Err()
		case <-time.After(5 * time.Second):
		}
	}
}

func lastGood(ctx context.Context, s Store, text []byte, file config.File, log *slog.Logger) (config.File, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	stored, err := s.LoadState(ctx, configSlug)
	if file.Unreadable == "" {
		if err == nil && !bytes.Equal(stored, text) {
			err = s.SaveState(ctx, configSlug, text)
		}
		if err != nil {
			log.Warn("config.toml is not kept as last good", "error", err)
		}
		return file, nil
	}
	if err != nil && stored == nil {
		return file, fmt.Errorf("load the last good config.toml: %w", err)
	}
	good := config.Parse(stored, "config.toml")
	good.Problems = append(good.Problems, problems.New(problems.ConfigUnreadable,
		"config.toml can't be read: "+file.Unreadable, "correct it and run interlock install again; the last good one is in force"))
	return good, nil
}

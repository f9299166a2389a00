package extension

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"interlock/bundle"
	"interlock/routing"
)

// Limits bound a Child. Zero values take the defaults.
type Limits struct {
	// Memory bounds one render's memory in bytes (512 MiB).
	Memory uint64
	// Time bounds one render beside its caller's deadline (20 s).
	Time time.Duration
	// Concurrent is how many renders run at once; more wait (8).
	Concurrent int
}

// Child is a Renderer that renders in a process of its own for each request:
// what a table does to it, deadline and memory included, it does to no other.
type Child struct {
	describe Description
	command  []string
	limits   Limits
	slots    chan struct{}
}

// NewChild runs command with the engine as last argument for each render. The
// command calls RunChild. It gets no environment and inherits no files.
func NewChild(d Description, limits Limits, command ...string) *Child {
	if limits.Memory == 0 {
		limits.Memory = 512 << 20
	}
	if limits.Time == 0 {
		limits.Time = 20 * time.Second
	}
	if limits.Concurrent == 0 {
		limits.Concurrent = 8
	}
	return &Child{describe: d, command: command, limits: limits, slots: make(chan struct{}, limits.Concurrent)}
}

// Describe returns the description the child was made with.
func (c *Child) Describe() Description { return c.describe }

// Render renders t in a process of its own.
func (c *Child) Render(ctx context.Context, engine string, t routing.Table) (bundle.Bundle, error) {
	table, err := json.Marshal(t)
	if err != nil {
		return bundle.Bundle{}, fmt.Errorf("encode table: %w", err)
	}
	encoded, err := c.renderEncoded(ctx, engine, table)
	if err != nil {
		return bundle.Bundle{}, err
	}
	return bundle.Decode(encoded)
}

func (c *Child) renderEncoded(ctx context.Context, engine string, table []byte) ([]byte, error) {
	if !slices.Contains(c.describe.Engines, engine) {
		return nil, fmt.Errorf("%w: %.40q", ErrEngine, engine)
	}
	ctx, cancel := context.WithTimeout(ctx, c.limits.Time)
	defer cancel()
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for a free slot: %w", ctx.Err())
	}
	return c.run(ctx, engine, table)
}

// run gives the child its limits before its input: until then it only waits.
func (c *Child) run(ctx context.Context, engine string, table []byte) ([]byte, error) {
	cmd := exec.CommandContext(ctx, c.command[0], append(c.command[1:len(c.command):len(c.command)], engine)...)
	cmd.Env = []string{fmt.Sprintf("GOMEMLIMIT=%d", c.limits.Memory*3/4)}
	cmd.WaitDelay = time.Second
	stdout, stderr := &bounded{max: bundle.MaxSize}, &bounded{max: maxWords}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start renderer: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start renderer: %w", err)
	}
	limitErr := c.limit(cmd.Process.Pid)
	if limitErr == nil {
		// A child that ends before it has read all tells why by how it ends.
		_, _ = stdin.Write(table)
	}
	stdin.Close()
	if err := errors.Join(limitErr, cmd.Wait()); err != nil {
		return nil, verdict(ctx, err, stderr.text())
	}
	if stdout.over {
		return nil, fmt.Errorf("renderer wrote more than %d bytes", bundle.MaxSize)
	}
	return stdout.buf.Bytes(), nil
}

// limit bounds what the kernel counts for the child: its private writable
// memory, and its processor time in case nobody is left to kill it.
func (c *Child) limit(pid int) error {
	seconds := uint64(c.limits.Time/time.Second) + 2
	for resource, n := range map[int]uint64{unix.RLIMIT_DATA: c.limits.Memory, unix.RLIMIT_CPU: seconds, unix.RLIMIT_CORE: 0} {
		if err := unix.Prlimit(pid, resource, &unix.Rlimit{Cur: n, Max: n}, nil); err != nil {
			return fmt.Errorf("limit renderer: %w", err)
		}
	}
	return nil
}

// exitRefused is how a child says that the words on stderr are a refusal.
const exitRefused = 3

func verdict(ctx context.Context, err error, words string) error {
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("renderer was stopped: %w", ctx.Err())
	case errors.As(err, &exit) && exit.ExitCode() == exitRefused:
		return &Refusal{Words: words}
	default:
		first, _, _ := strings.Cut(words, "\n")
		return fmt.Errorf("renderer ended: %w: %.200s", err, first)
	}
}

// RunChild is the other side of a Child: it reads one table from stdin, renders
// it with r for engine, and writes the encoded bundle to stdout or words to
// stderr. It returns the process's exit code.
func RunChild(ctx context.Context, r Renderer, engine string, stdin io.Reader, stdout, stderr io.Writer) int {
	table, err := io.ReadAll(io.LimitReader(stdin, MaxTable+1))
	if err == nil && len(table) > MaxTable {
		err = &Refusal{Words: fmt.Sprintf("the table has more than %d bytes", MaxTable)}
	}
	var encoded []byte
	if err == nil {
		encoded, err = renderEncoded(ctx, r, engine, table)
	}
	if err == nil {
		_, err = stdout.Write(encoded)
	}
	if err == nil {
		return 0
	}
	fmt.Fprint(stderr, err)
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return exitRefused
	}
	return 1
}

// bounded keeps the first max bytes and swallows the rest, so that a child that
// talks too much is not blocked but found out.
type bounded struct {
	buf  bytes.Buffer
	max  int
	over bool
}

func (b *bounded) Write(p []byte) (int, error) {
	keep := min(len(p), b.max-b.buf.Len())
	b.over = b.over || keep < len(p)
	b.buf.Write(p[:keep])
	return len(p), nil
}

func (b *bounded) text() string { return strings.ToValidUTF8(b.buf.String(), "\uFFFD") }

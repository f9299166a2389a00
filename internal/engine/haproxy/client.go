package haproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"syscall"
	"time"
)

const (
	// commandTimeout bounds one Runtime API command, answer included.
	commandTimeout = 2 * time.Second
	// maxCommand is the greatest command in bytes: larger ones made HAProxy
	// 2.6 abort (reference: reliability.md §0.5).
	maxCommand = 8 << 10
	// maxAnswer bounds an answer: "show servers state" of 100,000 servers is
	// about 8 MB.
	maxAnswer = 64 << 20
)

// word is what one argument of a command may be made of. A newline or a
// semicolon would start a second command, a "<<" a payload.
var word = regexp.MustCompile(`^[A-Za-z0-9_./:@#%+=,!\[\]-]+$`)

// client speaks the Runtime API on one unix socket: a connection for each
// command, so that no answer can be taken for another's.
type client struct{ socket string }

// do sends one command of words and returns its answer without surrounding
// white space.
func (c client) do(ctx context.Context, words ...string) (string, error) {
	return c.doFor(ctx, commandTimeout, words...)
}

func (c client) doFor(ctx context.Context, limit time.Duration, words ...string) (string, error) {
	line, err := command(words)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	answer, err := c.exchange(ctx, line)
	if err != nil {
		return "", fmt.Errorf("haproxy command %q: %w", words[0], err)
	}
	return strings.TrimSpace(answer), nil
}

// expect sends a command whose answer must be exactly want.
func (c client) expect(ctx context.Context, want string, words ...string) error {
	answer, err := c.do(ctx, words...)
	if err != nil {
		return err
	}
	if answer != want {
		return &answerError{command: strings.Join(words, " "), answer: answer}
	}
	return nil
}

func (c client) exchange(ctx context.Context, line string) (string, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", c.socket)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return "", err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if _, err := io.WriteString(conn, line); err != nil {
		return "", err
	}
	// The master's socket answers until its client has finished sending.
	if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(io.LimitReader(conn, maxAnswer+1))
	if err != nil {
		return "", err
	}
	if len(answer) > maxAnswer {
		return "", fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
	}
	return string(answer), nil
}

// command joins words to a line and refuses what could be read as more than
// one command.
func command(words []string) (string, error) {
	size := 0
	for _, w := range words {
		if !word.MatchString(w) {
			return "", fmt.Errorf("haproxy command: %q is not a plain word", w)
		}
		size += len(w) + 1
	}
	if size == 0 || size > maxCommand {
		return "", fmt.Errorf("haproxy command of %d bytes, 1 to %d allowed", size, maxCommand)
	}
	return strings.Join(words, " ") + "\n", nil
}

// answerError is an answer other than the one that means success.
type answerError struct{ command, answer string }

func (e *answerError) Error() string {
	return fmt.Sprintf("haproxy answered %q to %q", e.answer, e.command)
}

// notRunning reports whether err means that nobody is there who could answer:
// no engine, or one that is starting or ending.
func notRunning(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

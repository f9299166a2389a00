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

// batch sends many commands, as many at once as fit, and returns the answer to
// each. It is for commands whose answer is at most one line.
func (c client) batch(ctx context.Context, commands [][]string) ([]string, error) {
	answers := make([]string, 0, len(commands))
	for len(commands) > 0 {
		line, n, err := joined(commands)
		if err != nil {
			return nil, err
		}
		got, err := c.once(ctx, line)
		if err == nil {
			answers, err = split(answers, got, n)
		}
		if err != nil {
			return nil, fmt.Errorf("haproxy command %q: %w", commands[0][0], err)
		}
		commands = commands[n:]
	}
	return answers, nil
}

func (c client) once(ctx context.Context, line string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	return c.exchange(ctx, line)
}

// joined is one line of the first n commands.
func joined(commands [][]string) (line string, n int, err error) {
	for _, words := range commands {
		next, err := command(words)
		if err != nil {
			return "", 0, err
		}
		if n > 0 && len(line)+len(next) > maxCommand {
			break
		}
		line = strings.TrimSuffix(line, "\n")
		if n++; n > 1 {
			line += ";"
		}
		line += next
	}
	return line, n, nil
}

// split takes n answers apart: each is a line or nothing, and an empty line.
func split(answers []string, got string, n int) ([]string, error) {
	for range n {
		answer := ""
		if !strings.HasPrefix(got, "\n") {
			var ok bool
			if answer, got, ok = strings.Cut(got, "\n"); !ok {
				return nil, errors.New("an answer is missing")
			}
		}
		var ok bool
		if got, ok = strings.CutPrefix(got, "\n"); !ok {
			return nil, fmt.Errorf("more than a line was answered: %q", tail(answer, 100))
		}
		answers = append(answers, strings.TrimSpace(answer))
	}
	if got != "" {
		return nil, fmt.Errorf("more was answered than asked: %q", tail(got, 100))
	}
	return answers, nil
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

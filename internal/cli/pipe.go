package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
)

// Pipe connects in and out to the unix socket at path until both directions
// have ended or ctx does.
func Pipe(ctx context.Context, path string, in io.Reader, out io.Writer) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return fmt.Errorf("core's API: %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	go func() {
		// When in ends the other side is told, and may still answer.
		_, _ = io.Copy(conn, in)
		if half, ok := conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	}()
	if _, err := io.Copy(out, conn); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("core's API: %w", err)
	}
	return nil
}

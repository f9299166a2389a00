package extension

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"interlock/bundle"
	extensionv1 "interlock/proto/extension/v1"
)

const (
	// renderDeadline bounds a render whose caller gave no deadline, or a later one.
	renderDeadline = 30 * time.Second
	// stopDeadline bounds how long requests are finished after ctx ended.
	stopDeadline = 5 * time.Second
	// maxMessage is the larger of the two payloads with room for the rest.
	maxMessage = max(MaxTable, bundle.MaxSize) + 64<<10
)

// Serve answers requests on l with r until ctx ends, then finishes what is
// running for a few seconds. config says who may call: it must verify clients.
func Serve(ctx context.Context, l net.Listener, config *tls.Config, r Renderer, log *slog.Logger) error {
	g := grpc.NewServer(
		grpc.Creds(credentials.NewTLS(config)),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxSendMsgSize(maxMessage),
		grpc.MaxConcurrentStreams(64),
		grpc.ConnectionTimeout(10*time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: ping / 2, PermitWithoutStream: true}),
	)
	extensionv1.RegisterExtensionServer(g, &server{renderer: r, log: log})
	stopped := make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		stop(g)
		close(stopped)
	})
	if err := g.Serve(l); err != nil && unhook() {
		return fmt.Errorf("serve extension on %s: %w", l.Addr(), err)
	}
	<-stopped
	return nil
}

// stop lets requests finish, but not for ever.
func stop(g *grpc.Server) {
	cut := time.AfterFunc(stopDeadline, g.Stop)
	defer cut.Stop()
	g.GracefulStop()
}

type server struct {
	extensionv1.UnimplementedExtensionServer
	renderer Renderer
	log      *slog.Logger
}

func (s *server) Describe(context.Context, *extensionv1.DescribeRequest) (*extensionv1.DescribeResponse, error) {
	d := s.renderer.Describe()
	return &extensionv1.DescribeResponse{Name: d.Name, Version: d.Version, Engines: d.Engines, TableSchema: d.TableSchema}, nil
}

func (s *server) Render(ctx context.Context, req *extensionv1.RenderRequest) (*extensionv1.RenderResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, renderDeadline)
	defer cancel()
	if known := s.renderer.Describe().TableSchema; req.TableSchema > known || req.TableSchema == 0 {
		return nil, status.Errorf(codes.FailedPrecondition, "table schema %d is not understood, %d is the greatest", req.TableSchema, known)
	}
	began := time.Now()
	encoded, err := guarded(ctx, s.renderer, req.Engine, req.Table)
	if err != nil {
		s.log.Warn("table not rendered", "engine", req.Engine, "bytes", len(req.Table), "error", err)
		return nil, toStatus(ctx, err)
	}
	s.log.Info("table rendered", "engine", req.Engine, "bytes", len(req.Table), "bundle", len(encoded), "took", time.Since(began))
	return &extensionv1.RenderResponse{Bundle: encoded}, nil
}

// guarded keeps a renderer's panic to its request.
func guarded(ctx context.Context, r Renderer, engine string, table []byte) (encoded []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("renderer panicked: %v", p)
		}
	}()
	return renderEncoded(ctx, r, engine, table)
}

// maxWords bounds the words of an error in bytes.
const maxWords = 4 << 10

func toStatus(ctx context.Context, err error) error {
	words := err.Error()
	words = strings.ToValidUTF8(words[:min(len(words), maxWords)], "\uFFFD")
	var refusal *Refusal
	switch {
	case errors.As(err, &refusal):
		return status.Error(codes.InvalidArgument, words)
	case errors.Is(err, ErrEngine):
		return status.Error(codes.Unimplemented, words)
	case ctx.Err() != nil:
		return status.FromContextError(ctx.Err()).Err()
	default:
		return status.Error(codes.Internal, words)
	}
}

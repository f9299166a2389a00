package extension

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"interlock/bundle"
	extensionv1 "interlock/proto/extension/v1"
	"interlock/routing"
)

// Client calls one extension. It connects when it is first used, again after a
// failure with growing pauses, and to any address its name resolves to. It is
// safe for concurrent use.
type Client struct {
	conn *grpc.ClientConn
	rpc  extensionv1.ExtensionClient
}

const (
	// callDeadline bounds a call whose context has no deadline, or a later one.
	callDeadline = 40 * time.Second
	// ping is how often an idle connection is tried, and pingTimeout how long an
	// answer may take: an extension whose node lost its power closes nothing,
	// and without them is believed to be there for a quarter of an hour.
	ping, pingTimeout = 10 * time.Second, 5 * time.Second
	// redialMax bounds the pauses between attempts to connect.
	redialMax = 5 * time.Second
)

// Dial makes a client for the extension at address, "host:port"; config says
// which peer is accepted there. It does not connect yet.
func Dial(address string, config *tls.Config) (*Client, error) {
	conn, err := grpc.NewClient("dns:///"+address,
		grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: ping, Timeout: pingTimeout, PermitWithoutStream: true}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: redialMax},
			MinConnectTimeout: redialMax,
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("extension at %s: %w", address, err)
	}
	return &Client{conn: conn, rpc: extensionv1.NewExtensionClient(conn)}, nil
}

// Close ends the client and all its calls.
func (c *Client) Close() error { return c.conn.Close() }

// Describe asks what the extension is.
func (c *Client) Describe(ctx context.Context) (Description, error) {
	ctx, cancel := context.WithTimeout(ctx, callDeadline)
	defer cancel()
	d, err := c.rpc.Describe(ctx, &extensionv1.DescribeRequest{})
	if err != nil {
		return Description{}, fmt.Errorf("describe extension: %w", err)
	}
	return Description{Name: d.Name, Version: d.Version, Engines: d.Engines, TableSchema: d.TableSchema}, nil
}

// Render asks for the bundle of t. A *Refusal means that the extension finds t
// wrong; any other error says nothing about t. What comes back is decoded and
// compared with what was asked for; beyond that it is as good as the extension.
func (c *Client) Render(ctx context.Context, engine string, t routing.Table) (bundle.Bundle, error) {
	table, err := json.Marshal(t)
	if err != nil {
		return bundle.Bundle{}, fmt.Errorf("encode table: %w", err)
	}
	encoded, err := c.RenderEncoded(ctx, engine, TableSchema, table)
	if err != nil {
		return bundle.Bundle{}, err
	}
	b, err := bundle.Decode(encoded)
	if err != nil {
		return bundle.Bundle{}, fmt.Errorf("extension's answer: %w", err)
	}
	if b.Cluster != t.Cluster || b.Engine != engine {
		return bundle.Bundle{}, fmt.Errorf("extension's answer: it is for cluster %.40q and engine %.40q", b.Cluster, b.Engine)
	}
	return b, nil
}

// RenderEncoded is Render in the bytes of the contract; nothing is checked.
func (c *Client) RenderEncoded(ctx context.Context, engine string, schema uint32, table []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callDeadline)
	defer cancel()
	res, err := c.rpc.Render(ctx, &extensionv1.RenderRequest{Engine: engine, TableSchema: schema, Table: table})
	if status.Code(err) == codes.InvalidArgument {
		return nil, &Refusal{Words: status.Convert(err).Message()}
	}
	if err != nil {
		return nil, fmt.Errorf("extension: %w", err)
	}
	return res.Bundle, nil
}

package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"interlock/bench/synthetic"
	"interlock/extension/haproxy"
	"interlock/internal/compile"
	"interlock/internal/config"
	"interlock/internal/engine"
	enginehaproxy "interlock/internal/engine/haproxy"
	"interlock/internal/policy"
	"interlock/routing"
)

// peer is one proxy to measure. start writes its configuration into dir and
// runs it until stop.
type peer struct {
	name  string
	start func(ctx context.Context, dir string) (stop func(), err error)
}

const logFile = "stderr.log"

// process runs a command until stop, which waits for its end. What it says goes
// to a file in dir.
func process(ctx context.Context, dir, path string, args ...string) (func(), error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	log, err := os.Create(filepath.Join(dir, logFile))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	return func() {
		cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(5*time.Second, func() { cmd.Process.Kill() })
		defer kill.Stop()
		cmd.Wait()
	}, nil
}

func written(dir, name, text string) (string, error) {
	path := filepath.Join(dir, name)
	return path, os.WriteFile(path, []byte(text), 0o644)
}

// startOrigin answers every request with a small body.
func startOrigin(ctx context.Context, o options, dir string) (func(), error) {
	path, err := written(dir, "origin.cfg", fmt.Sprintf(`
global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 1s
frontend origin
  bind %s
  http-request return status 200 content-type text/plain string "ok, this is the origin's answer\n"
`, originAddr))
	if err != nil {
		return nil, err
	}
	return process(ctx, dir, o.haproxy, "-db", "-f", path)
}

// minimal routes and does nothing else: a host map and backends.
func minimal(o options) peer { return byHand("haproxy, minimal", o, "", "") }

// like also checks servers, and tells services and clients what Interlock does.
func like(o options) peer {
	return byHand("haproxy, like", o, `
  option forwardfor
  unique-id-format %{+X}o%ci:%cp_%fi:%fp_%Ts_%rt:%pid
  unique-id-header x-request-id
  http-request set-header x-real-ip %[src]
  http-request set-header x-forwarded-proto http
  http-request set-header x-forwarded-host %[req.hdr(host)]
  http-response set-header x-request-id %[unique-id]`, " check inter 2s fall 2 rise 1")
}

func byHand(name string, o options, rules, server string) peer {
	return peer{name, func(ctx context.Context, dir string) (func(), error) {
		var cfg, hosts strings.Builder
		fmt.Fprintf(&cfg, `
global
  maxconn 4096
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 1s
frontend web
  bind %s%s
  use_backend %%[req.hdr(host),lower,map_str(%s)]
`, proxyAddr, rules, filepath.Join(dir, "hosts.map"))
		for i := range o.services {
			fmt.Fprintf(&hosts, "%s app%d\n", hostOf(i), i)
			fmt.Fprintf(&cfg, "backend app%d\n  server a %s%s\n", i, originAddr, server)
		}
		if _, err := written(dir, "hosts.map", hosts.String()); err != nil {
			return nil, err
		}
		path, err := written(dir, "haproxy.cfg", cfg.String())
		if err != nil {
			return nil, err
		}
		return process(ctx, dir, o.haproxy, "-W", "-db", "-f", path)
	}}
}

// interlock goes the product's own way from a snapshot to a running engine.
func interlock(o options) peer {
	return peer{"haproxy, by interlock", func(ctx context.Context, dir string) (func(), error) {
		table := table(o.services)
		b, err := haproxy.Render(table)
		if err != nil {
			return nil, err
		}
		binary, err := filepath.Abs(o.haproxy)
		if err != nil {
			return nil, err
		}
		run := filepath.Join(dir, "run")
		e, err := enginehaproxy.New(enginehaproxy.Options{Run: run, Binary: binary,
			Judge: []string{os.Args[0], "-judge"}, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			return nil, err
		}
		endpoints := routing.Endpoints{}
		for _, be := range table.Backends {
			endpoints[be.ID] = []routing.Endpoint{{Address: "127.0.0.1", Port: originPort}}
		}
		os.Remove(filepath.Join(run, "haproxy.cfg"))
		applied := make(chan error, 1)
		go func() { applied <- e.Apply(ctx, b, "bench", endpoints) }()
		stop, err := supervise(ctx, binary, run)
		if err != nil {
			return nil, err
		}
		if err := <-applied; err != nil {
			stop()
			return nil, err
		}
		return stop, e.SetHealth(ctx, engine.Ready)
	}}
}

// supervise starts HAProxy as the supervisor does, once its file is there.
func supervise(ctx context.Context, binary, run string) (func(), error) {
	path := filepath.Join(run, "haproxy.cfg")
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(path); err == nil {
			return process(ctx, run, binary, "-W", "-db", "-S", filepath.Join(run, "master.sock")+",mode,600", "-f", path)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}

func table(services int) routing.Table {
	snapshot, cluster := synthetic.Snapshot(services, 1), synthetic.Cluster()
	cluster.Policy.MaxRoutes = max(cluster.Policy.MaxRoutes, services)
	cluster.Base.HTTPPort, cluster.Base.HealthPort = proxyPort, healthPort
	admitted := policy.Admit(policy.Input{Snapshot: snapshot, Clusters: []config.Cluster{cluster}})
	return compile.Compile(compile.NewInput(cluster, snapshot, admitted.Admitted[cluster.Name], nil)).Table
}

func nginx(o options) peer {
	return peer{"nginx", func(ctx context.Context, dir string) (func(), error) {
		var b strings.Builder
		fmt.Fprintf(&b, `
daemon off;
pid %[1]s/nginx.pid;
error_log %[1]s/error.log;
worker_processes auto;
events { worker_connections 4096; }
http {
  access_log off;
  server_names_hash_max_size 65536;
  server_names_hash_bucket_size 128;
  client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f;
  uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $host;
`, dir)
		for i := range o.services {
			fmt.Fprintf(&b, "  upstream app%d { server %s; keepalive 16; }\n", i, originAddr)
			fmt.Fprintf(&b, "  server { listen %s; server_name %s; location / { proxy_pass http://app%d; } }\n", proxyAddr, hostOf(i), i)
		}
		b.WriteString("}\n")
		path, err := written(dir, "nginx.conf", b.String())
		if err != nil {
			return nil, err
		}
		return process(ctx, dir, filepath.Join(o.peers, "usr/sbin/nginx"), "-c", path, "-e", filepath.Join(dir, "error.log"))
	}}
}

func caddy(o options) peer {
	return peer{"caddy", func(ctx context.Context, dir string) (func(), error) {
		var b strings.Builder
		b.WriteString("{\n  admin off\n  auto_https off\n}\n")
		for i := range o.services {
			fmt.Fprintf(&b, "http://%s:%d {\n  bind 127.0.0.1\n  reverse_proxy %s\n}\n", hostOf(i), proxyPort, originAddr)
		}
		path, err := written(dir, "Caddyfile", b.String())
		if err != nil {
			return nil, err
		}
		return process(ctx, dir, filepath.Join(o.peers, "usr/bin/caddy"), "run", "--config", path, "--adapter", "caddyfile")
	}}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"interlock/bench/synthetic"
)

// All addresses are on loopback.
const (
	proxyAddr  = "127.0.0.1:21880"
	proxyPort  = 21880
	healthPort = 21884
	originAddr = "127.0.0.1:21881"
	originPort = 21881
)

func hostOf(i int) string { return synthetic.Host(i) }

// load runs wrk over all hosts in turn and reads its report.
func load(ctx context.Context, o options, dir string) (rate, p99 float64, err error) {
	script := filepath.Join(dir, "hosts.lua")
	text := fmt.Sprintf(`
local n = 0
request = function()
  n = (n + 7) %% %d
  return wrk.format("GET", "/", { Host = string.format("app-%%05d.bench.example.com", n) })
end
`, o.services)
	if err := os.WriteFile(script, []byte(text), 0o644); err != nil {
		return 0, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(o.seconds)*time.Second+startTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, "wrk", "-t1", "-c"+strconv.Itoa(o.connections),
		"-d"+strconv.Itoa(o.seconds)+"s", "--latency", "-s", script, "http://"+proxyAddr).CombinedOutput()
	if err != nil {
		return 0, 0, fmt.Errorf("wrk: %w: %s", err, out)
	}
	return report(string(out))
}

var (
	rateLine = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)
	p99Line  = regexp.MustCompile(`99%\s+([0-9.]+)(us|ms|s)`)
	badLine  = regexp.MustCompile(`Non-2xx or 3xx responses: \d+|Socket errors: .*`)
)

func report(out string) (rate, p99 float64, err error) {
	if bad := badLine.FindString(out); bad != "" {
		return 0, 0, errors.New("the load saw failures: " + bad)
	}
	r, p := rateLine.FindStringSubmatch(out), p99Line.FindStringSubmatch(out)
	if r == nil || p == nil {
		return 0, 0, fmt.Errorf("wrk's report can't be read: %s", out)
	}
	rate, _ = strconv.ParseFloat(r[1], 64)
	p99, _ = strconv.ParseFloat(p[1], 64)
	return rate, p99 * map[string]float64{"us": 0.001, "ms": 1, "s": 1000}[p[2]], nil
}

// awaitOK polls until the host is answered with 200.
func awaitOK(ctx context.Context, addr, host string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		if last = getOK(ctx, addr, host); last == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no 200 for %s from %s: %w", host, addr, last)
		case <-tick.C:
		}
	}
}

func getOK(ctx context.Context, addr, host string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/", nil)
	if err != nil {
		return err
	}
	request.Host, request.Close = host, true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	io.Copy(io.Discard, io.LimitReader(response.Body, 1<<16))
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}

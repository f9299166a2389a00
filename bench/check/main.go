// Command check measures `interlock check`: the program itself, on stack files
// on disk, with JSON as output. It may use one core. A row is a number of files
// and how many in a hundred of them Docker would refuse.
//
//	go run ./bench/check
//	go run ./bench/check -files 1000,10000 -rounds 9 -json
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"interlock/internal/check"
)

// result is one row. Times are medians of processor time in milliseconds, from
// the program's start to its end.
type result struct {
	Files    int     `json:"files"`
	Refused  int     `json:"refused_percent"`
	Rounds   int     `json:"rounds"`
	CPU      float64 `json:"cpu_ms"`
	Least    float64 `json:"least_ms"`
	Most     float64 `json:"most_ms"`
	Routes   int     `json:"routes"`
	Problems int     `json:"problems"`
	MaxRSS   int64   `json:"max_rss_bytes"`
}

func main() {
	files := flag.String("files", "100,1000", "numbers of files, comma-separated")
	refused := flag.String("refused", "0,10", "percentages of files that Docker would refuse")
	rounds := flag.Int("rounds", 5, "rounds for each row")
	asJSON := flag.Bool("json", false, "print JSON")
	flag.Parse()
	if err := run(*files, *refused, *rounds, *asJSON); err != nil {
		fmt.Fprintln(os.Stderr, "bench/check:", err)
		os.Exit(1)
	}
}

func run(files, refused string, rounds int, asJSON bool) error {
	sizes, err := numbers(files, 1)
	if err != nil {
		return fmt.Errorf("-files: %w", err)
	}
	parts, err := numbers(refused, 0)
	if err != nil {
		return fmt.Errorf("-refused: %w", err)
	}
	dir, err := os.MkdirTemp("", "bench-check-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "interlock")
	if out, err := exec.Command("go", "build", "-o", program, "./cmd/interlock").CombinedOutput(); err != nil {
		return fmt.Errorf("build the program: %w: %s", err, out)
	}
	var results []result
	for _, part := range parts {
		for _, n := range sizes {
			fmt.Fprintf(os.Stderr, "%d files, %d%% refused…\n", n, part)
			r, err := measure(program, dir, n, part, max(rounds, 1))
			if err != nil {
				return err
			}
			results = append(results, r)
		}
	}
	if asJSON {
		return json.NewEncoder(os.Stdout).Encode(results)
	}
	print(results)
	return nil
}

func numbers(list string, least int) ([]int, error) {
	var out []int
	for _, s := range strings.Split(list, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < least {
			return nil, fmt.Errorf("%q is not a number from %d", s, least)
		}
		out = append(out, n)
	}
	return out, nil
}

func measure(program, dir string, n, refused, rounds int) (result, error) {
	r := result{Files: n, Refused: refused, Rounds: rounds}
	names, err := write(dir, n, refused)
	if err != nil {
		return r, err
	}
	var times []float64
	for range rounds {
		ms, err := once(program, names, &r)
		if err != nil {
			return r, err
		}
		times = append(times, ms)
	}
	slices.Sort(times)
	r.Least, r.CPU, r.Most = times[0], times[len(times)/2], times[len(times)-1]
	if want := 2 * accepted(n, refused); r.Routes != want {
		return r, fmt.Errorf("%d routes, want %d", r.Routes, want)
	}
	return r, nil
}

// once runs the program and returns its processor time in milliseconds.
func once(program string, names []string, r *result) (float64, error) {
	var out bytes.Buffer
	cmd := exec.Command(program, append([]string{"check", "--format", "json"}, names...)...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1) {
		return 0, fmt.Errorf("run interlock check: %w", err)
	}
	var report check.Report
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		return 0, fmt.Errorf("read the report: %w", err)
	}
	r.Routes, r.Problems = len(report.Routes), len(report.Problems)
	if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		r.MaxRSS = max(r.MaxRSS, u.Maxrss*1024)
	}
	return float64(cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()) / float64(time.Millisecond), nil
}

// stack is a stack file as people write them, with its number and a key that
// Docker knows left open.
const stack = `version: "3.8"
x-logging: &logging
  driver: json-file
  options: {max-size: 10m, max-file: "3"}
services:
  web:
    image: registry.example.com/shop/web:1.4.2
    networks: [front, back]
    environment:
      LOG_LEVEL: ${LOG_LEVEL:-info}
      DATABASE: db
    logging: *logging
    healthcheck:
      test: ["CMD", "wget", "-qO-", "http://127.0.0.1:8080/healthz"]
      interval: 10s
    deploy:
      replicas: 3
      update_config: {order: start-first, parallelism: 1}
      resources:
        limits: {cpus: "0.50", memory: 256M}
      labels:
        com.docker.lb.hosts: web-%[1]d.example.com
        com.docker.lb.port: "8080"
        com.docker.lb.network: edge
  api:
    image: registry.example.com/shop/api:1.4.2
    networks: [front, back]
    logging: *logging
    secrets: [token]
    %[2]s: [dist/server.js]
    deploy:
      labels:
        - com.docker.lb.hosts=api-%[1]d.example.com
        - com.docker.lb.port=3000
        - com.docker.lb.network=edge
  db:
    image: postgres:16
    networks: [back]
    logging: *logging
    volumes: ["data:/var/lib/postgresql/data"]
    deploy:
      placement:
        constraints: ["node.labels.storage==ssd"]
networks:
  front: {external: true, name: edge}
  back: {}
volumes:
  data: {}
secrets:
  token: {external: true, name: token-%[1]d}
`

// write makes n stack files, refused in a hundred with a key that Docker does
// not know.
func write(dir string, n, refused int) ([]string, error) {
	var names []string
	for i := range n {
		key := "command"
		if isRefused(i, refused) {
			key = "comand"
		}
		name := filepath.Join(dir, fmt.Sprintf("stack%05d.yml", i))
		if err := os.WriteFile(name, fmt.Appendf(nil, stack, i, key), 0o600); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

func isRefused(i, percent int) bool { return i%100 < percent }

func accepted(n, percent int) int {
	count := 0
	for i := range n {
		if !isRefused(i, percent) {
			count++
		}
	}
	return count
}

func print(results []result) {
	fmt.Println("interlock check, the whole program on one core; medians of processor time in ms.")
	fmt.Printf("%8s %9s %8s %9s %8s %8s %8s %9s %7s\n", "files", "refused %", "routes", "problems", "cpu", "least", "most", "per file", "RSS MB")
	for _, r := range results {
		fmt.Printf("%8d %9d %8d %9d %8.0f %8.0f %8.0f %9.2f %7.0f\n", r.Files, r.Refused, r.Routes, r.Problems,
			r.CPU, r.Least, r.Most, r.CPU/float64(r.Files), float64(r.MaxRSS)/1e6)
	}
}

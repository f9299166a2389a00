package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"interlock/internal/api"
	"interlock/routing"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata")

// source answers with what a test file holds.
type source struct {
	status   api.Status
	routes   []api.Route
	problems []routing.Problem
}

func (s source) Status() api.Status              { return s.status }
func (s source) Routes() []api.Route             { return s.routes }
func (s source) Problems() []routing.Problem     { return s.problems }
func (source) Plan(context.Context) (any, error) { return nil, errors.New("no \x1b[31mplan") }
func (source) Approve(_ context.Context, a api.Approval) (api.Approval, error) {
	a.From = "/dev"
	return a, nil
}
func (source) Claims() []api.Claim { return nil }
func (source) ReleaseClaims(context.Context, api.ClaimOrder) ([]api.Claim, error) {
	return nil, api.ErrBadRequest
}
func (source) TransferClaims(context.Context, api.ClaimOrder) ([]api.Claim, error) {
	return nil, api.ErrBadRequest
}
func (s source) Counters() []api.Counter {
	return []api.Counter{{Name: "interlock_x_total", Help: "X.", Cluster: "a\"b", Value: 3}}
}
func (source) Explain(context.Context, string, string) (any, error) {
	return nil, api.ErrBadRequest
}

// serve runs the API of src on a unix socket and returns its path.
func serve(t *testing.T, src api.Source) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "api.sock")
	l, err := api.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	go func() { done <- api.Serve(ctx, l, api.Handler(src, log)) }()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return path
}

// connect reaches the API as a verb does: through Pipe, as Docker's exec would.
func connect(t *testing.T, path string) *Client {
	c := Dial(func(ctx context.Context) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			Pipe(t.Context(), path, far, far)
			far.Close()
		}()
		return near, nil
	})
	t.Cleanup(func() { c.Close() })
	return c
}

// TestOutput goes from the API's JSON over the pipe to text: each file in
// testdata has the answers and what is written.
func TestOutput(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { testOutput(t, file) })
	}
}

func testOutput(t *testing.T, file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	ar := txtar.Parse(data)
	var src source
	for _, f := range ar.Files {
		into := map[string]any{"status.json": &src.status, "routes.json": &src.routes, "problems.json": &src.problems}[f.Name]
		if into != nil {
			if err := json.Unmarshal(f.Data, into); err != nil {
				t.Fatal(f.Name, err)
			}
		}
	}
	c := connect(t, serve(t, src))
	got := source{}
	for path, into := range map[string]any{"status": &got.status, "routes": &got.routes, "problems": &got.problems} {
		if err := c.Get(t.Context(), path, nil, into); err != nil {
			t.Fatal(err)
		}
	}
	got.status.Started = time.Now().Add(-90 * time.Minute)
	var status, routes, problems bytes.Buffer
	WriteStatus(&status, got.status, Style{})
	WriteRoutes(&routes, got.routes)
	WriteProblems(&problems, got.problems, Style{})
	out := &txtar.Archive{Comment: ar.Comment}
	for _, f := range ar.Files {
		if text := map[string]*bytes.Buffer{"status.txt": &status, "routes.txt": &routes, "problems.txt": &problems}[f.Name]; text != nil {
			f.Data = text.Bytes()
		}
		out.Files = append(out.Files, f)
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(out), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(string(data), string(txtar.Format(out))); d != "" {
		t.Error(d)
	}
}

func TestErrorsOfCore(t *testing.T) {
	c := connect(t, serve(t, source{}))
	err := c.Get(t.Context(), "plan", nil, nil)
	if err == nil || !strings.Contains(err.Error(), `no \x1b[31mplan (500)`) {
		t.Error(err)
	}
	if err := c.Get(t.Context(), "explain", nil, nil); err == nil || !strings.Contains(err.Error(), "(400)") {
		t.Error(err)
	}
}

// TestErrorsOfReaching: why core can't be reached is said without the address
// that only the client knows, and its advice is kept.
func TestErrorsOfReaching(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&HintError{errors.New("core is gone"), "look"}, "ask core for its status: core is gone"},
		{context.DeadlineExceeded, "ask core for its status: there was no answer in time"},
	} {
		client := Dial(func(context.Context) (net.Conn, error) { return nil, c.err })
		err := client.Get(t.Context(), "status", nil, nil)
		if err == nil || err.Error() != c.want {
			t.Errorf("%v, not %s", err, c.want)
		}
		var hint *HintError
		if errors.As(c.err, &hint) != errors.As(err, &hint) {
			t.Errorf("%v: the hint is lost", err)
		}
	}
}

func TestMetrics(t *testing.T) {
	path := serve(t, source{status: api.Status{SnapshotAge: 1500, Clusters: []api.Cluster{{Name: "a\"b\n", State: api.Ready}}}})
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET /v1/metrics HTTP/1.0\r\n\r\n")
	data, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(data), "\r\n\r\n")
	sample := regexp.MustCompile(`^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{([a-z]+="(\\.|[^"\\\n])*",?)*\})? [0-9.e+-]+)$`)
	for line := range strings.Lines(body) {
		if !sample.MatchString(strings.TrimSuffix(line, "\n")) {
			t.Errorf("not in the text format: %q", line)
		}
	}
	for _, want := range []string{"interlock_snapshot_age_seconds 1.5\n", `interlock_cluster_ready{cluster="a\"b\n"} 1`, `interlock_x_total{cluster="a\"b"} 3`} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is missing in\n%s", want, body)
		}
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain, with ümläut": "plain, with ümläut",
		"\x1b[2J":            `\x1b[2J`,
		"a\nb\tc\r":          `a\x0ab\x09c\x0d`,
		"\u202eevil":         `\u202eevil`,
		"no\u00a0break":      `no\xa0break`,
		"bad \xff byte":      `bad \xff byte`,
		"\U000e0041tag":      `\U000e0041tag`,
	} {
		if got := Printable(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzPrintable(f *testing.F) {
	f.Add("\x1b]0;title\a")
	f.Fuzz(func(t *testing.T, s string) {
		got := Printable(s)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, unsafeRune) {
			t.Fatalf("%q: %q", s, got)
		}
	})
}

func TestWrap(t *testing.T) {
	got := wrap(strings.Repeat("word ", 40)+strings.Repeat("x", 100), "  ", Width)
	for line := range strings.Lines(got) {
		if len(line) > Width+1 && !strings.Contains(line, "xxx") {
			t.Errorf("too long: %q", line)
		}
	}
}

// TestPost: an order reaches core and its answer comes back; one that can't be
// read is refused.
func TestPost(t *testing.T) {
	c := connect(t, serve(t, source{}))
	var got api.Approval
	if err := c.Post(t.Context(), "approve", api.Approval{Owner: "shop\x1b[31m", Collection: "/prod"}, &got); err != nil {
		t.Fatal(err)
	}
	want := `stack "shop\x1b[31m" is at home in /prod, no longer in /dev`
	if Approved(got) != want {
		t.Errorf("%q, not %q", Approved(got), want)
	}
	if err := c.Post(t.Context(), "approve", []string{"shop"}, &got); err == nil || !strings.Contains(err.Error(), "400") {
		t.Errorf("an order that is none: %v", err)
	}
	if err := c.Post(t.Context(), "approve", strings.Repeat("x", 1<<20), &got); err == nil {
		t.Error("an order of 1 MB is taken")
	}
}

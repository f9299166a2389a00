package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDistribution(t *testing.T) {
	var values []time.Duration
	for i := 200; i > 0; i-- {
		values = append(values, time.Duration(i)*time.Millisecond)
	}
	want := measure{Name: "x", N: 200, Min: 1, P50: 100, P90: 180, P99: 198, Max: 200}
	if diff := cmp.Diff(want, distribution("x", values)); diff != "" {
		t.Error(diff)
	}
	one := measure{Name: "x", N: 1, Min: 7, P50: 7, P90: 7, P99: 7, Max: 7}
	if diff := cmp.Diff(one, distribution("x", []time.Duration{7 * time.Millisecond})); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(measure{Name: "x"}, distribution("x", nil)); diff != "" {
		t.Error(diff)
	}
}

func TestVerdict(t *testing.T) {
	good := result{
		left:   []departure{{shrinks, 200 * time.Millisecond, 3 * time.Second}},
		counts: map[string]count{arrives: {50, 40}, grows: {10, 0}, removes: {30, 20}},
	}
	if err := summarize([]result{good}).verdict(); err != nil {
		t.Error("a round without loss:", err)
	}
	late := good
	late.left = []departure{{removes, 3100 * time.Millisecond, 3 * time.Second}}
	if r := summarize([]result{good, late}); r.Late != 1 || r.verdict() == nil {
		t.Errorf("%d of %d tasks are late: %v", r.Late, r.Left, r.verdict())
	}
	lossy := good
	lossy.counts = map[string]count{replaces: {10, 1}}
	if summarize([]result{lossy}).verdict() == nil {
		t.Error("a failed request is no loss")
	}
}

func TestPrint(t *testing.T) {
	var out strings.Builder
	summarize([]result{{created: time.Second, left: []departure{{shrinks, time.Second, 3 * time.Second}}}}).print(&out)
	for _, line := range strings.Split(out.String(), "\n") {
		if n := len([]rune(line)); n > 104 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if !strings.Contains(out.String(), "1 tasks left, 0 of them") {
		t.Error(out.String())
	}
}

package rollout

import (
	"fmt"
	"math/bits"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestHalvesFindsExactlyTheGuilty: with guilty services that do not depend on
// each other, exactly they are found, within k·(2·log2(n)+1) judgements.
func TestHalvesFindsExactlyTheGuilty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 300).Draw(t, "n")
		guilty := rapid.SliceOfNDistinct(rapid.IntRange(0, n-1), 1, min(n, 6), rapid.ID[int]).Draw(t, "guilty")
		isGuilty := map[string]bool{}
		for _, g := range guilty {
			isGuilty[service(g)] = true
		}
		h, judged := solve(services(n), func(try []string) bool {
			return slices.ContainsFunc(try, func(s string) bool { return isGuilty[s] })
		})
		if len(h.guilty) != len(guilty) || len(h.good) != n-len(guilty) {
			t.Fatalf("guilty %v, found %v", guilty, h.guilty)
		}
		if limit := len(guilty) * (2*bits.Len(uint(n)) + 1); judged > limit {
			t.Fatalf("%d judgements, %d allowed", judged, limit)
		}
	})
}

// TestHalvesGoodIsAccepted: whatever depends on whatever, what is left was
// accepted as a whole, and no service is lost.
func TestHalvesGoodIsAccepted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 60).Draw(t, "n")
		clauses := rapid.SliceOfN(rapid.SliceOfN(rapid.IntRange(0, n-1), 1, 4), 1, 5).Draw(t, "clauses")
		refused := func(try []string) bool {
			return slices.ContainsFunc(clauses, func(c []int) bool {
				return !slices.ContainsFunc(c, func(i int) bool { return !slices.Contains(try, service(i)) })
			})
		}
		all := services(n)
		h, _ := solve(all, refused)
		if refused(h.good) || len(h.good)+len(h.guilty) != n {
			t.Fatalf("good %v, guilty %v", h.good, h.guilty)
		}
		if len(h.guilty) > len(clauses) {
			t.Fatalf("%d blamed for %d faults", len(h.guilty), len(clauses))
		}
	})
}

func solve(all []string, refused func([]string) bool) (*halves, int) {
	h := newHalves(all, "refused")
	for judged := 0; ; judged++ {
		try, ok := h.next()
		if !ok {
			return h, judged
		}
		h.answer(refused(try), "refused")
	}
}

func service(i int) string { return fmt.Sprintf("s%03d", i) }

func services(n int) []string {
	var all []string
	for i := range n {
		all = append(all, service(i))
	}
	return all
}

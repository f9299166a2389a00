// Package spell finds the word that was probably meant. It is pure.
package spell

import "strings"

// maxWord bounds what is compared; longer words are nobody's slip.
const maxWord = 64

// Nearest returns the candidate closest to word, or "" when none is close:
// at most one slip for up to four characters, two for up to eight, else three.
// Case and "-" against "_" are no slips. Among equals the first one wins.
func Nearest(word string, candidates []string) string {
	if len(word) > maxWord {
		return ""
	}
	word = fold(word)
	best, bestDistance := "", slips(len(word))+1
	for _, c := range candidates {
		if len(c) > maxWord {
			continue
		}
		if d := Distance(word, fold(c)); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

func fold(s string) string {
	return strings.ReplaceAll(strings.ToLower(s), "-", "_")
}

func slips(length int) int {
	switch {
	case length <= 4:
		return 1
	case length <= 8:
		return 2
	}
	return 3
}

// Distance is the number of insertions, deletions, substitutions and swaps of
// neighbours that turn a into b (optimal string alignment, by bytes).
func Distance(a, b string) int {
	before, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev, cur = prev, cur, before
	}
	return prev[len(b)]
}

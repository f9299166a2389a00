package rollout

import "slices"

// halves finds the guilty ones of a refused change set. Sets are let in on top
// of those already found good; a refused set is split. What is good has always
// been accepted as a whole, so interactions end with the later one blamed.
type halves struct {
	good   []string
	guilty []Blame
	stack  []group
}

// group is a set of services yet to be let in. Invariant: refused means that
// good and services together are known to be refused, with words.
type group struct {
	services []string
	refused  bool
	words    string
	// firstHalf: the next group of the stack is the other half of a set that
	// was refused with words.
	firstHalf bool
}

// newHalves begins with changes, of which all together were refused.
func newHalves(changes []string, words string) *halves {
	h := &halves{}
	if len(changes) > 0 {
		h.stack = []group{{services: changes, refused: true, words: words}}
	}
	return h
}

// next is the set to be judged, or false when all are known.
func (h *halves) next() (try []string, ok bool) {
	for len(h.stack) > 0 {
		top := h.stack[len(h.stack)-1]
		if !top.refused {
			return slices.Concat(h.good, top.services), true
		}
		h.split(top)
	}
	return nil, false
}

func (h *halves) split(g group) {
	h.stack = h.stack[:len(h.stack)-1]
	if len(g.services) == 1 {
		h.guilty = append(h.guilty, Blame{Service: g.services[0], Words: g.words})
		return
	}
	mid := len(g.services) / 2
	h.stack = append(h.stack,
		group{services: g.services[mid:], words: g.words},
		group{services: g.services[:mid], words: g.words, firstHalf: true})
}

// answer is the verdict on the set that next named.
func (h *halves) answer(refused bool, words string) {
	top := &h.stack[len(h.stack)-1]
	if refused {
		top.refused, top.words, top.firstHalf = true, words, false
		return
	}
	h.good = append(h.good, top.services...)
	first := top.firstHalf
	h.stack = h.stack[:len(h.stack)-1]
	if first {
		// The whole was refused and this half is not: the other one is.
		h.stack[len(h.stack)-1].refused = true
	}
}

// held are the changes that are not good: guilty, or not known yet.
func (h *halves) held(changes []string) []string {
	var held []string
	for _, c := range changes {
		if !slices.Contains(h.good, c) {
			held = append(held, c)
		}
	}
	return held
}

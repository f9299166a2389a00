package routing

import (
	"strconv"
	"strings"
)

// DefaultHealthStatus is what a check accepts where nothing else is said.
const DefaultHealthStatus = "200-399"

// MaxStatuses bounds the parts of a list of statuses.
const MaxStatuses = 16

// StatusRange is a range of HTTP statuses, both ends included.
type StatusRange struct{ From, To int }

// Statuses reads a list of statuses and ranges of them, such as "200-299,301",
// without blanks. ok is false for any other text.
func Statuses(list string) (ranges []StatusRange, ok bool) {
	parts := strings.Split(list, ",")
	if len(parts) > MaxStatuses {
		return nil, false
	}
	for _, part := range parts {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		r := StatusRange{statusOf(first), statusOf(last)}
		if r.From == 0 || r.To == 0 || r.From > r.To {
			return nil, false
		}
		ranges = append(ranges, r)
	}
	return ranges, true
}

// statusOf is 0 for what is not three digits from 100 to 599.
func statusOf(s string) int {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || len(s) != 3 || n < 100 || n > 599 {
		return 0
	}
	return int(n)
}

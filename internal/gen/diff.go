package gen

import (
	"fmt"
	"strings"
)

// shown is how many lines of each side a diff shows.
const shown = 12

// Diff returns the lines in which a file differs from what it should hold,
// from the first that differs to the last; "" when none does.
func Diff(name string, have, want []byte) string {
	old, now := lines(have), lines(want)
	start := 0
	for start < min(len(old), len(now)) && old[start] == now[start] {
		start++
	}
	old, now = old[start:], now[start:]
	for len(old) > 0 && len(now) > 0 && old[len(old)-1] == now[len(now)-1] {
		old, now = old[:len(old)-1], now[:len(now)-1]
	}
	if len(old)+len(now) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "--- %s:%d, as it is\n+++ as generated\n", name, start+1)
	side := func(mark string, lines []string) {
		for k, line := range lines {
			if k == shown {
				fmt.Fprintf(&b, "%s … %d more lines\n", mark, len(lines)-shown)
				return
			}
			b.WriteString(mark + strings.TrimSuffix(line, "\n") + "\n")
		}
	}
	side("-", old)
	side("+", now)
	return b.String()
}

func lines(text []byte) (out []string) {
	for line := range strings.Lines(string(text)) {
		out = append(out, line)
	}
	return out
}

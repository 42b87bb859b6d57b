package ankql

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ankurah/ankurah-go/schema"
)

// instead says what may have been meant by a field that m does not have: the
// one whose name is least far from name, or, when none is near, what there is.
func instead(name string, m *schema.Model) string {
	best, least := "id", distance(name, "id")
	for _, p := range m.Properties {
		if d := distance(name, p.Key); d < least {
			best, least = p.Key, d
		}
	}
	if least <= (utf8.RuneCountInString(name)+1)/2 {
		return "did you mean " + strconv.Quote(best) + "?"
	}
	const most = 8
	var names []string
	for _, p := range m.Properties[:min(len(m.Properties), most)] {
		names = append(names, p.Key)
	}
	if len(m.Properties) > most {
		names = append(names, "…")
	}
	return "it has " + strings.Join(append([]string{"id"}, names...), ", ")
}

// distance returns how many characters have to be inserted, removed, replaced
// or swapped with their neighbour to turn a into b, whatever their case (the
// optimal string alignment distance).
func distance(a, b string) int { return alignment(foldRunes(a), foldRunes(b)) }

func foldRunes(s string) []rune {
	const most = 64 // of a longer name the beginning decides
	var out []rune
	for _, r := range s {
		if len(out) == most {
			break
		}
		out = append(out, foldRune(r))
	}
	return out
}

func alignment(a, b []rune) int {
	row := func() []int { return make([]int, len(b)+1) }
	before, prev, cur := row(), row(), row()
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			replace := prev[j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			cur[j] = min(replace, prev[j]+1, cur[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev, cur = prev, cur, before
	}
	return prev[len(b)]
}

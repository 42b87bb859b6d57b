package postgres

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxName is the length of PostgreSQL's names in bytes; longer ones are cut
// without a word.
const maxName = 63

// quote returns a name as it stands in a statement.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// storable reports whether PostgreSQL's text can hold s.
func storable(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// shorten returns a name for what is called s: s itself, or if that is too long,
// empty or taken, its beginning and a hash of all of it.
func shorten(s string, taken func(string) bool) string {
	if s != "" && len(s) <= maxName && !taken(s) {
		return s
	}
	for attempt := 0; ; attempt++ {
		text := s
		if attempt > 0 {
			text += "\x00" + strconv.Itoa(attempt)
		}
		sum := sha256.Sum256([]byte(text))
		tail := "_" + hex.EncodeToString(sum[:4])
		head := s[:min(len(s), maxName-len(tail))]
		for !utf8.ValidString(head) {
			head = head[:len(head)-1]
		}
		if name := head + tail; !taken(name) {
			return name
		}
	}
}

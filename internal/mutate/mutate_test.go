package mutate

import (
	"strings"
	"testing"
)

// A mutant whose text is not there, or there twice, says so.
func TestStaleMutant(t *testing.T) {
	for _, old := range []string{"no such text", "\t"} {
		_, err := Overlay("../..", t.TempDir(), []Mutant{{"stale", []Edit{{"go.mod", old, ""}}}}, nil)
		if err == nil || !strings.Contains(err.Error(), "renew the mutant") {
			t.Errorf("%q: %v", old, err)
		}
	}
}

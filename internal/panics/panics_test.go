package panics

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestText(t *testing.T) {
	type name string
	for _, c := range []struct {
		v    any
		want string
	}{
		{"text", "text"}, {name("a name"), "a name"}, {errors.New("an error"), "an error"}, {time.Second, "1s"},
		{7, "7"}, {int8(-7), "-7"}, {uint16(7), "7"}, {1.5, "1.5"}, {true, "true"}, {nil, "nil"},
		{struct{ n int }{7}, "a value of type struct { n int }"}, {&c0, "a value of type *panics.empty"},
		{(*broken)(nil), "a value whose text panics"},
	} {
		if got := Text(c.v); got != c.want {
			t.Errorf("Text(%#v) = %q, want %q", c.v, got, c.want)
		}
	}
	defer func() {
		if got, want := Text(recover()), "runtime error: index out of range [3] with length 0"; got != want {
			t.Errorf("Text of a runtime error = %q, want %q", got, want)
		}
	}()
	var none []int
	_ = none[len("abc")]
}

type empty struct{}

var c0 empty

type broken struct{ text string }

func (b *broken) String() string { return b.text }

// The whole stack is there, however deep.
func TestStack(t *testing.T) {
	var deep func(n int) string
	deep = func(n int) string {
		if n == 0 {
			return Stack()
		}
		return deep(n - 1)
	}
	if got := deep(60); strings.Count(got, "panics.TestStack.func1") < 61 || !strings.Contains(got, "testing.tRunner") {
		t.Errorf("Stack = %s", got)
	}
}

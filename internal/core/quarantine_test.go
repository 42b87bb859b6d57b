package core

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/value"
)

// failingSink keeps why its live query has ended.
type failingSink struct {
	silentSink
	failed error
}

func (s *failingSink) Failed(err error) { s.failed = err }
func (*failingSink) Owner() string      { return "alice" }

// A query that cannot be evaluated ends, is remembered with the reason, and harms
// no other; one through references, which is evaluated when it has been read,
// too.
func TestQuarantine(t *testing.T) {
	c, x := bootCore(t, 1, &funcAgent{}, true)
	models := func(name string) *schema.Model {
		return schema.NewModel(name, name, []schema.Property{
			{Key: "n", Type: value.Type{Kind: value.KindInt32}}, {Key: "other", Type: value.Type{Kind: value.KindID}, Ref: "album"},
		})
	}
	broken := false
	no := func(*entity.State) bool {
		if broken {
			panic("no")
		}
		return true
	}
	begin := func(text string, allow func(*entity.State) bool) (*Query, *failingSink) {
		t.Helper()
		sel, err := ankql.Limits{}.BindTemplateAcross(text, nil, models, "album")
		if err != nil {
			t.Fatal(err)
		}
		sink := &failingSink{}
		q := c.Subscribe(sel, allow, sink)
		c.Start(q)
		x.settle()
		return q, sink
	}
	_, plain := begin("n > 0", no)
	_, linked := begin("other.n IS NULL", no)
	good, fine := begin("n > 0", nil)
	broken = true
	makeOne(t, c, x, lww.Set("n", value.Int32(1)))
	x.settle()
	for name, s := range map[string]*failingSink{"plain": plain, "linked": linked} {
		if s.failed == nil || !strings.Contains(s.failed.Error(), "its evaluation panicked: no") {
			t.Errorf("%s: %v", name, s.failed)
		}
	}
	makeOne(t, c, x, lww.Set("n", value.Int32(2)))
	x.settle()
	if fine.failed != nil || len(good.Rows()) != 2 || c.Queries() != 1 || c.Routing().Queries != 1 {
		t.Errorf("the other has %d rows, %v; %d live queries are left", len(good.Rows()), fine.failed, c.Queries())
	}
	all, latest := c.Failures()
	var said []string
	for _, f := range latest {
		said = append(said, fmt.Sprintf("%s of %s, %d: %v", f.Query, f.Subject, f.Shared, f.Reason))
	}
	want := "n > 0 of alice, 1: ankurah: the live query has ended: its evaluation panicked: no\n" +
		"other.n IS NULL of alice, 1: ankurah: the live query has ended: its evaluation panicked: no"
	if got := strings.Join(said, "\n"); all != 2 || got != want {
		t.Errorf("%d: %s", all, got)
	}
	broken = false
	for range keptFailures + 5 {
		_, s := begin("n > 0", no)
		broken = true
		makeOne(t, c, x, lww.Set("n", value.Int32(3)))
		x.settle()
		if broken = false; s.failed == nil {
			t.Fatal("it lives")
		}
	}
	if all, latest := c.Failures(); all != keptFailures+7 || len(latest) != keptFailures {
		t.Errorf("%d of %d failures are remembered", len(latest), all)
	}
}

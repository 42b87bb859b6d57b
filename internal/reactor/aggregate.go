package reactor

import (
	"iter"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/agg"
)

// Aggregate is one live aggregate: the groups of a selection, kept by what
// commits do to its rows. It keeps no rows itself, unless a check decides on
// them: what that let in is what has to be taken away again.
type Aggregate struct {
	subscriber

	table *agg.Table
	allow func(*entity.State) bool // nil: every entity
	in    map[id.ID]*entity.State  // with allow: the rows
}

// NewAggregate returns an aggregate without rows; [Aggregate.Reset] gives it
// some. allow decides on entities beside the selection, nil allows all.
func NewAggregate(a *ankql.Aggregation, allow func(*entity.State) bool) *Aggregate {
	q := &Aggregate{table: agg.New(a), allow: allow}
	if allow != nil {
		q.in = map[id.ID]*entity.State{}
	}
	return q
}

// Selection returns which rows are aggregated.
func (q *Aggregate) Selection() *ankql.Selection { return q.table.Selection().Rows }

// Table returns the groups. They change with what is applied.
func (q *Aggregate) Table() *agg.Table { return q.table }

// Reset adds the rows that a read of the selection yields, already allowed, to
// an aggregate that has none.
func (q *Aggregate) Reset(rows iter.Seq2[*entity.State, error]) error {
	for s, err := range rows {
		if err != nil {
			return err
		}
		q.table.Add(s)
		if q.in != nil {
			q.in[s.ID()] = s
		}
	}
	return nil
}

// Apply brings the groups up to the changes of one commit in the selection's
// collection and reports whether any group is concerned.
func (q *Aggregate) Apply(changes []Change) bool {
	for k := range changes {
		c := &changes[k]
		if c.Before == c.After {
			continue
		}
		was, now := q.was(c), q.matches(c.After)
		switch {
		case was != nil && now:
			q.table.Update(was, c.After)
		case was != nil:
			q.table.Remove(was)
		case now:
			q.table.Add(c.After)
		}
		if q.in != nil && now {
			q.in[c.After.ID()] = c.After
		} else if q.in != nil {
			delete(q.in, c.After.ID())
		}
	}
	return q.table.Changed()
}

// was returns what the groups have of an entity that changes, nil for nothing.
func (q *Aggregate) was(c *Change) *entity.State {
	if q.in != nil {
		return q.in[c.After.ID()]
	}
	if c.Before != nil && q.matches(c.Before) {
		return c.Before
	}
	return nil
}

func (q *Aggregate) matches(s *entity.State) bool {
	return s.Exists() && q.Selection().Match(s) && (q.allow == nil || q.allow(s))
}

// Take returns the groups that have changed since the last call. A group may be
// what it was, see [agg.Seen].
func (q *Aggregate) Take() []agg.Change { return q.table.Take() }

// Hold returns a copy whose groups stay as they were last taken. It is not to be
// registered.
func (q *Aggregate) Hold() *Aggregate { return &Aggregate{table: q.table.Hold()} }

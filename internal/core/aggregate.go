package core

import (
	"context"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/internal/agg"
	"github.com/ankurah/ankurah-go/policy"
)

// NarrowAggregate is [Core.Narrow] of an aggregate selection: who may not read
// a row does not have it counted (S38, S60).
func (c *Core) NarrowAggregate(a *ankql.Aggregation, p policy.Principal) (*ankql.Aggregation, func(*entity.State) bool, error) {
	rows, allow, err := c.Narrow(a.Rows, p)
	if err != nil {
		return nil, nil, err
	}
	narrowed := *a
	narrowed.Rows = rows
	return &narrowed, allow, nil
}

// Groups computes a narrowed aggregate selection from a snapshot. It may block
// and is called at any time.
func Groups(ctx context.Context, snap *Snap, a *ankql.Aggregation, allow func(*entity.State) bool) (*agg.Table, error) {
	t := agg.New(a)
	if allow == nil && t.Countable() {
		n, err := snap.Count(ctx, a.Rows)
		t.Count(n)
		return t, err
	}
	for s, err := range Rows(ctx, snap, a.Rows, allow) {
		if err != nil {
			return nil, err
		}
		t.Add(s)
	}
	return t, nil
}

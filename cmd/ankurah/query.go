package main

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"strings"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/value"
)

// selection is what the commands that take a query have in common.
type selection struct {
	Collection string   `arg:"" help:"Collection to look in."`
	Query      string   `arg:"" optional:"" name:"ankql" help:"Which entities, such as: country = 'IS' ORDER BY name LIMIT 10. All of them when left out. What begins with SELECT gives groups: SELECT COUNT(*) GROUP BY country."`
	Arg        []string `help:"Value of the next ? in the query." placeholder:"VALUE" sep:"none"`
}

// arguments returns the query's parameters: the texts of --arg, which binding
// converts to what they are compared with. There is one for each.
func (c *selection) arguments() ([]any, error) {
	q, err := ankql.Parse(c.Query)
	if err != nil {
		return nil, err
	}
	n := 0
	for _, e := range []ankql.Expr{q.Where, q.Limit, q.After} {
		for p := range ankql.Params(e) {
			if n++; p.Name != "" {
				return nil, usage(fmt.Errorf("the query has a parameter :%s", p.Name), "write ? instead, and give each an --arg in their order")
			}
		}
	}
	if n != len(c.Arg) {
		return nil, usage(fmt.Errorf("the query has %d ?, and %s given", n, count(len(c.Arg), "--arg")), "give each ? an --arg")
	}
	out := make([]any, n)
	for k, t := range c.Arg {
		out[k] = t
	}
	return out, nil
}

type queryCommand struct {
	selection
	CSV   bool `help:"Print CSV." name:"csv"`
	Count bool `help:"Print only how many there are."`
	Limit int  `help:"Print that many at most; 0 for all (${default})." default:"0" placeholder:"N"`
}

func (c *queryCommand) Run(a *app) error {
	if c.CSV && a.JSON {
		return usage(errors.New("--csv and --json together"), "choose one")
	}
	if c.Limit < 0 {
		return usage(fmt.Errorf("--limit %d", c.Limit), "give a positive number, or 0 for all")
	}
	if c.Count && ankql.IsAggregate(c.Query) {
		return usage(errors.New("--count of groups"), "leave it out: SELECT COUNT(*) counts by itself")
	}
	args, err := c.arguments()
	if err != nil {
		return err
	}
	text, err := limited(c.Query, c.Limit)
	if err != nil {
		return err
	}
	return a.with(false, func(s *store) error {
		cities, err := s.known(c.Collection)
		if err != nil {
			return err
		}
		if c.Count {
			n, err := cities.Count(a.ctx, s, text, args...)
			if err != nil {
				return err
			}
			if c.Limit > 0 {
				n = min(n, int64(c.Limit))
			}
			if a.JSON {
				return a.printJSON(map[string]int64{"count": n})
			}
			_, err = fmt.Fprintln(a.out, n)
			return err
		}
		out := *a
		buffered := bufio.NewWriterSize(a.out, 64<<10)
		out.out = buffered
		columns := withID(s.columns(c.Collection))
		rows := func(yield func(row, error) bool) {
			for r, err := range cities.All(a.ctx, s, text, args...) {
				if !yield(entityRow(r, columns), err) {
					return
				}
			}
		}
		if ankql.IsAggregate(text) {
			groups, err := cities.Aggregate(a.ctx, s, text, args...)
			if err != nil {
				return err
			}
			q, err := ankql.Parse(text)
			if err != nil {
				return err
			}
			columns = q.Columns()
			rows = func(yield func(row, error) bool) {
				for _, g := range groups {
					if !yield(groupRow(g), nil) {
						return
					}
				}
			}
		}
		add, end := c.printer(&out, columns)
		n := 0
		for r, err := range rows {
			if err != nil {
				return errors.Join(err, buffered.Flush())
			}
			if err := add(r); err != nil {
				return err
			}
			if n++; n == c.Limit {
				break
			}
		}
		if err := end(); err != nil {
			return err
		}
		if err := buffered.Flush(); err != nil {
			return err
		}
		if a.outTTY && !a.JSON && !c.CSV {
			_, err = fmt.Fprintln(a.err, count(n, "row"))
		}
		return err
	})
}

// printer returns what prints one row and what prints the rest.
func (c *queryCommand) printer(a *app, columns []string) (add func(row) error, end func() error) {
	switch {
	case a.JSON:
		return func(r row) error { return a.printJSON(r.json) }, func() error { return nil }
	case c.CSV:
		w := csv.NewWriter(a.out)
		headed := false
		head := func() error {
			if headed {
				return nil
			}
			headed = true
			return w.Write(columns)
		}
		cells := make([]string, len(columns))
		return func(r row) error {
				for k, v := range r.values {
					cells[k] = text(v)
				}
				return errors.Join(head(), w.Write(cells))
			}, func() error {
				err := head()
				w.Flush()
				return errors.Join(err, w.Error())
			}
	}
	width := 0
	if a.outTTY {
		width = 40
	}
	t := newTable(a.out, columns, width)
	return t.add, t.flush
}

// limited returns the query with a LIMIT, if it has none that is to be kept:
// a planner that knows the limit sorts less.
func limited(text string, limit int) (string, error) {
	if limit == 0 {
		return text, nil
	}
	q, err := ankql.Parse(text)
	if err != nil {
		return "", err
	}
	if q.Limit != nil {
		return text, nil
	}
	q.Limit = &ankql.Literal{Value: value.Int64(int64(limit))}
	return q.String(), nil
}

// count returns "1 row" or "2 rows".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	if stem, ok := strings.CutSuffix(thing, "y"); ok {
		return fmt.Sprint(n, " ", stem, "ies")
	}
	return fmt.Sprint(n, " ", thing, "s")
}

type explainCommand struct{ selection }

func (c *explainCommand) Run(a *app) error {
	if a.Server != "" {
		return usage(errors.New("explain looks into a folder: what a server does is not to be seen from here"), "run it where the store is, with --data")
	}
	args, err := c.arguments()
	if err != nil {
		return err
	}
	return a.with(false, func(s *store) error {
		in, err := s.known(c.Collection)
		if err != nil {
			return err
		}
		plan, err := in.Explain(a.ctx, s, c.Query, args...)
		if err != nil {
			return err
		}
		if a.JSON {
			return a.printJSON(map[string][]string{"plan": strings.Split(strings.TrimSuffix(plan, "\n"), "\n")})
		}
		_, err = fmt.Fprint(a.out, plan)
		return err
	})
}

package main

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/ankurah/ankurah-go"
)

// inspectCommand asks over the socket in the store's folder, and not over the
// network: the texts of queries tell about users.
type inspectCommand struct{}

// inspection is what a server says of itself.
type inspection struct {
	Stats   ankurah.Stats             `json:"stats"`
	Queries []ankurah.LiveQueryInfo   `json:"queries"`
	Failed  []ankurah.FailedQueryInfo `json:"failed,omitempty"`
}

func inspect(node *ankurah.Node) inspection {
	return inspection{node.Stats(), node.LiveQueries(), node.FailedQueries()}
}

func (inspectCommand) Run(a *app) error {
	if a.Server != "" {
		return usage(errors.New("--server does not go with inspect"), "name the server's --data, on its machine")
	}
	var said inspection
	err := a.ask(http.MethodGet, "/inspect", nil, &said, errors.New("there is no server to inspect"))
	if err != nil {
		return err
	}
	if a.JSON {
		return a.printJSON(said)
	}
	return said.print(a)
}

// print says it to people.
func (said inspection) print(a *app) error {
	s := said.Stats
	_, err := fmt.Fprintf(a.out, "%d connections, %d commits of %d changes\n%d live queries show %d results, %d of them looked at in every commit of their collection\n%d changes evaluated, %d matched\n",
		s.Connections, s.Commits, s.Changes, s.LiveQueries, s.Results, s.Residual, s.Offered, s.Touched)
	for _, f := range said.Failed {
		if err == nil {
			_, err = fmt.Fprintf(a.out, "%s: %s of %q in %s could not be evaluated, %d live queries have ended: %s\n", f.At.Format(time.RFC3339), f.Query, f.Subject, f.Collection, f.Shared, f.Reason)
		}
	}
	if err != nil || len(said.Queries) == 0 {
		return err
	}
	if _, err := fmt.Fprintln(a.out); err != nil {
		return err
	}
	most := 0
	if a.outTTY {
		most = 60
	}
	t := newTable(a.out, []string{"collection", "query", "shape", "of", "from", "rows", "shared", "found by", "evaluated", "matched", "changed"}, most)
	for _, q := range said.Queries {
		if err := t.add(row{values: cells(q)}); err != nil {
			return err
		}
	}
	return t.flush()
}

func cells(q ankurah.LiveQueryInfo) []any {
	from, route, changed := "here", q.Route, "never"
	if q.Remote {
		from = "a client"
	}
	if route == "" {
		route = "everything"
	}
	if !q.Changed.IsZero() {
		changed = q.Changed.Format(time.RFC3339)
	}
	return []any{
		q.Collection, q.Query, q.Shape, q.Subject, from, int64(q.Rows), int64(q.Shared), route,
		int64(q.Offered), int64(q.Touched), changed,
	}
}

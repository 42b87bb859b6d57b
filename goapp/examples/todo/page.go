package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/goapp"
	"github.com/ankurah/ankurah-go/goapp/examples/todo/model"
	"github.com/ankurah/ankurah-go/signal"
	"github.com/maxence-charriere/go-app/v10/pkg/app"
)

// tabs are what the list can show.
var tabs = []struct{ name, query string }{
	{"All", "ORDER BY added_at"},
	{"Open", "done = false ORDER BY added_at"},
	{"Done", "done = true ORDER BY added_at"},
}

// kept says that this tab has the browser's database.
var kept = signal.NewComparable(true)

// page is all there is to see.
type page struct {
	app.Compo
	title string // of the next todo, while it is written
	tab   int    // of tabs
	err   error  // of the last change, if it was refused
}

func (p *page) Render() app.UI {
	return app.Main().Body(
		app.Header().Body(
			app.H1().Text("Todo"),
			goapp.UseStatus(db).Body(badge),
		),
		app.Form().Class("add").OnSubmit(p.add).Body(
			app.Input().Type("text").Name("title").Placeholder("What is to be done?").Aria("label", "What is to be done").
				AutoComplete(false).AutoFocus(true).OnInput(p.ValueTo(&p.title)),
			app.Button().Type("submit").Disabled(strings.TrimSpace(p.title) == "").Text("Add"),
		),
		goapp.UseSignal(kept).Body(func(kept bool) app.UI {
			if kept {
				return app.Text("")
			}
			return app.P().Class("hint").Text("Another tab keeps the list. What is done here while offline is lost with this tab.")
		}),
		app.If(p.err != nil, func() app.UI { return app.P().Class("error").Attr("role", "alert").Text(p.err) }),
		app.Nav().Body(app.Range(tabs).Slice(func(k int) app.UI {
			return app.Button().Type("button").Class("tab").Aria("pressed", k == p.tab).Text(tabs[k].name).
				OnClick(func(app.Context, app.Event) { p.tab = k }, app.EventScope(k))
		})),
		goapp.UseQuery(db, model.Todos, tabs[p.tab].query).Body(p.list),
		app.Footer().Body(
			goapp.UseAggregate(db, model.Todos, "SELECT COUNT(*) WHERE done = false").Body(func(open goapp.Rows[ankurah.Group]) app.UI {
				return app.Span().Class("left").Text(left(open))
			}),
			app.Button().Type("button").Class("plain").Text("Remove what is done").OnClick(p.clear),
		),
	)
}

func badge(s goapp.Status) app.UI {
	kind, text := "offline", "Offline"
	switch {
	case s.Err != nil:
		kind, text = "failed", s.Err.Error()
	case !s.Opened:
		text = "Opening…"
	case s.Connected && s.Pending == 0:
		kind, text = "online", "Saved"
	case s.Connected:
		kind, text = "online", "Saving…"
	case s.Pending > 0:
		text = fmt.Sprintf("Offline, %d to send", s.Pending)
	}
	return app.Span().Class("badge", kind).Attr("role", "status").Text(text)
}

func left(open goapp.Rows[ankurah.Group]) string {
	var n int
	switch {
	case len(open.All) == 0:
		return ""
	case open.All[0].Scan(&n) != nil:
		return "?"
	}
	return fmt.Sprintf("%d left", n)
}

func (p *page) list(todos goapp.Rows[model.TodoView]) app.UI {
	switch {
	case todos.Err != nil:
		return app.P().Class("error").Attr("role", "alert").Text(todos.Err)
	case len(todos.All) == 0 && todos.Pending:
		return app.P().Class("empty").Text("…")
	case len(todos.All) == 0:
		return app.P().Class("empty").Text("Nothing here.")
	}
	return app.Ul().Body(todos.Each(p.item))
}

// item shows one todo. go-app keeps an element's handler while its scope is the
// same: the ID says whose it is, and what it does next.
func (p *page) item(t model.TodoView) app.UI {
	id, done := t.ID(), t.Done()
	set := func(ctx app.Context, _ app.Event) {
		p.change(ctx, func(tx *ankurah.Tx) error {
			t, err := model.Todos.Edit(tx, id)
			if err != nil {
				return err
			}
			return t.Done.Set(!done)
		})
	}
	remove := func(ctx app.Context, _ app.Event) {
		p.change(ctx, func(tx *ankurah.Tx) error { return model.Todos.Delete(tx, id) })
	}
	class := "open"
	if done {
		class = "done"
	}
	return app.Li().Class(class).Body(
		app.Button().Type("button").Class("tick").Attr("role", "checkbox").Aria("checked", done).Aria("label", "Done: "+t.Title()).
			OnClick(set, app.EventScope(id, done)),
		app.Span().Class("title").Text(t.Title()),
		app.Button().Type("button").Class("plain", "remove").Aria("label", "Remove "+t.Title()).Text("×").
			OnClick(remove, app.EventScope(id)),
	)
}

func (p *page) add(ctx app.Context, e app.Event) {
	e.PreventDefault()
	title := strings.TrimSpace(p.title)
	if title == "" {
		return
	}
	p.title = ""
	ctx.JSSrc().Call("reset") // the form
	p.change(ctx, func(tx *ankurah.Tx) error {
		_, err := model.Todos.Create(tx, &model.Todo{Title: title, AddedAt: time.Now()})
		return err
	})
}

func (p *page) clear(ctx app.Context, _ app.Event) {
	p.change(ctx, func(tx *ankurah.Tx) error {
		done, err := model.Todos.Fetch(context.Background(), tx, "done = true")
		if err != nil {
			return err
		}
		for _, t := range done {
			if err := model.Todos.Delete(tx, t); err != nil {
				return err
			}
		}
		return nil
	})
}

func (p *page) change(ctx app.Context, f func(tx *ankurah.Tx) error) {
	goapp.Update(ctx, db, f, func(_ app.Context, err error) { p.err = err })
}

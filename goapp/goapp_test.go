//go:build js

package goapp_test

import (
	"context"
	"errors"
	"strings"
	"syscall/js"
	"testing"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/goapp"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/signal"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/maxence-charriere/go-app/v10/pkg/app"
)

var notes = ankurah.Dynamic("note")

// counted is notes, and counts the queries that are asked. With a gate, what is
// asked comes out of it and waits; it is answered whether anybody still wants
// the answer or not.
type counted struct {
	queries int
	gate    chan waiting
}

// waiting is a query that waits until it may go on; then it can be had.
type waiting struct {
	on     chan struct{}
	answer chan *ankurah.LiveQuery[ankurah.Record]
}

func (c *counted) Name() string { return notes.Name() }

func (c *counted) Query(ctx context.Context, s *ankurah.Session, query string, args ...any) (*ankurah.LiveQuery[ankurah.Record], error) {
	c.queries++
	if c.gate == nil {
		return notes.Query(ctx, s, query, args...)
	}
	w := waiting{make(chan struct{}), make(chan *ankurah.LiveQuery[ankurah.Record], 1)}
	c.gate <- w
	<-w.on
	q, err := notes.Query(context.Background(), s, query, args...)
	w.answer <- q
	return q, err
}

// page is what stands around the components under test. Its fields are what
// they are asked for.
type page struct {
	app.Compo
	body func(p *page) app.UI
	ctx  app.Context
	text string
	id   ankurah.ID
	gone bool
}

func (p *page) OnMount(ctx app.Context) { p.ctx = ctx }

func (p *page) Render() app.UI {
	if p.gone {
		return app.P().Text("gone")
	}
	return app.Div().Body(p.body(p))
}

// world is a page with a node.
type world struct {
	t       *testing.T
	engine  app.TestEngine
	page    *page
	node    *ankurah.Node
	session *ankurah.Session
	db      *goapp.Session
	asked   counted
}

func newWorld(t *testing.T, body func(w *world, p *page) app.UI) *world {
	node, err := ankurah.OpenNode(t.Context(), memory.New(), &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { node.Close() })
	if err := node.EnsureSystem(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, node: node, session: node.Session(policy.Principal{Subject: "ann"})}
	w.db = goapp.Open(func(context.Context) (*ankurah.Session, error) { return w.session, nil })
	w.page = &page{body: func(p *page) app.UI { return body(w, p) }}
	return w
}

// load shows the page. go-app wants an element in the body to replace.
func (w *world) load() {
	w.t.Helper()
	document := js.Global().Get("document")
	document.Get("body").Set("innerHTML", "<div></div>")
	w.engine = app.NewTestEngine()
	if err := w.engine.Load(w.page); err != nil {
		w.t.Fatal(err)
	}
}

func shown() string {
	return js.Global().Get("document").Get("body").Get("firstElementChild").Get("textContent").String()
}

// until lets the user interface go on until it shows text, and returns all
// that it has shown on the way.
func (w *world) until(text string) (all []string) {
	w.t.Helper()
	for {
		now := shown()
		if len(all) == 0 || all[len(all)-1] != now {
			all = append(all, now)
		}
		if now == text {
			return all
		}
		if w.t.Context().Err() != nil {
			w.t.Fatalf("it shows %q, not %q", now, text)
		}
		w.engine.ConsumeNext()
	}
}

// change changes what the page asks for, as a component's event handler does.
func (w *world) change(f func(p *page)) {
	for w.page.ctx.Src() == nil {
		w.engine.ConsumeNext() // it is being mounted
	}
	w.page.ctx.Dispatch(func(app.Context) { f(w.page) })
}

func (w *world) add(text string) (id ankurah.ID) {
	w.t.Helper()
	err := w.session.Update(w.t.Context(), func(tx *ankurah.Tx) error {
		n, err := notes.Create(tx, &ankurah.Fields{"text": text})
		id = n.ID()
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func (w *world) set(id ankurah.ID, text string) {
	w.t.Helper()
	err := w.session.Update(w.t.Context(), func(tx *ankurah.Tx) error {
		v, err := notes.Get(w.t.Context(), tx, id)
		if err != nil {
			return err
		}
		n, err := notes.Edit(tx, v)
		if err != nil {
			return err
		}
		return n.Set("text", text)
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) remove(id ankurah.ID) {
	w.t.Helper()
	err := w.session.Update(w.t.Context(), func(tx *ankurah.Tx) error {
		v, err := notes.Get(w.t.Context(), tx, id)
		if err != nil {
			return err
		}
		return notes.Delete(tx, v)
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func textOf(r ankurah.Record) string {
	v, _ := r.Get("text")
	s, _ := v.(string)
	return s
}

// list shows rows as text: what there is to say of them, then each.
func list(rows goapp.Rows[ankurah.Record]) app.UI {
	var marks string
	if rows.Pending {
		marks += "pending "
	}
	if rows.Synced {
		marks += "synced "
	}
	if rows.Err != nil {
		marks += "failed "
	}
	return app.Div().Body(app.Text(marks), rows.Each(func(r ankurah.Record) app.UI { return app.B().Text(textOf(r) + ";") }))
}

func query(w *world, p *page) app.UI {
	return goapp.UseQuery(w.db, &w.asked, "text LIKE ? ORDER BY text", p.text).Body(list)
}

func TestAQueryFollowsCommits(t *testing.T) {
	w := newWorld(t, query)
	w.page.text = "%"
	b := w.add("b")
	w.load()
	if got := shown(); got != "pending " {
		t.Errorf("at first %q", got)
	}
	w.until("synced b;")
	a := w.add("a")
	w.until("synced a;b;")
	w.set(b, "0")
	w.until("synced 0;a;")
	w.remove(a)
	w.until("synced 0;")
}

// Rows stay until the answer to other arguments is there, which is told by
// Pending, and the page around renders with the same arguments as often as it
// likes.
func TestOtherArgumentsKeepRows(t *testing.T) {
	w := newWorld(t, query)
	w.page.text = "a%"
	w.add("a1")
	w.add("b1")
	w.load()
	w.until("synced a1;")
	w.change(func(p *page) { p.text = "b%" })
	for _, got := range w.until("synced b1;") {
		if got != "synced a1;" && got != "pending synced a1;" && got != "synced b1;" {
			t.Errorf("meanwhile %q", got)
		}
	}
	if now := w.node.LiveQueries(); len(now) != 1 {
		t.Errorf("open: %+v", now)
	}
	asked := w.asked.queries
	w.change(func(p *page) { p.text = "b" + "%" })
	w.add("b2")
	w.until("synced b1;b2;")
	if w.asked.queries != asked {
		t.Error("equal arguments made another query")
	}
	// Several changes before there is an answer: the last one counts.
	for _, text := range []string{"a%", "%1", "%2"} {
		w.change(func(p *page) { p.text = text })
	}
	w.until("synced b2;")
	if now := w.node.LiveQueries(); len(now) != 1 {
		t.Errorf("open: %+v", now)
	}
}

func TestDismountingEnds(t *testing.T) {
	w := newWorld(t, query)
	w.page.text = "%"
	w.add("a")
	w.load()
	w.until("synced a;")
	w.change(func(p *page) { p.gone = true })
	w.until("gone")
	if now := w.node.LiveQueries(); len(now) != 0 {
		t.Errorf("open: %+v", now)
	}
}

// A component that is gone before the session is open opens nothing.
func TestDismountingBeforeItBegins(t *testing.T) {
	w := newWorld(t, query)
	open := make(chan struct{})
	w.db = goapp.Open(func(context.Context) (*ankurah.Session, error) {
		<-open
		return w.session, nil
	})
	w.load()
	w.until("pending ")
	w.change(func(p *page) { p.gone = true })
	w.until("gone")
	close(open)
	if _, err := w.db.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.change(func(p *page) { p.gone, p.text = false, "%" }) // another component
	w.add("a")
	w.until("synced a;")
	if now := w.node.LiveQueries(); len(now) != 1 {
		t.Errorf("open: %+v", now)
	}
}

func TestAnAggregateFollowsCommits(t *testing.T) {
	w := newWorld(t, func(w *world, p *page) app.UI {
		return goapp.UseAggregate(w.db, notes, "SELECT COUNT(*) WHERE text LIKE ?", p.text).Body(func(rows goapp.Rows[ankurah.Group]) app.UI {
			return app.Div().Body(rows.Each(func(g ankurah.Group) app.UI {
				n, _ := g.Get("COUNT(*)")
				return app.Text(n)
			}), app.If(rows.Err != nil, func() app.UI { return app.Text(" failed") }))
		})
	})
	w.page.text = "a%"
	w.add("a1")
	w.load()
	w.until("1")
	a := w.add("a2")
	w.until("2")
	w.remove(a)
	w.until("1")
	w.change(func(p *page) { p.text = "b%" })
	w.until("0")
	w.change(func(p *page) { p.gone = true })
	w.until("gone")
	if now := w.node.LiveQueries(); len(now) != 0 {
		t.Errorf("open: %+v", now)
	}
}

// A query that is answered when nobody wants it any more is closed.
func TestDismountingMeanwhile(t *testing.T) {
	w := newWorld(t, query)
	w.asked.gate = make(chan waiting)
	w.load()
	w.engine.ConsumeAll() // it is mounted
	asked := <-w.asked.gate
	w.change(func(p *page) { p.gone = true })
	w.until("gone")
	close(asked.on)
	<-(<-asked.answer).Done()
}

func TestFailures(t *testing.T) {
	w := newWorld(t, func(w *world, p *page) app.UI {
		return goapp.UseQuery(w.db, notes, p.text).Body(list)
	})
	w.add("a")
	w.page.text = "text = = 3"
	w.load()
	w.until("failed ")
	w.change(func(p *page) { p.text = "" })
	w.until("synced a;")
	w.change(func(p *page) { p.text = "nonsense nonsense" })
	w.until("failed a;")
	if now := w.node.LiveQueries(); len(now) != 0 {
		t.Errorf("open: %+v", now)
	}

	w = newWorld(t, func(w *world, p *page) app.UI {
		return app.Div().Body(
			goapp.UseStatus(w.db).Body(func(s goapp.Status) app.UI {
				if s.Err == nil {
					return app.Text("opening ")
				}
				return app.Text(s.Err.Error() + " ")
			}),
			goapp.UseQuery(w.db, notes, p.text).Body(list),
		)
	})
	w.db = goapp.Open(func(context.Context) (*ankurah.Session, error) { return nil, errors.New("no room") })
	w.load()
	if all := w.until("no room failed "); all[0] != "opening pending " {
		t.Errorf("at first %q", all[0])
	}
}

func TestAnEntity(t *testing.T) {
	w := newWorld(t, func(w *world, p *page) app.UI {
		return goapp.UseEntity(w.db, notes, p.id).Body(func(e goapp.Entity[ankurah.Record]) app.UI {
			switch {
			case e.Err != nil:
				return app.Text(e.Err.Error())
			case e.Pending && !e.Found:
				return app.Text("pending")
			case !e.Found:
				return app.Text("none")
			}
			return app.Text(textOf(e.View))
		})
	})
	a, b := w.add("a"), w.add("b")
	w.page.id = a
	w.load()
	w.until("a")
	w.set(a, "a2")
	w.until("a2")
	w.change(func(p *page) { p.id = b })
	if all := w.until("b"); strings.Join(all, " ") != "a2 b" {
		t.Errorf("it showed %q", all)
	}
	w.remove(b)
	w.until("none")
	w.change(func(p *page) { p.id = a })
	w.until("a2")
	w.change(func(p *page) { p.id = ankurah.ID{} })
	w.until("none")
	if now := w.node.LiveQueries(); len(now) != 0 {
		t.Errorf("open: %+v", now)
	}
}

func TestSignalsAndStatus(t *testing.T) {
	n := signal.New(1)
	w := newWorld(t, func(w *world, p *page) app.UI {
		return app.Div().Body(
			goapp.UseSignal(n).Body(func(n int) app.UI { return app.Text(n) }),
			goapp.UseStatus(w.db).Body(func(s goapp.Status) app.UI {
				if !s.Opened || !s.Connected || s.Pending != 0 {
					return app.Text(" ?")
				}
				return app.Text(" connected")
			}),
		)
	})
	w.load()
	w.until("1 connected")
	n.Set(2)
	w.until("2 connected")
}

func TestUpdate(t *testing.T) {
	var errs []string
	w := newWorld(t, query)
	w.page.text = "%"
	w.load()
	update := func(f func(tx *ankurah.Tx) error) {
		w.change(func(p *page) {
			goapp.Update(p.ctx, w.db, f, func(_ app.Context, err error) {
				if err != nil {
					errs = append(errs, err.Error())
				}
			})
		})
	}
	update(func(*ankurah.Tx) error { return errors.New("refused") })
	update(func(tx *ankurah.Tx) error {
		_, err := notes.Create(tx, &ankurah.Fields{"text": "made"})
		return err
	})
	w.until("synced made;")
	w.engine.ConsumeAll()
	if len(errs) != 1 || errs[0] != "refused" {
		t.Errorf("errors: %q", errs)
	}
}

// Package goapp shows live queries in user interfaces made with go-app
// (github.com/maxence-charriere/go-app/v10), in Go alone: the node is in the
// page's program.
//
//	var db = goapp.Open(func(ctx context.Context) (*ankurah.Session, error) { … })
//
//	func (l *list) Render() app.UI {
//		return goapp.UseQuery(db, model.Todos, "done = ? ORDER BY at", l.Done).Body(func(todos goapp.Rows[model.TodoView]) app.UI {
//			return app.Ul().Body(todos.Each(func(t model.TodoView) app.UI {
//				return app.Li().Text(t.Title())
//			}))
//		})
//	}
//
// [UseQuery], [UseAggregate], [UseEntity], [UseStatus] and [UseSignal] make
// components that call the function given to Body whenever what they show has
// changed, and when the component around them is rendered. They begin when they are mounted and end
// when they are dismounted. [Update] makes a transaction from an event handler.
//
// # Arguments
//
// A component that is rendered with other arguments shows what it has shown,
// Pending, until the answer to the new ones is there. Components that differ in
// their model stand for each other only where go-app takes one for the other:
// those of one type at one place.
//
// # Event handlers
//
// go-app keeps the handler of an element that it updates if its function and
// its app.EventScope are the same. A handler that is made in a Body and uses what
// is shown needs a scope that says so, such as the ID of its row:
//
//	app.Button().OnClick(func(ctx app.Context, _ app.Event) { remove(ctx, t.ID()) }, app.EventScope(t.ID()))
//
// # Ordering and ownership
//
// Functions given to Body run on the goroutine of the user interface, as Render
// does; everything that may wait runs elsewhere. Changes that come faster than
// the page is painted are shown as one. The session belongs to who opened it:
// components end their queries and nothing else.
//
// # Servers
//
// Where go-app renders pages on a server no component is mounted: everything is
// Pending and the session is not opened.
package goapp

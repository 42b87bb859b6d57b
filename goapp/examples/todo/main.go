// Todo is a list of things to be done, in Go alone: a page made with go-app that
// has a node of its own, and a server. Both are this program: for the browser it
// is built as WebAssembly.
package main

import (
	"github.com/maxence-charriere/go-app/v10/pkg/app"
)

func main() {
	app.Route("/", func() app.Composer { return &page{} })
	app.RunWhenOnBrowser() // returns on the server alone
	serve()
}

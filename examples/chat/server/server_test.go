package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/examples/chat/model"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/memory"
)

// open returns a directory on a node with the chat's rules.
func open(t *testing.T) (*directory, *ankurah.Node) {
	t.Helper()
	people := newDirectory()
	agent, err := rules(people)
	if err != nil {
		t.Fatal(err)
	}
	node, err := ankurah.OpenNode(t.Context(), memory.New(), &ankurah.NodeOptions{
		Durable: true, Policy: agent, Constraints: []policy.Constraint{policy.ConstraintFunc(lengths)}, Models: model.All,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = node.Close() })
	if err := errors.Join(node.EnsureSystem(t.Context()), people.open(t.Context(), node)); err != nil {
		t.Fatal(err)
	}
	return people, node
}

// session signs somebody in.
func session(t *testing.T, d *directory, node *ankurah.Node, name string) (*ankurah.Session, ankurah.Ref[model.User]) {
	t.Helper()
	id, err := d.signIn(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	p, err := d.principal(t.Context(), []byte(name))
	if err != nil {
		t.Fatal(err)
	}
	user, err := model.Users.Get(t.Context(), d.session, id)
	if err != nil {
		t.Fatal(err)
	}
	return node.Session(p), user.Ref()
}

// Everybody reads everything, and writes what is their own.
func TestWhoMayDoWhat(t *testing.T) {
	d, node := open(t)
	ann, annRef := session(t, d, node, "Ann")
	bob, bobRef := session(t, d, node, "Bob")
	say := func(s *ankurah.Session, author ankurah.Ref[model.User], text string) (v model.MessageView, err error) {
		err = s.Update(t.Context(), func(tx *ankurah.Tx) error {
			m, err := model.Messages.Create(tx, &model.Message{Room: d.lobby, Author: author, Text: text, Sent: time.Now()})
			if err == nil {
				v = m.View()
			}
			return err
		})
		return v, err
	}
	edit := func(s *ankurah.Session, v model.MessageView, text string) error {
		return s.Update(t.Context(), func(tx *ankurah.Tx) error {
			m, err := model.Messages.Edit(tx, v)
			if err != nil {
				return err
			}
			return m.Text.Set(text)
		})
	}
	hello, err := say(ann, annRef, "hello")
	if err != nil {
		t.Fatal(err)
	}
	if err := edit(ann, hello, "hello, all"); err != nil {
		t.Errorf("Ann edits: %v", err)
	}
	denied := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, ankurah.ErrDenied) {
			t.Errorf("%s: %v", what, err)
		}
	}
	denied("Bob edits", edit(bob, hello, "stolen"))
	denied("Bob deletes", bob.Update(t.Context(), func(tx *ankurah.Tx) error { return model.Messages.Delete(tx, hello) }))
	_, err = say(bob, annRef, "I am Ann")
	denied("Bob says something as Ann", err)
	denied("Ann gives it to Bob", ann.Update(t.Context(), func(tx *ankurah.Tx) error {
		m, err := model.Messages.Edit(tx, hello)
		if err != nil {
			return err
		}
		return m.Author.Set(bobRef)
	}))
	denied("Bob joins for Ann", bob.Update(t.Context(), func(tx *ankurah.Tx) error {
		_, err := model.Memberships.Create(tx, &model.Membership{Room: d.lobby, User: annRef})
		return err
	}))
	denied("Bob makes a user", bob.Update(t.Context(), func(tx *ankurah.Tx) error {
		_, err := model.Users.Create(tx, &model.User{Name: "Eve"})
		return err
	}))
	denied("Bob renames the lobby", bob.Update(t.Context(), func(tx *ankurah.Tx) error {
		r, err := model.Rooms.Edit(tx, d.lobby.ID())
		if err != nil {
			return err
		}
		return r.Name.Set("Bob's")
	}))
	if n, err := model.Messages.Count(t.Context(), bob, "text = 'hello, all'"); n != 1 || err != nil {
		t.Errorf("Bob reads %d, %v", n, err)
	}
	if rows, err := model.Messages.Fetch(t.Context(), node.Session(policy.Principal{}), ""); len(rows) > 0 || err != nil {
		t.Errorf("who has not signed in reads %d messages, %v", len(rows), err)
	}
	for _, text := range []string{"", " \n", strings.Repeat("ä", maxMessage+1)} {
		if _, err := say(ann, annRef, text); !errors.Is(err, ankurah.ErrConstraint) {
			t.Errorf("%.5q: %v", text, err)
		}
	}
	if _, err := say(ann, annRef, strings.Repeat("ä", maxMessage)); err != nil {
		t.Error(err)
	}
}

// Signing in twice is the same user; names are put in order; what cannot be a
// name is refused.
func TestSignIn(t *testing.T) {
	d, node := open(t)
	sign := func(body string) (int, string) {
		w := httptest.NewRecorder()
		d.ServeHTTP(w, httptest.NewRequest("POST", "/signin", strings.NewReader(body)))
		return w.Code, strings.TrimSpace(w.Body.String())
	}
	code, first := sign(`{"name":"  Ann  Marie "}`)
	if code != http.StatusOK || !strings.HasPrefix(first, `{"name":"Ann Marie","id":"`) {
		t.Fatalf("%d %s", code, first)
	}
	if _, again := sign(`{"name":"Ann Marie"}`); again != first {
		t.Errorf("%s, then %s", first, again)
	}
	for body, want := range map[string]int{
		`{"name":""}`: http.StatusUnprocessableEntity,
		`{"name":"` + strings.Repeat("x", maxName+1) + `"}`: http.StatusUnprocessableEntity,
		`name`: http.StatusBadRequest,
		`{"name":"` + strings.Repeat("x", 2000) + `"}`: http.StatusBadRequest,
	} {
		if code, text := sign(body); code != want || text == "" {
			t.Errorf("%.20s: %d %s", body, code, text)
		}
	}
	// A directory that is opened later knows the same people, and makes no second lobby.
	later := newDirectory()
	if err := later.open(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	if len(later.ids) != len(d.ids) || later.ids["Ann Marie"] != d.ids["Ann Marie"] || later.lobby != d.lobby {
		t.Errorf("%v, %v", later.ids, d.ids)
	}
	if _, err := d.principal(t.Context(), []byte("Eve")); err == nil {
		t.Error("somebody who has not signed in is let in")
	}
}

// Pages of other sites sign nobody in, and no answer comes without what browsers
// have to be told.
func TestRoutes(t *testing.T) {
	says := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) })
	}
	h := routes(says("nodes"), says("pages"), says("people"), says("page"))
	for _, c := range []struct {
		method, path, site string
		code               int
		body               string
	}{
		{"GET", "/ankurah", "", 200, "nodes"},
		{"GET", "/pages", "", 200, "pages"},
		{"GET", "/anything/else", "cross-site", 200, "page"},
		{"POST", "/signin", "", 200, "people"}, // no browser
		{"POST", "/signin", "same-origin", 200, "people"},
		{"POST", "/signin", "same-site", 403, "cross-origin"},
		{"POST", "/signin", "cross-site", 403, "cross-origin"},
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		if c.site != "" {
			r.Header.Set("Sec-Fetch-Site", c.site)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.body) {
			t.Errorf("%s %s (%s): %d %s", c.method, c.path, c.site, w.Code, w.Body)
		}
		for _, name := range []string{"Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy"} {
			if w.Header().Get(name) == "" {
				t.Errorf("%s %s: no %s", c.method, c.path, name)
			}
		}
	}
}

func TestAssets(t *testing.T) {
	if _, err := newAssets(fstest.MapFS{}); err == nil {
		t.Error("a page that is not built is served")
	}
	a, err := newAssets(fstest.MapFS{
		"index.html":             {Data: []byte("<p>page</p>")},
		"index.html.br":          {Data: []byte("page packed")},
		"sw.js":                  {Data: []byte("worker")},
		"assets/node-0a.wasm":    {Data: []byte("\x00asm")},
		"assets/node-0a.wasm.br": {Data: []byte("node packed")},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, path, accept, rng        string
		code                             int
		body, kind, encoding, cacheBegin string
	}{
		{"GET", "/", "", "", 200, "<p>page</p>", "text/html", "", "no-cache"},
		{"GET", "/", "gzip, br", "", 200, "page packed", "text/html", "br", "no-cache"},
		{"GET", "/sw.js", "br", "", 200, "worker", "text/javascript", "", "no-cache"},
		{"GET", "/assets/node-0a.wasm", "gzip;q=1.0, br;q=0.5", "", 200, "node packed", "application/wasm", "br", "public, max-age"},
		{"GET", "/assets/node-0a.wasm", "br;q=0", "", 200, "\x00asm", "application/wasm", "", "public, max-age"},
		{"GET", "/assets/node-0a.wasm", "br", "bytes=1-2", 206, "as", "application/wasm", "", "public, max-age"},
		{"HEAD", "/assets/node-0a.wasm", "br", "", 200, "", "application/wasm", "br", "public, max-age"},
		{"GET", "/assets/gone.js", "br", "", 404, "404 page not found\n", "text/plain", "", ""},
		{"GET", "/assets", "br", "", 404, "404 page not found\n", "text/plain", "", ""},
		{"GET", "/../server/main.go", "br", "", 404, "404 page not found\n", "text/plain", "", ""},
		{"POST", "/", "br", "", 405, "only GET and HEAD\n", "text/plain", "", ""},
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		r.Header.Set("Accept-Encoding", c.accept)
		if c.rng != "" {
			r.Header.Set("Range", c.rng)
		}
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		h := w.Header()
		if w.Code != c.code || w.Body.String() != c.body || !strings.HasPrefix(h.Get("Content-Type"), c.kind) ||
			h.Get("Content-Encoding") != c.encoding || !strings.HasPrefix(h.Get("Cache-Control"), c.cacheBegin) || c.cacheBegin == "" && h.Get("Cache-Control") != "" {
			t.Errorf("%s %s (%s): %d %q %v", c.method, c.path, c.accept, w.Code, w.Body, h)
		}
		if allow := h.Get("Allow"); (allow != "") != (c.code == http.StatusMethodNotAllowed) {
			t.Errorf("%s %s: Allow is %q", c.method, c.path, allow)
		}
	}
}

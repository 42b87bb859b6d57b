package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/examples/chat/model"
	"github.com/ankurah/ankurah-go/policy"
)

// directory knows who has signed in. It is asked by the policy agent, which
// must not call the node, so it keeps the IDs itself.
type directory struct {
	session *ankurah.Session
	lobby   ankurah.Ref[model.Room]
	signing sync.Mutex // one at a time, so that nobody is made twice

	mu  sync.Mutex // guards ids
	ids map[string]ankurah.ID
}

func newDirectory() *directory { return &directory{ids: map[string]ankurah.ID{}} }

// open learns who is there, and makes a first room.
func (d *directory) open(ctx context.Context, node *ankurah.Node) error {
	d.session = node.Session(self)
	for user, err := range model.Users.All(ctx, d.session, "") {
		if err != nil {
			return err
		}
		d.ids[user.Name()] = user.ID()
	}
	first, err := model.Rooms.Fetch(ctx, d.session, "ORDER BY created LIMIT 1")
	if err != nil {
		return err
	}
	if len(first) > 0 {
		d.lobby = first[0].Ref()
		return nil
	}
	return d.session.Update(ctx, d.welcome)
}

// welcome makes the room that everybody begins in.
func (d *directory) welcome(tx *ankurah.Tx) error {
	now := time.Now()
	host, err := model.Users.Create(tx, &model.User{Name: "Ankurah"})
	if err != nil {
		return err
	}
	d.ids["Ankurah"] = host.ID()
	room, err := model.Rooms.Create(tx, &model.Room{Name: "Lobby", Creator: host.Ref(), Created: now})
	if err != nil {
		return err
	}
	d.lobby = room.Ref()
	for k, text := range []string{
		"Welcome! Open this page in a second tab, or in another browser under another name, and say something.",
		"Then stop the server, or go offline: everything goes on working, also after a reload. What you write meanwhile is sent when the server is back.",
	} {
		message := &model.Message{Room: d.lobby, Author: host.Ref(), Text: text, Sent: now.Add(time.Duration(k) * time.Second)}
		if _, err := model.Messages.Create(tx, message); err != nil {
			return err
		}
	}
	return nil
}

// principal says who a credential stands for. Here it is the name itself, which
// anybody can claim: a real program checks a signed token instead, and takes
// the subject from that.
func (d *directory) principal(_ context.Context, credential []byte) (policy.Principal, error) {
	name := string(credential)
	d.mu.Lock()
	defer d.mu.Unlock()
	id, ok := d.ids[name]
	if !ok {
		return policy.Principal{}, errors.New("nobody of this name has signed in")
	}
	return policy.Principal{Subject: name, Claims: map[string]string{"user": id.String()}}, nil
}

// signIn returns the user of a name, who is made if there was none. A real
// program asks for a password here.
func (d *directory) signIn(ctx context.Context, name string) (ankurah.ID, error) {
	d.signing.Lock()
	defer d.signing.Unlock()
	d.mu.Lock()
	id, ok := d.ids[name]
	d.mu.Unlock()
	if ok {
		return id, nil
	}
	err := d.session.Update(ctx, func(tx *ankurah.Tx) error {
		user, err := model.Users.Create(tx, &model.User{Name: name})
		if err != nil {
			return err
		}
		id = user.ID()
		_, err = model.Memberships.Create(tx, &model.Membership{Room: d.lobby, User: user.Ref()})
		return err
	})
	if err != nil {
		return id, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ids[name] = id
	return id, nil
}

// ServeHTTP signs somebody in: {"name": "Ann"} is answered by {"name": "Ann",
// "id": "01K…"}.
func (d *directory) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var user struct {
		Name string `json:"name"`
		ID   string `json:"id"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10)).Decode(&user); err != nil {
		http.Error(w, `send {"name": "…"}: `+err.Error(), http.StatusBadRequest)
		return
	}
	user.Name = strings.Join(strings.Fields(user.Name), " ")
	id, err := d.signIn(r.Context(), user.Name)
	switch {
	case errors.Is(err, ankurah.ErrConstraint):
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	case err != nil:
		http.Error(w, "the server could not sign you in", http.StatusInternalServerError)
		return
	}
	user.ID = id.String()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(user) // if not, the browser is gone
}

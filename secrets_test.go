package ankurah_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/value"
)

// secrets are what an attacker must not learn: an album of somebody else, and
// all of the vault.
type secrets struct {
	album, vault id.ID
	albumTip     event.Tip
	vaultTip     event.Tip
}

const secretName = "s3cr3t"

func (a *arena) hide() (s secrets) {
	a.Helper()
	owner := a.greet("owner")
	album := owner.genesis("album", set("name", secretName), set("owner", "owner"))
	vault := owner.genesis("vault", set("combination", secretName))
	for _, e := range []*event.Event{album, vault} {
		if r := owner.submit(e); r != nil {
			a.Fatal(r)
		}
	}
	return secrets{album.Entity, vault.Entity, album.Tip(), vault.Tip()}
}

// told asks a question and returns the answer, frame by frame, without what
// names the question.
func (x *attacker) told(m wire.Message) (frames []wire.Message) {
	x.a.Helper()
	x.say(m)
	n := x.number() + 1<<40
	x.say(&wire.Sync{ID: n})
	for {
		switch m := x.hear().(type) {
		case nil:
			x.a.Fatal("the connection ended")
		case *wire.Sync:
			if m.ID == n {
				return frames
			}
		default:
			frames = append(frames, m)
		}
	}
}

// S38: whatever an attacker asks about what it may not read, it hears the same
// as about what is not there.
func TestSecretsByEveryMessage(t *testing.T) {
	attacked(t, func(a *arena) {
		s := a.hide()
		x := a.greet("mallory")
		own := x.genesis("album", set("name", "bait"), set("owner", "mallory"))
		if r := x.submit(own); r != nil {
			t.Fatal(r)
		}
		absent := newID()
		tip := event.Tip{ID: newID()}
		known := func(i id.ID, rev uint64) []wire.Known { return []wire.Known{{Entity: i, Rev: rev}} }
		// ask is asked of the secret and of what is not there.
		type question func(collection string, i id.ID, tip event.Tip) wire.Message
		questions := map[string]question{
			"want": func(c string, i id.ID, _ event.Tip) wire.Message {
				return &wire.Want{ID: 1, Collection: c, Entities: known(i, 0)}
			},
			"want of rev 1": func(c string, i id.ID, _ event.Tip) wire.Message {
				return &wire.Want{ID: 1, Collection: c, Entities: known(i, 1)}
			},
			"want of rev 2": func(c string, i id.ID, _ event.Tip) wire.Message {
				return &wire.Want{ID: 1, Collection: c, Entities: known(i, 2)}
			},
			"want in another collection": func(_ string, i id.ID, _ event.Tip) wire.Message {
				return &wire.Want{ID: 1, Collection: "single", Entities: known(i, 1)}
			},
			"history": func(c string, i id.ID, _ event.Tip) wire.Message {
				return &wire.History{ID: 1, Collection: c, Entity: i}
			},
			"query by ID": func(c string, i id.ID, _ event.Tip) wire.Message {
				return &wire.Query{ID: 1, Collection: c, Text: "id = ?", Params: [][]byte{value.Append(nil, value.ID(i))}}
			},
			"query of known": func(c string, i id.ID, _ event.Tip) wire.Message {
				return &wire.Query{ID: 1, Collection: c, Text: "name = 'no'", Known: known(i, 1), Lenient: true}
			},
			"count by ID": func(c string, i id.ID, _ event.Tip) wire.Message {
				return &wire.Query{ID: 1, Collection: c, Text: "id = ?", Params: [][]byte{value.Append(nil, value.ID(i))}, Count: true}
			},
			"groups by ID": func(c string, i id.ID, _ event.Tip) wire.Message {
				return &wire.Query{ID: 1, Collection: c, Text: "SELECT COUNT(*), MAX(name), MIN(combination) WHERE id = ? GROUP BY owner", Params: [][]byte{value.Append(nil, value.ID(i))}, Lenient: true}
			},
			"require its head": func(c string, i id.ID, tip event.Tip) wire.Message {
				e := x.genesis("album", set("owner", "mallory"))
				return &wire.Submit{Tx: e.Tx, Events: [][]byte{e.Append(nil)}, Requires: []wire.Require{{Collection: c, Entity: i, Head: event.Head{tip}}}}
			},
			"require no head": func(c string, i id.ID, _ event.Tip) wire.Message {
				e := x.genesis("album", set("owner", "mallory"))
				return &wire.Submit{Tx: e.Tx, Events: [][]byte{e.Append(nil)}, Requires: []wire.Require{{Collection: c, Entity: i}}}
			},
			"require it in another collection": func(_ string, i id.ID, tip event.Tip) wire.Message {
				e := x.genesis("album", set("owner", "mallory"))
				return &wire.Submit{Tx: e.Tx, Events: [][]byte{e.Append(nil)}, Requires: []wire.Require{{Collection: "single", Entity: i, Head: event.Head{tip}}}}
			},
			"edit": func(c string, i id.ID, tip event.Tip) wire.Message {
				e := x.edit(c, i, []id.ID{tip.ID}, set("name", "x"))
				return &wire.Submit{Tx: e.Tx, Events: [][]byte{e.Append(nil)}}
			},
			"edit in another collection": func(_ string, i id.ID, tip event.Tip) wire.Message {
				e := x.edit("single", i, []id.ID{tip.ID}, set("name", "x"))
				return &wire.Submit{Tx: e.Tx, Events: [][]byte{e.Append(nil)}}
			},
			"edit upon a guess": func(c string, i id.ID, tip event.Tip) wire.Message {
				parents := []id.ID{tip.ID, own.ID}
				slices.SortFunc(parents, id.ID.Compare)
				e := x.edit(c, i, parents, set("name", "x"))
				return &wire.Submit{Tx: e.Tx, Events: [][]byte{e.Append(nil)}}
			},
		}
		for _, what := range []string{"want", "history", "query by ID", "count by ID", "groups by ID"} { // these do tell of one's own
			ask := questions[what]
			if plain(x.told(ask("album", own.Entity, tip)), own.Entity, tip.ID) == plain(x.told(ask("album", absent, tip)), absent, tip.ID) {
				t.Errorf("%s: nothing is told of one's own", what)
			}
		}
		for what, ask := range questions {
			for collection, secret := range map[string]struct {
				i   id.ID
				tip event.Tip
			}{"album": {s.album, s.albumTip}, "vault": {s.vault, s.vaultTip}} {
				// What names the thing asked for is not what is learned. A
				// parent that is not there has a stamp like the one that is.
				none := tip
				copy(none.ID[:8], secret.tip.ID[:8])
				got := x.told(ask(collection, secret.i, secret.tip))
				want := x.told(ask(collection, absent, none))
				if a, b := plain(got, secret.i, secret.tip.ID), plain(want, absent, none.ID); a != b {
					t.Errorf("%s of %s: told %s, of nothing %s", what, collection, a, b)
				}
			}
		}
		// What it may ask for without knowing anything.
		for what, m := range map[string]wire.Message{
			"all":            &wire.Query{ID: 1, Collection: "album"},
			"all of vault":   &wire.Query{ID: 1, Collection: "vault"},
			"by name":        &wire.Query{ID: 1, Collection: "album", Text: "name = 's3cr3t'"},
			"not by name":    &wire.Query{ID: 1, Collection: "album", Text: "NOT (name = 'x') OR owner <> 'x' OR TRUE"},
			"count":          &wire.Query{ID: 1, Collection: "vault", Count: true},
			"live":           &wire.Query{ID: 1, Collection: "album", Text: "TRUE ORDER BY name DESC LIMIT 2", Live: true},
			"live of vault":  &wire.Query{ID: 2, Collection: "vault", Live: true},
			"groups":         &wire.Query{ID: 6, Collection: "album", Text: "SELECT COUNT(*), MAX(name) GROUP BY owner"},
			"live groups":    &wire.Query{ID: 7, Collection: "album", Text: "SELECT COUNT(*), MAX(name) WHERE owner = 'owner' GROUP BY name", Live: true},
			"live count":     &wire.Query{ID: 8, Collection: "vault", Text: "SELECT COUNT(*) GROUP BY combination", Live: true, Lenient: true},
			"a wrong field":  &wire.Query{ID: 3, Collection: "vault", Text: "combinatio = 'x'"},
			"describe":       &wire.Describe{ID: 4},
			"describe vault": &wire.Describe{ID: 5, Collection: "vault"},
		} {
			for _, m := range x.told(m) {
				b := wire.Append(nil, m)
				if bytes.Contains(b, []byte(secretName)) || bytes.Contains(b, []byte("combination")) || bytes.Contains(b, s.album[:]) || bytes.Contains(b, s.vault[:]) {
					t.Errorf("%s: it leaks: %+v", what, m)
				}
				if c, ok := m.(*wire.Counted); ok && c.N != 0 {
					t.Errorf("%s: counted %d", what, c.N)
				}
			}
		}
		// And what happens to it while live queries wait.
		owner := a.server.Session(policy.Principal{Subject: "owner"})
		update(t, owner, ankurah.ID(s.album), ankurah.Fields{"name": secretName + "2"})
		for _, m := range x.told(&wire.Ping{N: 1}) {
			if _, pong := m.(*wire.Pong); !pong {
				t.Errorf("news about a secret: %+v", m)
			}
		}
	})
}

// plain writes an answer without its question's names, and without times.
func plain(list []wire.Message, i, tip id.ID) string {
	var b strings.Builder
	for _, m := range list {
		switch m := m.(type) {
		case *wire.Refuse:
			text := strings.NewReplacer(i.String(), "THE ENTITY", tip.String(), "THE PARENT").Replace(m.Text)
			if at := strings.Index(text, "event "); at >= 0 {
				text = text[:at+6] + text[at+6+26:] // its own ID
			}
			b.WriteString(string(m.Code) + ": " + text)
		case *wire.Ack:
			b.WriteString("accepted")
		default:
			b.Write(bytes.ReplaceAll(wire.Append(nil, m), i[:], []byte("THE ENTITY")))
		}
		b.WriteString("; ")
	}
	return strings.ReplaceAll(b.String(), i.String(), "THE ENTITY")
}

// A second genesis of what its maker may not read any more is refused like any
// other.
func TestSecondGenesisOfASecret(t *testing.T) {
	attacked(t, func(a *arena) {
		x := a.greet("mallory")
		g := x.genesis("album", set("owner", "somebody"))
		if r := x.submit(g); r != nil {
			t.Fatal(r)
		}
		h := g.Header
		h.Tx, h.Stamp = newTx(), x.header("album").Stamp
		x.refused("a second genesis", x.submit(x.event(h, set("owner", "mallory"))), wire.Malformed, "created before")
	})
}

// S38: a credential that changes while requests are under way.
func TestCredentialsInFlight(t *testing.T) {
	attacked(t, func(a *arena) {
		s := a.hide()
		x := a.greet("mallory")
		x.say(&wire.Query{ID: 1, Collection: "album", Live: true})
		for range 100 {
			x.say(&wire.Credential{Credential: []byte("mallory")})
			x.say(&wire.Query{ID: 2, Collection: "album"})
			x.say(&wire.Ping{N: 1})
		}
		x.sync()
		for _, credential := range []string{"owner", "panic", ""} {
			y := a.greet("mallory")
			for k := range uint64(20) {
				y.say(&wire.Query{ID: 10 + k, Collection: "album", Live: true})
				if k == 10 {
					y.say(&wire.Credential{Credential: []byte(credential)})
				}
				y.say(&wire.Want{ID: 100 + k, Collection: "album", Entities: []wire.Known{{Entity: s.album}}})
			}
			for {
				m := y.hear()
				if bye, ok := m.(*wire.Bye); ok {
					if bye.Code != wire.Unauthenticated {
						t.Errorf("credential %q: %s: %s", credential, bye.Code, bye.Text)
					}
					break
				}
				if m == nil {
					t.Fatalf("credential %q: the connection ended without a word", credential)
				}
				if bytes.Contains(wire.Append(nil, m), []byte(secretName)) {
					t.Errorf("credential %q: a secret: %+v", credential, m)
				}
			}
		}
	})
}

// One connection's numbers mean nothing on another.
func TestOthersQueries(t *testing.T) {
	attacked(t, func(a *arena) {
		victim, x := a.greet("victim"), a.greet("mallory")
		victim.say(&wire.Query{ID: 1, Collection: "album", Live: true})
		victim.sync()
		for n := range uint64(2000) {
			x.say(&wire.Cancel{ID: n + 1})
		}
		x.sync()
		create(t, a.server.Session(policy.Principal{Subject: "honest"}), ankurah.Fields{"name": "news", "year": 1})
		victim.until(func(m wire.Message) bool { _, ok := m.(*wire.Push); return ok })
	})
}

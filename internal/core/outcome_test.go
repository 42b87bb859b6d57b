package core

import (
	"errors"
	"slices"
	"testing"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/policy"
)

// waiting returns a client with an entity that the server has, and an edit of
// it that the server has not answered.
func waiting(t *testing.T) (*pair, *outTx) {
	w := newPair(t)
	w.connect()
	w.rest()
	x := w.create(w.c, w.xc, 0)
	w.rest()
	w.query(-1)
	w.rest()
	w.edit(w.c, w.xc, x, "n", 1, false)
	w.l.Take() // on its way
	return w, w.c.outbox[0]
}

// S29: who waits for the outcome of a transaction hears of a refusal when it is
// written. A crash before that sends the transaction again, and it may be
// accepted.
func TestRefusalIsToldWhenItIsWritten(t *testing.T) {
	w, o := waiting(t)
	w.c.LinkFrame(w.l, wire.Append(nil, &wire.Refuse{Tx: o.id, Code: wire.Denied}))
	if w.c.Pending() != 0 {
		t.Fatal("the refusal is not being written")
	}
	var told []error
	w.c.Confirm(o.id, func(err error) { told = append(told, err) })
	if len(told) != 0 {
		t.Fatalf("told before it is written: %v", told)
	}
	w.xc.settle()
	if len(told) != 1 || !errors.Is(told[0], policy.ErrDenied) {
		t.Fatalf("told when it is written: %v", told)
	}
}

// S27: Close tells those who wait for what is being written.
func TestCloseTellsOfWhatIsBeingWritten(t *testing.T) {
	w, o := waiting(t)
	w.c.LinkFrame(w.l, wire.Append(nil, &wire.Refuse{Tx: o.id, Code: wire.Denied}))
	var told []error
	w.c.Confirm(o.id, func(err error) { told = append(told, err) })
	w.c.Close()
	if len(told) != 1 || !errors.Is(told[0], ErrClosed) {
		t.Fatalf("told at close: %v", told)
	}
}

// S35: a live query says that it knows the server's revs, also when the pending
// events on top have just been refused and the rows still show them.
func TestKnownRevsAreTheServers(t *testing.T) {
	w, o := waiting(t)
	w.c.LinkFrame(w.l, wire.Append(nil, &wire.Refuse{Tx: o.id, Code: wire.Denied}))
	for _, q := range w.c.inOrder() {
		if got := w.c.known(q.Rows()); len(got) != 1 || got[0].Rev != 1 {
			t.Errorf("known: %+v, the server has rev 1", got)
		}
	}
}

// S4: a wall clock that steps back delays nothing: deadlines do not follow it.
func TestClockStepsBackWhileWaiting(t *testing.T) {
	w, o := waiting(t)
	w.c.LinkFrame(w.l, wire.Append(nil, &wire.Refuse{Tx: o.id, Code: wire.Overloaded}))
	w.xc.settle()
	w.xc.wrong = -365 * 86_400_000
	w.xc.now += 2 * retryDelay
	w.c.Tick()
	w.xc.settle()
	if !o.sent {
		t.Error("the transaction that was put off is not sent again")
	}
}

// S27, S29: a submission names the pending ones that it is upon, so that a
// server that refuses one for the time being does not acknowledge the next.
func TestSubmissionsNameWhatTheyAreUpon(t *testing.T) {
	w := newPair(t)
	w.connect()
	w.rest()
	i := w.create(w.c, w.xc, 1)
	w.create(w.c, w.xc, 1)
	w.edit(w.c, w.xc, i, "n", 2, false)
	frames, _ := w.l.Take()
	var sent []*wire.Submit
	for _, b := range frames {
		if m, err := wire.Decode(b); err != nil {
			t.Fatal(err)
		} else if s, is := m.(*wire.Submit); is {
			sent = append(sent, s)
		}
	}
	if len(sent) != 3 || len(sent[0].After)+len(sent[1].After) > 0 || !slices.Equal(sent[2].After, []event.TxID{sent[0].Tx}) {
		t.Errorf("%+v", sent)
	}
}

// S28: what was judged and refused is refused when it comes again on the same
// connection, whatever has changed meanwhile: its sender has heard that it is.
func TestRefusedStaysRefused(t *testing.T) {
	w := newPair(t)
	w.connect()
	w.rest()
	agent := w.s.cfg.Policy.(*funcAgent)
	agent.write = func(policy.Write) error { return policy.ErrDenied }
	i := w.create(w.c, w.xc, 1)
	frames, _ := w.l.Take()
	for _, allowed := range []bool{false, true} {
		if allowed {
			agent.write = nil
		}
		for _, b := range frames {
			w.s.PeerFrame(w.p, b)
		}
		w.xs.settle()
		refused := 0
		answers, _ := taken(t, w.p)
		for _, m := range answers {
			if _, is := m.(*wire.Refuse); is {
				refused++
			}
		}
		if refused != 1 {
			t.Errorf("allowed %t: %v", allowed, answers)
		}
	}
	if s := stateOf(t, w.s, i); s != nil {
		t.Errorf("stored at rev %d", s.Rev())
	}
}

// S37, S53: what enters a window by an own commit comes in one piece with the
// word that it enters. A row that was there before is not shown as it was then.
func TestAckBringsRowsOfWindows(t *testing.T) {
	w := newPair(t)
	w.connect()
	w.rest()
	a := w.create(w.s, w.xs, 1)
	b := w.create(w.s, w.xs, 2)
	i := w.create(w.s, w.xs, 3)
	sel, err := ankql.BindTemplate("ORDER BY n LIMIT 2", nil, nil, "album")
	if err != nil {
		t.Fatal(err)
	}
	q := w.c.Subscribe(sel, nil, &quietSink{})
	w.c.Start(q)
	w.c.Follow(q)
	w.rest()
	w.edit(w.s, w.xs, a, "n", 5, false) // i enters the window
	w.rest()
	w.edit(w.s, w.xs, a, "n", 1, false) // and leaves it
	w.rest()
	w.edit(w.s, w.xs, i, "m", 7, false) // which is none of the client's affairs
	w.rest()
	if n := stateOf(t, w.c, i).Rev(); n != 1 {
		t.Fatalf("the client has been told of rev %d", n)
	}
	w.edit(w.c, w.xc, b, "n", 9, false)
	w.up()
	w.xs.settle()
	frames, _ := w.p.Take()
	for _, f := range frames {
		w.c.LinkFrame(w.l, f)
		w.xc.settle()
		for _, r := range q.Rows() {
			if have, want := r.Rev(), stateOf(t, w.s, r.ID()).Rev(); r.ID() == i && have != want {
				t.Errorf("rev %d of it is shown; it has %d", have, want)
			}
		}
	}
	if rows := q.Rows(); len(rows) != 2 || rows[1].ID() != i || !q.Synced() {
		t.Errorf("%d rows, synced %t", len(rows), q.Synced())
	}
}

package sim

import (
	"context"
	"fmt"
	"iter"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/core"
	"github.com/ankurah/ankurah-go/storage"
)

// A shared store does what storage/postgres promises: batches of several
// processes come one after the other, snapshots are whole, a process hears of
// the others' batches late or not at all, and what it reads ends with its
// connection.

// shareStore makes servers that have one store.
func (w *World) shareStore() {
	d := newDisk()
	d.shared = true
	for k := range 2 + w.r.IntN(w.load.servers-1) {
		n := w.node(fmt.Sprint("server", k), agent{w.open})
		n.disk = d
		w.servers = append(w.servers, n)
	}
	w.server = w.servers[0]
	w.reader = newReader(w)
	switch {
	case w.load.sleepy:
		w.retention = 2000 + w.r.Uint64N(3000)
	case w.chance(40):
		w.retention = 20_000 + w.r.Uint64N(60_000)
	}
}

// sleep stops a server, or keeps it from its store, for so long that the others
// may have trimmed their feeds.
func (w *World) sleep(n *node) {
	if n.core == nil || n.asleep > 0 {
		return
	}
	n.asleep, n.parted = w.now+w.retention*(2+w.r.Uint64N(5)), w.chance(50)
	if n.parted {
		w.note("%s does not reach its store", n.name)
	} else {
		w.note("%s is stopped", n.name)
	}
}

// stopped reports whether a process does nothing at all.
func (n *node) stopped() bool { return n.asleep > 0 && !n.parted }

// wake lets those go on whose time has come, with the connections that they had
// or with others.
func (w *World) wake() {
	for _, n := range w.servers {
		if n.asleep == 0 || w.now < n.asleep {
			continue
		}
		w.note("%s goes on", n.name)
		if n.asleep = 0; w.chance(50) {
			n.loseStore()
		}
	}
}

// someServer returns one of the servers.
func (w *World) someServer() *node {
	if len(w.servers) == 1 {
		return w.server
	}
	return w.servers[w.r.IntN(len(w.servers))]
}

// distinct returns a node for each store.
func (w *World) distinct() []*node { return append([]*node{w.server}, w.clients...) }

// session is a process's connection to a shared store.
type session struct {
	lost bool
	left int      // reads of it that succeed all the same
	high id.Stamp // what the process knows to be stored, and has made
}

// high returns the greatest stamp of which a server has to know.
func (n *node) high() id.Stamp {
	if n.session != nil {
		return n.session.high
	}
	return n.disk.high
}

// snapshot takes a snapshot for the core.
func (n *node) snapshot() (storage.Snapshot, error) {
	s, err := n.disk.Snapshot()
	if err != nil || !n.disk.shared {
		return s, err
	}
	if n.core == nil { // it starts
		n.session = &session{high: n.disk.high}
	}
	return &leased{s, n.session}, nil
}

// current returns what a process has published, for who looks on: that is not
// lost with a connection.
func (n *node) current() (*core.Snap, error) {
	s, err := n.core.Current()
	if err != nil {
		return nil, err
	}
	l, is := s.Snapshot.(*leased)
	if !is {
		return s, nil
	}
	return core.NewSnap(&borrowed{l.Snapshot, s}, s.Seq), nil
}

// borrowed is a snapshot that gives the one back that it is of.
type borrowed struct {
	storage.Snapshot
	of *core.Snap
}

func (b *borrowed) Close() error {
	b.of.Release()
	return nil
}

// wroteBesideOthers has a process hear of what became of its batch, with a
// snapshot that is taken some time after it. The others may hear of it too.
func (x *executor) wroteBesideOthers(res storage.Result, err error, done func(storage.Result, storage.Snapshot, error)) {
	if err != nil {
		x.later("wrote", func() { done(res, nil, err) })
		return
	}
	x.n.w.announce(x.n)
	x.atStore("takes a snapshot", func() {
		snap, err := x.n.snapshot()
		x.later("wrote", func() { done(res, snap, err) })
	})
}

// announce tells servers that another has committed something, if they listen.
func (w *World) announce(by *node) {
	for _, n := range w.servers {
		if n != by && n.core != nil && n.listening {
			(&executor{n, n.life}).look("hears of a commit")
		}
	}
}

func (x *executor) look(what string) {
	x.atStore(what, func() { x.n.core.CatchUp(func() {}) })
}

// listen has a process hear of others from some time on. Then it looks for what
// it has missed.
func (x *executor) listen() {
	x.n.listening = false
	x.atStore("listens", func() {
		x.n.listening = true
		x.n.core.CatchUp(func() {})
	})
}

// loseStore breaks a server's connections to its store: its snapshots are gone,
// also while they are read, and for a time it hears of nobody.
func (n *node) loseStore() {
	if n.core == nil {
		return
	}
	n.w.note("%s loses its connections to the store", n.name)
	n.session.lost, n.session.left = true, n.w.r.IntN(4)
	n.session = &session{high: n.session.high}
	(&executor{n, n.life}).listen()
}

// leased is a snapshot that is lost with its connection.
type leased struct {
	storage.Snapshot
	s *session
}

func (l *leased) read() error {
	if !l.s.lost {
		return nil
	}
	if l.s.left--; l.s.left >= 0 {
		return nil
	}
	return storage.ErrInterrupted
}

func (l *leased) State(ctx context.Context, collection string, entity id.ID) (*entity.State, error) {
	if err := l.read(); err != nil {
		return nil, err
	}
	return l.Snapshot.State(ctx, collection, entity)
}

func (l *leased) Find(ctx context.Context, e id.ID) (storage.Position, bool, error) {
	if err := l.read(); err != nil {
		return storage.Position{}, false, err
	}
	return l.Snapshot.Find(ctx, e)
}

func (l *leased) Count(ctx context.Context, sel *ankql.Selection) (int64, error) {
	if err := l.read(); err != nil {
		return 0, err
	}
	return l.Snapshot.Count(ctx, sel)
}

func (l *leased) Tx(ctx context.Context, tx event.TxID) ([]byte, bool, error) {
	if err := l.read(); err != nil {
		return nil, false, err
	}
	return l.Snapshot.Tx(ctx, tx)
}

func (l *leased) Meta(ctx context.Context, key []byte) ([]byte, bool, error) {
	if err := l.read(); err != nil {
		return nil, false, err
	}
	return l.Snapshot.Meta(ctx, key)
}

func (l *leased) Claimed(ctx context.Context, key []byte) (id.ID, bool, error) {
	if err := l.read(); err != nil {
		return id.ID{}, false, err
	}
	return l.Snapshot.Claimed(ctx, key)
}

func (l *leased) Collections(ctx context.Context) ([]string, error) {
	if err := l.read(); err != nil {
		return nil, err
	}
	return l.Snapshot.Collections(ctx)
}

func (l *leased) Events(ctx context.Context, collection string, entity id.ID, first, last uint64) iter.Seq2[*event.Event, error] {
	return while(l, l.Snapshot.Events(ctx, collection, entity, first, last))
}

func (l *leased) Scan(ctx context.Context, sel *ankql.Selection) iter.Seq2[*entity.State, error] {
	return while(l, l.Snapshot.Scan(ctx, sel))
}

func (l *leased) All(ctx context.Context, collection string) iter.Seq2[*entity.State, error] {
	return while(l, l.Snapshot.All(ctx, collection))
}

func (l *leased) MetaRange(ctx context.Context, lo, hi []byte) iter.Seq2[storage.MetaWrite, error] {
	return while(l, l.Snapshot.MetaRange(ctx, lo, hi))
}

// Records and EventsAt read in one go what others read one by one.
func (l *leased) Records(ctx context.Context, txs []event.TxID) (map[event.TxID][]byte, error) {
	out := map[event.TxID][]byte{}
	for _, tx := range txs {
		b, ok, err := l.Tx(ctx, tx)
		if err != nil {
			return nil, err
		}
		if ok {
			out[tx] = b
		}
	}
	return out, nil
}

func (l *leased) EventsAt(ctx context.Context, collection string, spans []storage.Span) (map[id.ID][]*event.Event, error) {
	out := map[id.ID][]*event.Event{}
	for _, x := range spans {
		for e, err := range l.Events(ctx, collection, x.Entity, x.First, x.Last) {
			if err != nil {
				return nil, err
			}
			out[x.Entity] = append(out[x.Entity], e)
		}
	}
	return out, nil
}

// while yields what a snapshot has until its connection is lost.
func while[T any](l *leased, all iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		if err := l.read(); err != nil {
			yield(none, err)
			return
		}
		for x, err := range all {
			if err == nil {
				if err = l.read(); err != nil {
					x = none
				}
			}
			if !yield(x, err) || err != nil {
				return
			}
		}
	}
}

// checkAlike checks that servers on one store, which have heard of everything,
// publish all that is stored, and that their live queries do (S62).
func (w *World) checkAlike() error {
	if len(w.servers) == 1 {
		return nil
	}
	if err := w.reader.catchUp(); err != nil {
		return err
	}
	stored, err := w.server.disk.known()
	if err != nil {
		return err
	}
	for _, n := range w.servers {
		if got := n.published(); !sameRows(got, stored) {
			return fmt.Errorf("%s publishes %s, stored is %s", n.name, list(got), list(stored))
		}
		if err := n.checkSchema(stored); err != nil {
			return err
		}
		for _, s := range stored {
			if cached, held := n.core.Cache().Get(s.ID()); held && !same(cached, s) {
				return fmt.Errorf("%s has %s at rev %d in its cache, stored is %d", n.name, s.ID(), cached.Rev(), s.Rev())
			}
		}
		for _, q := range n.queries {
			q.checkFresh()
		}
		for _, q := range n.totals {
			q.checkFresh()
		}
	}
	return nil
}

package ankurah_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/signal"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/transport/local"
	"github.com/ankurah/ankurah-go/transport/wsclient"
)

type album = ankurah.Record

func revDial(t *testing.T, client, server *ankurah.Node) *local.Connection {
	t.Helper()
	c := local.Dial(client, server, []byte("alice"))
	if err := c.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := client.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

func revSoon(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatal("not within " + patience.String() + ": " + what)
	}
}

var alice = policy.Principal{Subject: "alice"}

// S56: a node's Close ends its live queries, for those too who wait.
func TestNodeCloseEndsQueries(t *testing.T) {
	eng := memory.New()
	n, err := ankurah.OpenNode(t.Context(), eng, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}})
	if err == nil {
		err = n.EnsureSystem(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	q, err := albums.Query(t.Context(), n.Session(alice), "")
	if err != nil {
		t.Fatal(err)
	}
	n.Close()
	var started atomic.Bool
	q.OnChange(func(ankurah.ChangeSet[album]) { started.Store(true) })
	time.Sleep(50 * time.Millisecond)
	if started.Load() {
		t.Error("a callback started after the node's Close")
	}
	select {
	case <-q.Done():
	case <-time.After(patience):
		t.Error("Done is not closed after the node's Close")
	}
}

// S56, S36: WaitSynced of a client ends when the node is closed.
func TestNodeCloseEndsWaitSynced(t *testing.T) {
	server := openNode(t, memory.New(), nil)
	client := openClient(t)
	c := revDial(t, client, server)
	c.Close()
	q, err := albums.Query(t.Context(), client.Session(alice), "")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = q.WaitSynced(t.Context()) }()
	time.Sleep(20 * time.Millisecond)
	client.Close()
	revSoon(t, "WaitSynced returns after the node's Close", done)
}

// S26: Confirmed says something when the node is closed.
func TestConfirmedEndsWithTheNode(t *testing.T) {
	server := openNode(t, memory.New(), nil)
	client := openClient(t)
	revDial(t, client, server).Close()
	var tx *ankurah.Tx
	err := client.Session(alice).Update(t.Context(), func(x *ankurah.Tx) error {
		tx = x
		_, err := albums.Create(x, &ankurah.Fields{"name": "x"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = tx.Confirmed(t.Context()) }()
	time.Sleep(20 * time.Millisecond)
	client.Close()
	revSoon(t, "Confirmed returns after the node's Close", done)
}

// S19, S26: what was rolled back was not accepted by anybody.
func TestConfirmedOfRolledBack(t *testing.T) {
	server := openNode(t, memory.New(), nil)
	client := openClient(t)
	defer revDial(t, client, server).Close()
	tx := client.Session(alice).Begin()
	if _, err := albums.Create(tx, &ankurah.Fields{"name": "x"}); err != nil {
		t.Fatal(err)
	}
	tx.Rollback()
	if err := tx.Confirmed(t.Context()); err == nil {
		t.Error("Confirmed of a transaction that was rolled back returns nil")
	}
}

// S30: a session for another principal than the store's is ErrPrincipal.
func TestQueryOfAnotherPrincipal(t *testing.T) {
	server := openNode(t, memory.New(), nil)
	client := openClient(t)
	defer revDial(t, client, server).Close()
	create(t, client.Session(alice), ankurah.Fields{"name": "alice's"})
	q, err := albums.Query(t.Context(), client.Session(policy.Principal{Subject: "bob"}), "")
	if !errors.Is(err, ankurah.ErrPrincipal) {
		t.Errorf("bob's live query on alice's store: %v", err)
	}
	if q != nil {
		t.Errorf("and he sees %v", names(q.Rows()))
		q.Close()
	}
}

// S21: reads inside a transaction see the durable state overlaid with its
// edits, Fetch with LIMIT included.
func TestFetchWithLimitInTxOnClient(t *testing.T) {
	server := openNode(t, memory.New(), nil)
	ss := server.Session(alice)
	a := create(t, ss, ankurah.Fields{"name": "a", "year": 1})
	create(t, ss, ankurah.Fields{"name": "b", "year": 2})
	create(t, ss, ankurah.Fields{"name": "c", "year": 3})
	fetch := func(s *ankurah.Session) []string {
		tx := s.Begin()
		defer tx.Rollback()
		if err := albums.Delete(tx, a); err != nil {
			t.Fatal(err)
		}
		rows, err := albums.Fetch(t.Context(), tx, "ORDER BY year LIMIT 2")
		if err != nil {
			t.Fatal(err)
		}
		return names(rows)
	}
	if got := fetch(ss); len(got) != 2 {
		t.Fatalf("on the server: %v", got)
	}
	client := openClient(t)
	defer revDial(t, client, server).Close()
	if got := fetch(client.Session(alice)); len(got) != 2 {
		t.Errorf("on a client: %v, want b and c", got)
	}
}

type noThirteen struct{ policy.Permissive }

func (noThirteen) CheckWrite(p policy.Principal, w policy.Write) error {
	if y := w.After.Value("year"); !y.IsNull() && y.Int() == 13 {
		return &policy.DeniedError{Subject: p.Subject, Collection: "album", Rule: "no thirteen"}
	}
	return nil
}

// S55, S52: coalesced change sets lead to the same rows.
func TestCoalescingKeepsTheLastState(t *testing.T) {
	server := openNode(t, memory.New(), &ankurah.NodeOptions{Policy: noThirteen{}})
	ss := server.Session(alice)
	x := create(t, ss, ankurah.Fields{"name": "x", "year": 1})
	y := create(t, ss, ankurah.Fields{"name": "y", "year": 1})
	client := openClient(t)
	c := revDial(t, client, server)
	cs := client.Session(alice)
	q, err := albums.Query(t.Context(), cs, "")
	if err == nil {
		err = q.WaitSynced(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	folded := map[ankurah.ID]album{}
	release, started := make(chan struct{}), make(chan struct{})
	var once sync.Once
	q.OnChange(func(cs ankurah.ChangeSet[album]) {
		for _, ch := range cs.Changes {
			if ch.Kind == ankurah.Removed {
				delete(folded, ch.ID())
			} else {
				folded[ch.ID()] = ch.After
			}
			if n, _ := ch.Row().Get("year"); n == int64(13) {
				once.Do(func() { close(started) })
				<-release
			}
		}
	})
	c.Close()
	update(t, cs, x, ankurah.Fields{"year": 13}) // rev 2 here; will be refused
	<-started
	for k := range 70 { // fill the queue
		update(t, cs, y, ankurah.Fields{"year": 100 + k})
	}
	update(t, cs, x, ankurah.Fields{"name": "mine"})     // rev 3 here
	update(t, ss, x, ankurah.Fields{"name": "server's"}) // rev 2 there
	c = revDial(t, client, server)
	defer c.Close()
	if err := client.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := q.WaitSynced(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(release)
	last := make(chan struct{})
	q.OnChange(func(ankurah.ChangeSet[album]) { close(last) })
	<-last
	for _, r := range q.Rows() {
		want, _ := r.Get("name")
		year, _ := r.Get("year")
		gotName, _ := folded[r.ID()].Get("name")
		gotYear, _ := folded[r.ID()].Get("year")
		if want != gotName || year != gotYear {
			t.Errorf("the rows say %v %v, the change sets led to %v %v", want, year, gotName, gotYear)
		}
	}
}

// S22 and the doc of ChangeSet: removed rows first, then the others in the
// order of the result, also when coalesced.
func TestCoalescedOrder(t *testing.T) {
	s := memorySession(t)
	q, err := albums.Query(t.Context(), s, "ORDER BY year DESC")
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	release := make(chan struct{})
	bad := false
	q.OnChange(func(cs ankurah.ChangeSet[album]) {
		<-release
		for k := 1; k < len(cs.Changes); k++ {
			a, _ := cs.Changes[k-1].After.Get("year")
			b, _ := cs.Changes[k].After.Get("year")
			bad = bad || a.(int64) < b.(int64)
		}
	})
	for k := range 100 {
		create(t, s, ankurah.Fields{"name": "x", "year": k})
	}
	close(release)
	last := make(chan struct{})
	q.OnChange(func(ankurah.ChangeSet[album]) { close(last) })
	<-last
	if bad {
		t.Error("a coalesced change set is not in the order of the result")
	}
}

// S55: a change set in which nothing changed is not one.
func TestEmptyChangeSet(t *testing.T) {
	s := memorySession(t)
	y := create(t, s, ankurah.Fields{"name": "y", "year": 1})
	q, err := albums.Query(t.Context(), s, "year > 0")
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	release := make(chan struct{})
	empty, calls := 0, 0
	q.OnChange(func(cs ankurah.ChangeSet[album]) {
		<-release
		if calls++; len(cs.Changes) == 0 {
			empty++
		}
	})
	for k := range 63 {
		update(t, s, y, ankurah.Fields{"year": 2 + k})
	}
	tmp := create(t, s, ankurah.Fields{"name": "tmp", "year": 1})
	update(t, s, tmp, ankurah.Fields{"year": -1})
	for range 3 {
		update(t, s, tmp, ankurah.Fields{"year": 1})
		update(t, s, tmp, ankurah.Fields{"year": -1})
	}
	close(release)
	last := make(chan struct{})
	q.OnChange(func(ankurah.ChangeSet[album]) { close(last) })
	<-last
	if empty > 0 {
		t.Errorf("%d of %d change sets were empty", empty, calls)
	}
}

// S56: after Close of a live query no callback starts, effects included, also
// if they were woken before.
func TestNoEffectAfterClose(t *testing.T) {
	s := memorySession(t)
	q, err := albums.Query(t.Context(), s, "")
	if err != nil {
		t.Fatal(err)
	}
	count := signal.Map(q, func(rows []album) int { return len(rows) })
	var runs atomic.Int32
	for _, read := range []func(*signal.Tracker){func(t *signal.Tracker) { q.Get(t) }, func(t *signal.Tracker) { count.Get(t) }} {
		e := signal.Effect(func(t *signal.Tracker) {
			read(t)
			runs.Add(1)
		})
		defer e.Close()
	}
	signal.Batch(func() { // it holds effects back
		create(t, s, ankurah.Fields{"name": "x"})
		q.Close()
	})
	create(t, s, ankurah.Fields{"name": "y"})
	<-q.Done()
	if n := runs.Load(); n != 2 {
		t.Errorf("effects on the query ran %d times after Close", n-2)
	}
}

type blockWrites struct {
	policy.Permissive
	on      *atomic.Bool
	release chan struct{}
}

func (b blockWrites) CheckWrite(policy.Principal, policy.Write) error {
	if b.on.Load() {
		<-b.release
	}
	return nil
}

// S53: a shortfall of a client's window stays short, and unsynced, until the
// server fills it.
func TestShortWindowIsNotSynced(t *testing.T) {
	b := blockWrites{on: new(atomic.Bool), release: make(chan struct{})}
	server := openNode(t, memory.New(), &ankurah.NodeOptions{Policy: b})
	ss := server.Session(alice)
	a := create(t, ss, ankurah.Fields{"name": "a", "year": 1})
	create(t, ss, ankurah.Fields{"name": "b", "year": 2})
	create(t, ss, ankurah.Fields{"name": "c", "year": 3})
	client := openClient(t)
	defer revDial(t, client, server).Close()
	cs := client.Session(alice)
	q, err := albums.Query(t.Context(), cs, "ORDER BY year LIMIT 2")
	if err == nil {
		err = q.WaitSynced(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	b.on.Store(true)
	defer close(b.release)
	update(t, cs, a, ankurah.Fields{"year": 50})
	// a stays in (a pending event touched it); now delete it.
	err = cs.Update(t.Context(), func(tx *ankurah.Tx) error { return albums.Delete(tx, a) })
	if err != nil {
		t.Fatal(err)
	}
	if rows := q.Rows(); len(rows) < 2 && q.Synced() {
		t.Errorf("the window lacks rows (%v) and says it is synced", names(rows))
	}
}

// S54: SetSelection of a closed query does nothing, and says so.
func TestSetSelectionAfterClose(t *testing.T) {
	s := memorySession(t)
	q, err := albums.Query(t.Context(), s, "")
	if err != nil {
		t.Fatal(err)
	}
	q.Close()
	if err := q.SetSelection(t.Context(), "year > 1"); err == nil {
		t.Error("SetSelection of a closed query returns nil")
	}
}

// stepReader stops each read of an entity, while it is on, until it is told to
// go on.
type stepReader struct {
	policy.Permissive
	on      *atomic.Bool
	reading chan chan struct{}
}

func (r stepReader) CheckRead(policy.Principal, *entity.State) error {
	if r.on.Load() {
		release := make(chan struct{})
		r.reading <- release
		<-release
	}
	return nil
}

func revInvalidated(t *testing.T, firstFirst bool) (server *ankurah.Node, client *ankurah.Node, q *ankurah.LiveQuery[album]) {
	r := stepReader{on: new(atomic.Bool), reading: make(chan chan struct{})}
	server = openNode(t, memory.New(), &ankurah.NodeOptions{Policy: r})
	create(t, server.Session(alice), ankurah.Fields{"name": "a", "year": 1})
	client = openClient(t)
	t.Cleanup(revDial(t, client, server).Close)
	if err := client.Describe(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.on.Store(true)
	q, err := albums.Query(t.Context(), client.Session(alice), "")
	if err != nil {
		t.Fatal(err)
	}
	first := <-r.reading // the server reads the query's rows
	invalidated := make(chan struct{})
	go func() { defer close(invalidated); server.Invalidate() }()
	second := <-r.reading // and again, under the new policy
	r.on.Store(false)
	if firstFirst {
		close(first)
		time.Sleep(50 * time.Millisecond)
		close(second)
		<-invalidated
	} else {
		close(second)
		<-invalidated
		close(first)
	}
	return server, client, q
}

// S38, S33: a policy that changes while a client's live query is being read
// does not lose the answer.
func TestInvalidateDuringHydration(t *testing.T) {
	_, client, q := revInvalidated(t, true)
	defer q.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := q.WaitSynced(ctx); err != nil {
		t.Errorf("the live query never gets an answer: %v", err)
	}
	ctx2, cancel2 := context.WithTimeout(t.Context(), patience)
	defer cancel2()
	if _, err := albums.Fetch(ctx2, client.Session(alice), ""); err != nil {
		t.Errorf("and nothing else on the connection does: %v", err)
	}
}

// S56: the same in the other order leaves nothing of the query behind on the
// server. (It does: the next commit panics.)
func TestInvalidateDuringHydrationLeavesNothing(t *testing.T) {
	server, client, q := revInvalidated(t, false)
	if err := q.WaitSynced(t.Context()); err != nil {
		t.Fatal(err)
	}
	q.Close()
	if err := client.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if r := recover(); r != nil {
			t.Logf("a commit on the server panics after the client has closed its query: %v", r)
			panic(r) // the node's lock is held: nothing can be cleaned up
		}
	}()
	create(t, server.Session(alice), ankurah.Fields{"name": "b", "year": 2})
}

// The state of a connection is a signal: effects on it hold no lock.
func TestStateEffectMayUseTheNode(t *testing.T) {
	server := openNode(t, memory.New(), nil)
	addr, stop := listen(t, server, "127.0.0.1:0")
	defer stop()
	eng := memory.New()
	client, err := ankurah.OpenNode(t.Context(), eng, nil)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := wsclient.Dial(client, "ws://"+addr, &wsclient.Options{Credential: []byte("alice")})
	if err != nil {
		t.Fatal(err)
	}
	connected := make(chan struct{})
	var once sync.Once
	signal.Effect(func(tr *signal.Tracker) {
		if conn.State().Get(tr).Phase == wsclient.Connected {
			_ = client.Pending()
			once.Do(func() { close(connected) })
		}
	})
	revSoon(t, "an effect that asks the node for its pending transactions returns (the node is deadlocked)", connected)
	conn.Close()
	client.Close()
}

// S54: of two changes of selection the later one counts.
func TestLaterSetSelectionCounts(t *testing.T) {
	r := stepReader{on: new(atomic.Bool), reading: make(chan chan struct{})}
	n := openNode(t, memory.New(), &ankurah.NodeOptions{Policy: r})
	s := n.Session(alice)
	create(t, s, ankurah.Fields{"name": "a", "year": 1})
	create(t, s, ankurah.Fields{"name": "b", "year": 2})
	q, err := albums.Query(t.Context(), s, "")
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	r.on.Store(true)
	first := make(chan struct{})
	go func() { defer close(first); _ = q.SetSelection(t.Context(), "year = 1") }()
	release := <-r.reading
	r.on.Store(false)
	if err := q.SetSelection(t.Context(), "year = 2"); err != nil {
		t.Fatal(err)
	}
	close(release)
	<-first
	time.Sleep(20 * time.Millisecond)
	if got := names(q.Rows()); len(got) != 1 || got[0] != "b" {
		t.Errorf("rows of year = 2: %v", got)
	}
}

// S36, S50: after a change of selection the rows are synced when the server
// has answered it, and not because it has answered the one before.
func TestSyncedAfterSetSelection(t *testing.T) {
	r := stepReader{on: new(atomic.Bool), reading: make(chan chan struct{}, 100)}
	server := openNode(t, memory.New(), &ankurah.NodeOptions{Policy: r})
	ss := server.Session(alice)
	create(t, ss, ankurah.Fields{"name": "a", "year": 1})
	create(t, ss, ankurah.Fields{"name": "b", "year": 2})
	g := &gate{Engine: memory.New()}
	client, err := ankurah.OpenNode(t.Context(), g, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	defer revDial(t, client, server).Close()
	cs := client.Session(alice)
	if err := client.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	_ = client.Describe(t.Context())
	g.close()
	q, err := albums.Query(t.Context(), cs, "year = 1")
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	<-g.waiting // the first answer is being written
	r.on.Store(true)
	if err := q.SetSelection(t.Context(), "year = 2"); err != nil {
		t.Fatal(err)
	}
	release := <-r.reading // the server has not answered the second
	r.on.Store(false)
	g.open()
	time.Sleep(100 * time.Millisecond)
	if q.Synced() {
		t.Errorf("synced with rows %v before the server has answered", names(q.Rows()))
	}
	close(release)
}

// gate holds writes back while it is closed.
type gate struct {
	storage.Engine
	mu      sync.Mutex
	gate    chan struct{}
	waiting chan struct{}
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gate, g.waiting = make(chan struct{}), make(chan struct{}, 100)
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.gate)
	g.gate = nil
}

func (g *gate) Commit(ctx context.Context, b *storage.Batch) (storage.Result, error) {
	g.mu.Lock()
	gate := g.gate
	g.mu.Unlock()
	if gate != nil {
		g.waiting <- struct{}{}
		<-gate
	}
	return g.Engine.Commit(ctx, b)
}

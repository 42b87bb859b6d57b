package ankurah_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/transport/local"
)

type flakyAgent struct {
	policy.Permissive
	broken *atomic.Bool
}

func (f flakyAgent) ReadFilter(policy.Principal, string) (ankql.Expr, error) {
	if f.broken.Load() {
		return nil, errors.New("the database of rights is away")
	}
	return nil, nil
}

// S56, S38: a peer's query that fails when policy changes is not left behind on
// the server.
func TestFailedRenarrowingLeavesNothing(t *testing.T) {
	m := &meter{values: map[string]int{}}
	a := flakyAgent{broken: new(atomic.Bool)}
	server := openNode(t, memory.New(), &ankurah.NodeOptions{Policy: a, Metrics: m})
	ss := server.Session(alice)
	create(t, ss, ankurah.Fields{"name": "a", "year": 1})
	client := openClient(t)
	c := revDial(t, client, server)
	q, err := albums.Query(t.Context(), client.Session(alice), "")
	if err == nil {
		err = q.WaitSynced(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	a.broken.Store(true)
	server.Invalidate()
	a.broken.Store(false)
	within(t, "the client's query knows", func() bool { return !q.Synced() })
	q.Close()
	c.Close() // nobody is connected any more
	own, err := albums.Query(t.Context(), ss, "")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := m.values[ankurah.MetricLiveQueries]; n != 1 {
		t.Errorf("the server has %d live queries, want its own only", n)
	}
}

// S33, S56: a peer that takes nothing any more does not keep a node from
// closing (the contract of transport.Conn: Send blocks until ctx ends).
func TestStuckPeerDoesNotHinderClose(t *testing.T) {
	eng := memory.New()
	server, err := ankurah.OpenNode(t.Context(), eng, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}})
	if err == nil {
		err = server.EnsureSystem(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	a, b := local.Pipe()
	go func() { _ = server.Accept(t.Context(), b) }()
	send := func(m wire.Message) {
		if err := a.Send(t.Context(), wire.Append(nil, m)); err != nil {
			t.Fatal(err)
		}
	}
	send(&wire.Hello{Min: wire.MinVersion, Max: wire.MaxVersion, Node: ankurah.ID{1}, Incarnation: ankurah.ID{2}, Now: uint64(time.Now().UnixMilli())})
	for k := range 300 {
		send(&wire.Ping{N: uint64(k + 1)})
	}
	time.Sleep(50 * time.Millisecond)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Close() }()
	select {
	case <-done:
	case <-time.After(patience):
		t.Error("Close does not return, because a peer does not take its frames")
		_ = a.Close()
		<-done
	}
}

// S51: an entity that a client meets for the first time was not created in the
// change set that brings it.
func TestOldEntitiesAreNotCreated(t *testing.T) {
	server := openNode(t, memory.New(), nil)
	create(t, server.Session(alice), ankurah.Fields{"name": "old", "year": 1})
	client := openClient(t)
	revDial(t, client, server).Close() // it has joined, and knows nothing yet
	q, err := albums.Query(t.Context(), client.Session(alice), "")
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	initial, created := make(chan struct{}, 1), make(chan bool, 10)
	q.OnChange(func(cs ankurah.ChangeSet[album]) {
		for c := range cs.Added() {
			created <- c.Created
		}
		select {
		case initial <- struct{}{}:
		default:
		}
	})
	revSoon(t, "the query has its local rows, which are none", initial)
	defer revDial(t, client, server).Close()
	select {
	case yes := <-created:
		if yes {
			t.Error("an old entity is said to be created by the change set that brings it to the client")
		}
	case <-time.After(patience):
		t.Error("it never came")
	}
}

// slowScans holds scans back.
type slowScans struct {
	storage.Engine
	on               *atomic.Bool
	reading, release chan struct{}
}

type slowSnap struct {
	storage.Snapshot
	e *slowScans
}

func (e *slowScans) Snapshot() (storage.Snapshot, error) {
	s, err := e.Engine.Snapshot()
	return slowSnap{s, e}, err
}

func (s slowSnap) Scan(ctx context.Context, sel *ankql.Selection) iter.Seq2[*entity.State, error] {
	if s.e.on.CompareAndSwap(true, false) {
		close(s.e.reading)
		<-s.e.release
	}
	return s.Snapshot.Scan(ctx, sel)
}

// S37, S52, S54: until SetSelection is through the rows are those of the older
// selection, of which what the server says goes on to be heard.
func TestWindowAnswerDuringSetSelection(t *testing.T) {
	r := stepReader{on: new(atomic.Bool), reading: make(chan chan struct{}, 100)}
	server := openNode(t, memory.New(), &ankurah.NodeOptions{Policy: r})
	ss := server.Session(alice)
	create(t, ss, ankurah.Fields{"name": "a", "year": 1})
	e := &slowScans{Engine: memory.New(), on: new(atomic.Bool), reading: make(chan struct{}), release: make(chan struct{})}
	client, err := ankurah.OpenNode(t.Context(), e, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	defer revDial(t, client, server).Close()
	cs := client.Session(alice)
	if _, err := albums.Fetch(t.Context(), cs, ""); err != nil {
		t.Fatal(err)
	}
	r.on.Store(true)
	q, err := albums.Query(t.Context(), cs, "ORDER BY year LIMIT 2")
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	answer := <-r.reading
	r.on.Store(false)
	if len(q.Rows()) != 1 {
		t.Fatal("the row is not there")
	}
	e.on.Store(true)
	set := make(chan struct{})
	go func() { defer close(set); _ = q.SetSelection(t.Context(), "ORDER BY year DESC LIMIT 2") }()
	<-e.reading
	close(answer)
	if _, err := albums.Get(t.Context(), cs, create(t, ss, ankurah.Fields{"name": "b", "year": 2})); err != nil { // answered after it
		t.Fatal(err)
	}
	if got := names(q.Rows()); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("rows %v before SetSelection is through", got)
	}
	close(e.release)
	<-set
	if err := q.WaitSynced(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := names(q.Rows()); !slices.Equal(got, []string{"b", "a"}) {
		t.Errorf("rows %v of the new selection", got)
	}
}

// S37, S53: a window follows the server's until SetSelection is through: else it
// would show a part of a commit.
func TestWindowMovesDuringSetSelection(t *testing.T) {
	server := openNode(t, memory.New(), &ankurah.NodeOptions{Policy: policy.Permissive{}})
	ss := server.Session(alice)
	create(t, ss, ankurah.Fields{"name": "a", "year": 1})
	create(t, ss, ankurah.Fields{"name": "b", "year": 2})
	e := &slowScans{Engine: memory.New(), on: new(atomic.Bool), reading: make(chan struct{}), release: make(chan struct{})}
	client, err := ankurah.OpenNode(t.Context(), e, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	defer revDial(t, client, server).Close()
	cs := client.Session(alice)
	q, err := albums.Query(t.Context(), cs, "ORDER BY year LIMIT 2")
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if err := q.WaitSynced(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.on.Store(true)
	set := make(chan struct{})
	go func() { defer close(set); _ = q.SetSelection(t.Context(), "ORDER BY year DESC LIMIT 2") }()
	<-e.reading
	if _, err := albums.Get(t.Context(), cs, create(t, ss, ankurah.Fields{"name": "c", "year": 0})); err != nil { // answered after it
		t.Fatal(err)
	}
	if got := names(q.Rows()); !slices.Equal(got, []string{"c", "a"}) {
		t.Errorf("rows %v before SetSelection is through", got)
	}
	close(e.release)
	<-set
}

// S52: commits in other collections while a live query reads its rows do not
// concern it.
func TestOtherCollectionsDuringHydration(t *testing.T) {
	r := stepReader{on: new(atomic.Bool), reading: make(chan chan struct{})}
	n := openNode(t, memory.New(), &ankurah.NodeOptions{Policy: r})
	s := n.Session(alice)
	create(t, s, ankurah.Fields{"name": "a"})
	r.on.Store(true)
	var q *ankurah.LiveQuery[album]
	there := make(chan error)
	go func() {
		var err error
		q, err = albums.Query(t.Context(), s, "")
		there <- err
	}()
	release := <-r.reading
	r.on.Store(false)
	err := s.Update(t.Context(), func(tx *ankurah.Tx) error {
		_, err := ankurah.Dynamic("artist").Create(tx, &ankurah.Fields{"name": "an artist"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	close(release)
	if err := <-there; err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if got := names(q.Rows()); len(got) != 1 {
		t.Errorf("live query of albums has rows %v", got)
	}
}

type secretive struct{ stepReader }

func (secretive) ReadFilter(_ policy.Principal, collection string) (ankql.Expr, error) {
	if collection == "secret" {
		return nil, policy.ErrDenied
	}
	return nil, nil
}

// S38: what a reader may not read never crosses the wire.
func TestUnreadableCollectionStaysHome(t *testing.T) {
	r := stepReader{on: new(atomic.Bool), reading: make(chan chan struct{})}
	server := openNode(t, memory.New(), &ankurah.NodeOptions{Policy: secretive{r}})
	ss := server.Session(alice)
	create(t, ss, ankurah.Fields{"name": "a"})
	client := openClient(t)
	tap, end := tapped(t, client, server, "alice", nil)
	defer end()
	if err := client.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := client.Describe(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.on.Store(true)
	q, err := albums.Query(t.Context(), client.Session(alice), "")
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	release := <-r.reading
	r.on.Store(false)
	err = ss.Update(t.Context(), func(tx *ankurah.Tx) error {
		_, err := ankurah.Dynamic("secret").Create(tx, &ankurah.Fields{"name": "the password"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	close(release)
	if err := q.WaitSynced(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, m := range tap.messages() {
		if rows, ok := m.(*wire.Rows); ok {
			for _, x := range rows.Changes {
				if x.Collection == "secret" && len(x.State) > 0 {
					t.Errorf("the state of a secret was sent to a client that may not read any")
				}
			}
		}
	}
}

// S19, S21, S26: a transaction that only requires leaves nothing in the outbox
// that nobody ever sends.
func TestOnlyRequire(t *testing.T) {
	server := openNode(t, memory.New(), nil)
	id := create(t, server.Session(alice), ankurah.Fields{"name": "a"})
	client := openClient(t)
	defer revDial(t, client, server).Close()
	cs := client.Session(alice)
	v, err := albums.Get(t.Context(), cs, id)
	if err != nil {
		t.Fatal(err)
	}
	var tx *ankurah.Tx
	err = cs.Update(t.Context(), func(x *ankurah.Tx) error { tx = x; x.Require(v); return nil })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := tx.Confirmed(ctx); err != nil {
		t.Errorf("Confirmed: %v", err)
	}
	ctx2, cancel2 := context.WithTimeout(t.Context(), patience)
	defer cancel2()
	if err := client.Settle(ctx2); err != nil {
		t.Errorf("Settle: %v, with %d pending", err, client.Pending())
	}
}

// S26: the lost base of an edit: a read of the entity fails while a commit
// builds on it.
func TestReadOwnPendingInAnotherTx(t *testing.T) {
	server := openNode(t, memory.New(), nil)
	client := openClient(t)
	defer revDial(t, client, server).Close()
	cs := client.Session(alice)
	id := create(t, cs, ankurah.Fields{"name": "a", "year": 1})
	if err := client.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	tx := cs.Begin()
	n, err := albums.Count(t.Context(), tx, "year = 1")
	if err != nil || n != 1 {
		t.Error(n, err)
	}
	if err := albums.Delete(tx, id); err != nil {
		t.Fatal(err)
	}
	if n, err = albums.Count(t.Context(), tx, "year = 1"); err != nil || n != 0 {
		t.Error(n, err)
	}
	rows, err := albums.Fetch(t.Context(), tx, "")
	if err != nil || len(rows) != 0 {
		t.Error(rows, err)
	}
}

// S56: Query returns when the node is closed while it reads.
func TestNodeCloseDuringQuery(t *testing.T) {
	r := stepReader{on: new(atomic.Bool), reading: make(chan chan struct{})}
	n, err := ankurah.OpenNode(t.Context(), memory.New(), &ankurah.NodeOptions{Durable: true, Policy: r})
	if err == nil {
		err = n.EnsureSystem(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	s := n.Session(alice)
	create(t, s, ankurah.Fields{"name": "a"})
	r.on.Store(true)
	done := make(chan struct{})
	go func() { defer close(done); _, _ = albums.Query(t.Context(), s, "") }()
	release := <-r.reading
	r.on.Store(false)
	n.Close()
	close(release)
	revSoon(t, "Query returns after the node's Close", done)
}

package ankurah

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/internal/core"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/property"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
)

// NodeOptions configures a node.
type NodeOptions struct {
	// Durable makes the node one that decides and attests that it loses
	// nothing. Any other is ephemeral: it holds copies of a durable node's
	// entities, works with them also while it is not connected, and waits for
	// the durable node's word on its transactions.
	Durable bool
	// Policy decides who may read and write what. A durable node needs one;
	// policy.Permissive{} allows everything. Ephemeral nodes have none.
	Policy policy.Agent
	// Restored says that the files of a durable node's store were brought back
	// from a copy: what clients know of it may be newer than what it holds. It
	// gets a new epoch, so that they replace what they have. Set it for one
	// start. Stores made by [Node.Backup] or from a dump have one by themselves.
	Restored bool
	// OnRejected hears, on a goroutine of the node, of transactions that a
	// durable node refused.
	OnRejected func(*RejectedError)
	// AppVersion is the version of the application on an ephemeral node.
	AppVersion uint64
	// LeastAppVersion is the least one that a durable node lets connect.
	LeastAppVersion uint64
	// Constraints are checked on every write, whoever makes it.
	Constraints []policy.Constraint
	// Models are declared, and their indexes built, when the node is opened.
	// Others are declared when they are first used.
	Models []AnyCollection
	// ClosedSchema refuses writes to collections and properties that no model
	// declares.
	ClosedSchema bool
	// PropertyKinds are property kinds beside registers.
	PropertyKinds []property.Kind
	// FeedRetention is how long the feed of commits is kept, which [Node.Changes]
	// tells, and by which servers on one store hear of each other. 0 means a
	// week; below 0 it is kept for ever. A server that was stopped for longer
	// cannot hear what others have committed meanwhile: it reads everything anew,
	// tells its live queries the difference, and has its clients connect again.
	FeedRetention time.Duration
	// Clock is the wall clock that IDs are made with; nil is time.Now. It may be
	// wrong and may jump (S4). Timeouts do not follow it.
	Clock func() time.Time
	// CacheSize bounds the cache of entities, in bytes. 0 means 64 MiB.
	CacheSize int
	// Limits are what the node puts up with; what is zero has its default.
	Limits Limits
	// Logger takes warnings and errors; nil is silent.
	Logger Logger
	// Metrics takes measurements; nil is for nobody.
	Metrics Metrics
}

const (
	defaultCacheSize     = 64 << 20
	defaultFeedRetention = 7 * 24 * time.Hour
)

// Node is a participant of a system: it holds entities in its storage engine,
// commits transactions and keeps live queries up to date.
type Node struct {
	engine  storage.Engine
	kinds   *property.Registry
	log     Logger
	metrics Metrics
	durable bool
	clock   func() time.Time
	opened  time.Time
	limits  Limits
	ctx     context.Context // of the node's own work; ended by Close
	stop    context.CancelFunc
	work    sync.WaitGroup // goroutines of the node
	waiters sync.Pool      // of *waiter. Each node has its own: a channel of one synctest bubble cannot serve another
	calling atomic.Int32   // functions of the user's that run on goroutines of the node

	models sync.Map // *schema.Model -> error of its registration

	mu       sync.Mutex // the core's lock
	core     *core.Core
	effects  []effect
	changed  []*tracked // that signals are not told of yet
	queries  int        // live queries that metrics know of
	random   randomSource
	commits  sync.WaitGroup // commits under way
	closing  bool
	over     bool          // failed is closed
	ready    []*wireConn   // with something to send
	unready  error         // why the last connection to a durable node ended
	conns    int           // connections
	draining int           // calls of Drain under way
	ticking  chan struct{} // closed when the last one has ended
	idle     *sync.Cond    // something was sent, or a connection ended
	news     chan struct{} // closed at the next publication or change of a connection; nil while nobody waits

	failed chan struct{} // closed when nothing can be committed any more
}

// OpenNode opens a node on an engine, which stays the caller's to close, after
// the node.
func OpenNode(ctx context.Context, engine storage.Engine, opts *NodeOptions) (*Node, error) {
	if opts == nil {
		opts = &NodeOptions{}
	}
	if opts.Durable && opts.Policy == nil {
		return nil, errNoPolicy
	}
	limits, err := core.Limits(opts.Limits).WithDefaults()
	if err != nil {
		return nil, err
	}
	n := &Node{
		queries: -1, // not told yet
		failed:  make(chan struct{}),
		limits:  Limits(limits),
		engine:  engine,
		log:     silent{},
		metrics: noMetrics{},
		durable: opts.Durable,
		clock:   time.Now,
		opened:  time.Now(),
	}
	n.contain(opts)
	if opts.Restored && opts.Durable && engine.Info().Shared {
		return nil, errRestoredShared
	}
	n.idle = sync.NewCond(&n.mu)
	cfg := core.Config{
		Kinds: n.kinds, Policy: opts.Policy, Constraints: opts.Constraints, CacheSize: opts.CacheSize, ClosedSchema: opts.ClosedSchema,
		Durable: opts.Durable, App: opts.AppVersion, LeastApp: opts.LeastAppVersion, OnRejected: n.rejected(opts.OnRejected),
		Panicked: n.panicked, Shared: opts.Durable && engine.Info().Shared, Limits: limits,
	}
	cfg.Engine, _ = engine.(core.IndexedEngine)
	if !opts.Durable {
		cfg.Policy = nil
	}
	switch {
	case opts.FeedRetention == 0:
		cfg.FeedRetention = uint64(defaultFeedRetention.Milliseconds())
	case opts.FeedRetention > 0:
		cfg.FeedRetention = uint64(max(1, opts.FeedRetention.Milliseconds()))
	}
	if cfg.CacheSize == 0 {
		cfg.CacheSize = defaultCacheSize
	}
	snap, err := engine.Snapshot()
	if err != nil {
		return nil, err
	}
	if n.core, err = core.Boot(ctx, (*executor)(n), cfg, snap); err != nil {
		if u, ok := errors.AsType[*storage.UnfinishedError](err); ok {
			u.Location = engine.Info().Location
		}
		return nil, errors.Join(err, snap.Close())
	}
	n.core.OnPublish(func() {
		if n.core.Broken() != nil && !n.over {
			n.over = true
			close(n.failed)
		}
		n.tell()
		n.idle.Broadcast() // who is busy may be so no more
	})
	n.ctx, n.stop = context.WithCancel(context.Background())
	if w, ok := engine.(storage.Watcher); ok && cfg.Shared {
		n.work.Add(1)
		go func() {
			defer n.work.Done()
			w.Watch(n.ctx, n.follow)
		}()
	}
	if opts.Restored && opts.Durable {
		if err := n.wait(n.core.NewEpoch); err != nil {
			return nil, errors.Join(err, n.Close())
		}
	}
	for _, m := range opts.Models {
		if err := n.declare(m.Model()); err != nil {
			return nil, errors.Join(err, n.Close())
		}
		if err := n.ensureIndexes(ctx, m.Model().Collection); err != nil {
			return nil, errors.Join(err, n.Close())
		}
	}
	return n, nil
}

// follow takes up what other processes committed to the store.
func (n *Node) follow() {
	n.do(func() {
		if !n.closing {
			n.core.CatchUp(func() {})
		}
	})
}

// Close ends the node: commits under way are completed, live queries end, and
// nothing of the node runs any more when it returns. It does not close the
// engine. Closing twice does nothing. A callback of the node cannot close it,
// since Close waits for callbacks; that is an error, and does nothing.
func (n *Node) Close() error {
	if n.calling.Load() > 0 && inCallback() {
		return errCloseInCallback
	}
	n.mu.Lock()
	first := !n.closing
	n.closing = true
	n.mu.Unlock()
	if !first {
		return nil
	}
	n.commits.Wait()
	n.do(n.core.Close)
	n.stop()
	n.work.Wait()
	return nil
}

// Failed is closed when the node commits nothing more, as [Node.Err] says: its
// store has failed, or it was closed. It shows what it last showed until it is
// closed. Where other servers have the same store it should be.
func (n *Node) Failed() <-chan struct{} { return n.failed }

// Err returns why the node commits nothing more, nil while it does.
func (n *Node) Err() error { return n.alive() }

// Session returns the node as principal p sees it.
func (n *Node) Session(p policy.Principal) *Session { return &Session{n, p} }

// Engine returns the node's storage engine.
func (n *Node) Engine() storage.Engine { return n.engine }

// ID returns the node's ID, made once for its store.
func (n *Node) ID() ID { return n.core.Node() }

// System returns the ID of the system that the node belongs to, the zero ID
// while there is none.
func (n *Node) System() ID {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.core.Root()
}

// CreateSystem creates the system that the node's data belongs to. It fails
// with [ErrSystemExists] when the store has one.
func (n *Node) CreateSystem(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !n.durable {
		return errEphemeral
	}
	return n.wait(n.core.CreateSystem)
}

// EnsureSystem creates the system unless the store has one.
func (n *Node) EnsureSystem(ctx context.Context) error {
	err := n.CreateSystem(ctx)
	if errors.Is(err, ErrSystemExists) {
		return nil
	}
	return err
}

// WaitReady waits until the node can be used: it belongs to a system. An
// ephemeral node that joined one is ready at once from then on, connected or
// not (S30). On a durable node there is nothing to wait for: without a system
// it is an error.
func (n *Node) WaitReady(ctx context.Context) error {
	for {
		n.mu.Lock()
		ready, closing := !n.core.Root().IsZero(), n.closing
		if n.news == nil && !ready {
			n.news = make(chan struct{})
		}
		news := n.news
		n.mu.Unlock()
		switch {
		case closing:
			return errClosed
		case ready:
			return n.alive()
		case n.durable:
			_, _, err := n.newEntity("ready")
			return err
		}
		select {
		case <-news:
		case <-ctx.Done():
			n.mu.Lock()
			defer n.mu.Unlock()
			return &waitError{n.unready, ctx.Err()}
		}
	}
}

// waitError says why a node did not become ready in time.
type waitError struct{ last, ctx error }

func (e *waitError) Error() string {
	if e.last == nil {
		return "ankurah: the node is not connected to a durable one: " + e.ctx.Error()
	}
	return "ankurah: the node is not ready: the last connection failed: " + strings.TrimPrefix(e.last.Error(), "ankurah: ") + " (" + e.ctx.Error() + ")"
}

func (e *waitError) Unwrap() []error {
	if e.last == nil {
		return []error{ErrNotReady, e.ctx}
	}
	return []error{ErrNotReady, e.last, e.ctx}
}

// rejected returns what hands refusals to f, one at a time and in order, on
// goroutines that end when none is left.
func (n *Node) rejected(f func(*RejectedError)) func(TxID, error) {
	if f == nil {
		return nil
	}
	var mu sync.Mutex
	var queue []*RejectedError
	drain := func() {
		defer n.work.Done()
		for {
			mu.Lock()
			if len(queue) == 0 {
				mu.Unlock()
				return
			}
			next := queue[0]
			mu.Unlock()
			n.contained("the handler of refusals", func() { f(next) })
			mu.Lock()
			queue = queue[1:]
			mu.Unlock()
		}
	}
	return func(tx TxID, why error) {
		mu.Lock()
		defer mu.Unlock()
		if queue = append(queue, &RejectedError{tx, why}); len(queue) == 1 {
			n.work.Add(1)
			go drain()
		}
	}
}

// Model returns what the node knows of a collection's schema: declared, or
// learned of what was written. Nil when it knows nothing.
func (n *Node) Model(collection string) *schema.Model { return n.core.Model(collection) }

// Collections returns the names of the collections that the node knows of,
// sorted.
func (n *Node) Collections() []string { return n.core.Collections() }

// declare registers a model once. A collection that is only named declares
// nothing: what is stored in it says what it holds.
func (n *Node) declare(m *schema.Model) error {
	if m.Name == "" {
		return nil
	}
	if err, known := n.models.Load(m); known {
		if err == nil {
			return nil
		}
		return err.(error)
	}
	var err error
	n.do(func() { err = n.core.Register(m) })
	n.models.Store(m, err)
	return err
}

// ensureIndexes makes the engine have what a collection's model declares.
func (n *Node) ensureIndexes(ctx context.Context, collection string) error {
	m := n.core.Model(collection)
	if m == nil {
		return nil
	}
	if e, ok := n.engine.(storage.Modeler); ok {
		if err := e.EnsureModel(ctx, m); err != nil {
			return err
		}
	}
	ix, ok := n.engine.(storage.Indexer)
	if !ok {
		return nil
	}
	for _, x := range m.Indexes {
		if err := ix.EnsureIndex(ctx, collection, x); err != nil {
			return err
		}
	}
	return nil
}

// current returns the published snapshot, with every index that is complete.
// The caller releases it.
func (n *Node) current() (snap *core.Snap, err error) {
	if !n.core.Outdated() {
		return n.core.Current()
	}
	n.do(func() { snap, err = n.core.Latest() })
	return snap, err
}

// reading calls f with the published snapshot, and again with a newer one when
// the store has lost that.
func (n *Node) reading(ctx context.Context, f func(*core.Snap) error) error {
	for {
		snap, err := n.current()
		if err != nil {
			return err
		}
		err = f(snap)
		snap.Release()
		if !errors.Is(err, storage.ErrInterrupted) {
			return err
		}
		renewed := make(chan struct{})
		n.do(func() { n.core.Renew(snap, func() { close(renewed) }) })
		select {
		case <-renewed:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := n.alive(); err != nil {
			return err
		}
	}
}

func (n *Node) newEntity(collection string) (b event.Birth, id ID, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.core.NewEntity(collection)
}

// alive returns an error when nothing can be committed any more.
func (n *Node) alive() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closing {
		return errClosed
	}
	return n.core.Broken()
}

var errClosed error = closedError{}

type closedError struct{}

func (closedError) Error() string { return "ankurah: the node is closed" }
func (closedError) Unwrap() error { return ErrClosed }

// commit hands a transaction to the core and waits for the outcome.
func (n *Node) commit(req *core.Request) error {
	begun := time.Now()
	err := n.wait(func(done func(error)) {
		req.Done = func(_ []*entity.State, err error) { done(err) }
		n.core.Commit(req)
	})
	n.metrics.Time(MetricCommitTime, time.Since(begun))
	if err != nil {
		n.metrics.Count(MetricRefused, 1)
	}
	return err
}

// state returns a published state, nil when there is none.
func (n *Node) state(ctx context.Context, collection string, id ID) (*entity.State, error) {
	s, err := n.core.State(ctx, collection, id)
	if errors.Is(err, storage.ErrInterrupted) {
		err = n.reading(ctx, func(snap *core.Snap) (err error) {
			s, err = snap.State(ctx, collection, id)
			return err
		})
	}
	return s, err
}

// readable returns a published state that p may read, nil when there is none.
func (n *Node) readable(ctx context.Context, p policy.Principal, collection string, id ID) (*entity.State, error) {
	if err := n.principal(p); err != nil {
		return nil, err
	}
	s, err := n.state(ctx, collection, id)
	if s == nil || err != nil {
		return nil, err
	}
	ok, err := n.core.Readable(s, p)
	if !ok || err != nil {
		return nil, err
	}
	return s, nil
}

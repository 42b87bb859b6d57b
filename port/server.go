package port

import (
	"context"
	"errors"
	"strings"
	"sync"
	"unicode"

	ankurah "github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/internal/core"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/transport"
	"github.com/ankurah/ankurah-go/value"
)

// Options configures a server.
type Options struct {
	// MaxQueries is how many queries a page may have open. 0 is 1,000.
	MaxQueries int
	// LeastAppVersion is the least version of the application that a page may
	// be of; others are told that they have to be loaded again.
	LeastAppVersion uint64
}

const defaultMaxQueries = 1000

// Server serves pages. It implements [transport.Acceptor] and
// [transport.Drainer].
type Server struct {
	node *ankurah.Node
	opts Options

	mu         sync.Mutex
	pages      map[*page]struct{}
	draining   bool
	empty      chan struct{} // closed when the last page is gone while draining
	committing map[event.TxID]chan struct{}
	awaiting   map[event.TxID]int // pages that wait for a durable node's word on it
}

var (
	_ transport.Acceptor = (*Server)(nil)
	_ transport.Drainer  = (*Server)(nil)
)

// NewServer returns a server of a node's data. The node stays the caller's.
func NewServer(node *ankurah.Node, opts *Options) *Server {
	s := &Server{node: node, pages: map[*page]struct{}{}, committing: map[event.TxID]chan struct{}{}, awaiting: map[event.TxID]int{}}
	if opts != nil {
		s.opts = *opts
	}
	if s.opts.MaxQueries == 0 {
		s.opts.MaxQueries = defaultMaxQueries
	}
	return s
}

// Accept serves a page until its connection ends.
func (s *Server) Accept(ctx context.Context, c transport.Conn) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := newPage(ctx, cancel, s, c)
	s.mu.Lock()
	s.pages[p] = struct{}{}
	draining := s.draining
	s.mu.Unlock()
	if draining {
		p.bye(wire.Closing, "the server is shutting down")
	}
	err := p.serve()
	p.end()
	s.mu.Lock()
	delete(s.pages, p)
	if len(s.pages) == 0 && s.draining && s.empty != nil {
		close(s.empty)
		s.empty = nil
	}
	s.mu.Unlock()
	if errors.Is(err, transport.ErrClosed) {
		return nil
	}
	return err
}

// Drain tells all pages to connect again elsewhere or later, those too that come
// from now on, and returns when all are gone or ctx has ended.
func (s *Server) Drain(ctx context.Context) error {
	s.mu.Lock()
	s.draining = true
	if s.empty == nil {
		s.empty = make(chan struct{})
	}
	gone := s.empty
	if len(s.pages) == 0 {
		close(s.empty)
		s.empty = nil
	}
	for p := range s.pages {
		p.bye(wire.Closing, "the server is shutting down")
	}
	s.mu.Unlock()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// state returns what a page is told of the node.
func (s *Server) state(who policy.Principal) state {
	out := state{durable: s.node.Durable(), connected: s.node.Connected(), subject: who.Subject, system: s.node.System()}
	if !out.durable {
		out.pending, out.subject = uint64(s.node.Pending()), s.node.Subject()
	}
	return out
}

// alone waits until no page commits a transaction of this ID, and keeps others
// from it until the returned function is called.
func (s *Server) alone(ctx context.Context, tx event.TxID) (release func(), err error) {
	for {
		s.mu.Lock()
		other := s.committing[tx]
		if other == nil {
			mine := make(chan struct{})
			s.committing[tx] = mine
			s.mu.Unlock()
			return func() {
				s.mu.Lock()
				delete(s.committing, tx)
				s.mu.Unlock()
				close(mine)
			}, nil
		}
		s.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// await notes that a page waits for a durable node's word on a transaction, until
// the returned function is called.
func (s *Server) await(tx event.TxID) (over func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.awaiting[tx]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.awaiting[tx]--; s.awaiting[tx] == 0 {
			delete(s.awaiting, tx)
		}
	}
}

// awaited reports whether a page waits for a durable node's word on a
// transaction.
func (s *Server) awaited(tx event.TxID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.awaiting[tx] > 0
}

// collection returns the collection that a page means, which may also say the
// name of its model.
func (s *Server) collection(name string) (string, error) {
	if name == "" {
		return "", errNoCollection
	}
	if s.node.Model(name) != nil {
		return name, nil
	}
	for _, c := range s.node.Collections() {
		if m := s.node.Model(c); m != nil && m.Name == name {
			return c, nil
		}
	}
	return snake(name), nil
}

// snake returns a Go or TypeScript name as collections are named: blog_post for
// BlogPost, http_log for HTTPLog.
func snake(name string) string {
	var b strings.Builder
	rs := []rune(name)
	for k, r := range rs {
		if unicode.IsUpper(r) && k > 0 && rs[k-1] != '_' && (!unicode.IsUpper(rs[k-1]) || k+1 < len(rs) && unicode.IsLower(rs[k+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

var errNoCollection = errors.New("ankurah: no collection is named")

// Codes beside those of the protocol between nodes.
const (
	codeNotReady  wire.Code = "not_ready"
	codePrincipal wire.Code = "principal"
)

// failure returns how an error is told to a page.
func failure(err error) (wire.Code, string) {
	code, text := core.Code(err)
	if code != wire.Internal {
		return code, text
	}
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.code, text
		}
	}
	return code, text
}

var codes = []struct {
	err  error
	code wire.Code
}{
	{ankurah.ErrNotFound, wire.NotFound},
	{ankurah.ErrNotReady, codeNotReady},
	{ankurah.ErrPrincipal, codePrincipal},
	{ankurah.ErrIncompatible, wire.Schema},
	{ankurah.ErrQuery, wire.BadQuery},
	{errNoCollection, wire.BadQuery},
	{value.ErrType, wire.Schema},
	{value.ErrInvalid, wire.Schema},
	{value.ErrJSON, wire.Schema},
	{transport.ErrClosed, wire.Closing},
	{context.Canceled, wire.Closing},
	{errMalformed, wire.Malformed},
	{errTooMany, wire.Overloaded},
}

// Command server is the chat's server: a durable node on Pebble, the nodes and
// pages that connect to it, and the files of the page.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/examples/chat/model"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/port"
	"github.com/ankurah/ankurah-go/storage/pebble"
	"github.com/ankurah/ankurah-go/transport/wsserver"
)

var (
	listen = flag.String("listen", "127.0.0.1:8080", "address to listen on")
	data   = flag.String("data", "./data", "folder of the store")
	files  = flag.String("files", "./dist", "folder of the built page")
)

func main() {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "chat:", err)
		os.Exit(1)
	}
}

// grace is how long clients may take to leave when the server ends.
const grace = 2 * time.Second

func run(ctx context.Context) (err error) {
	page, err := newAssets(os.DirFS(*files))
	if err != nil {
		return fmt.Errorf("no page in %s: build it with npm run build: %w", *files, err)
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	defer l.Close()
	engine, err := pebble.Open(ctx, *data, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()

	people := newDirectory()
	agent, err := rules(people)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	node, err := ankurah.OpenNode(ctx, engine, &ankurah.NodeOptions{
		Durable:     true,
		Policy:      agent,
		Constraints: []policy.Constraint{policy.ConstraintFunc(lengths)},
		Models:      model.All,
		Logger:      log,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, node.Close()) }()
	if err := node.EnsureSystem(ctx); err != nil {
		return err
	}
	if err := people.open(ctx, node); err != nil {
		return err
	}

	nodes := wsserver.NewHandler(node, &wsserver.Options{Logger: log})
	pages := wsserver.NewHandler(port.NewServer(node, nil), &wsserver.Options{Logger: log})
	srv := &http.Server{Handler: routes(nodes, pages, people, page), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	fmt.Printf("Chat is ready: http://%s/\n", l.Addr())
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	for _, h := range []*wsserver.Handler{nodes, pages} {
		_ = h.Shutdown(ending) // who has not left by then is cut off
	}
	return srv.Shutdown(ending)
}

// routes says what is where.
func routes(nodes, pages, people, page http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/ankurah", nodes)                                               // nodes in browsers, and any other
	mux.Handle("/pages", pages)                                                 // pages without a node of their own
	mux.Handle("POST /signin", http.NewCrossOriginProtection().Handler(people)) // not for the pages of other sites
	mux.Handle("/", page)
	return secured(mux)
}

// secured says what pages may do: load what is the server's own, and run wasm.
func secured(h http.Handler) http.Handler {
	const policy = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		h.ServeHTTP(w, r)
	})
}

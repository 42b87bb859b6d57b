//go:build !js

package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"embed"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/goapp"
	"github.com/ankurah/ankurah-go/goapp/examples/todo/model"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/pebble"
	"github.com/ankurah/ankurah-go/transport/wsserver"
	"github.com/maxence-charriere/go-app/v10/pkg/app"
)

// db is never opened here: pages are rendered without data.
var db = goapp.Open(func(context.Context) (*ankurah.Session, error) {
	return nil, errors.New("the server shows nothing")
})

// serve serves the page and its node until the process is told to end.
func serve() {
	addr := flag.String("addr", "localhost:8080", "`address` to listen on")
	data := flag.String("data", "./data", "`folder` of the store")
	wasm := flag.String("wasm", "app.wasm", "`file` with the page's program: GOOS=js GOARCH=wasm go build -o app.wasm")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *data, *wasm); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, addr, data, wasm string) (err error) {
	page, err := newHandler(wasm)
	if err != nil {
		return err
	}
	engine, err := pebble.Open(ctx, data, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	node, err := ankurah.OpenNode(ctx, engine, &ankurah.NodeOptions{
		Durable: true,
		Policy:  policy.Permissive{}, // whoever finds the page may write
		Models:  []ankurah.AnyCollection{model.Todos},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, node.Close()) }()
	if err := node.EnsureSystem(ctx); err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/ankurah", wsserver.NewHandler(node, nil))
	mux.Handle("/", page)
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Printf("http://%s/\n", l.Addr())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { server.Close() })
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// newHandler serves the page: go-app's loader, service worker and manifest, and
// the files in web.
func newHandler(wasm string) (http.Handler, error) {
	program, err := os.ReadFile(wasm)
	if err != nil {
		return nil, fmt.Errorf("%w: build it with GOOS=js GOARCH=wasm go build -o %s", err, wasm)
	}
	files := &assets{FS: http.FileServerFS(web), program: program, zipped: sync.OnceValue(func() []byte { return zip(program) })}
	sum := sha256.New()
	sum.Write(program)
	for _, name := range []string{"web/todo.css", "web/icon.svg", "web/icon-192.png", "web/icon-512.png"} {
		text, err := web.ReadFile(name)
		if err != nil {
			return nil, err
		}
		sum.Write(text)
	}
	return &app.Handler{
		Name:            "Todo",
		Title:           "Todo",
		Description:     "What is to be done",
		Icon:            app.Icon{Default: "/web/icon-192.png", Large: "/web/icon-512.png", Maskable: "/web/icon-512.png", SVG: "/web/icon.svg"},
		Styles:          []string{"/web/todo.css"},
		BackgroundColor: "#f6f4ef",
		ThemeColor:      "#f6f4ef",
		LoadingLabel:    "{progress} %",
		Resources:       files,
		// The page is loaded anew when this has changed.
		Version: fmt.Sprintf("%x", sum.Sum(nil)[:8]),
		// The loader counts what has been unpacked.
		WasmContentLength: strconv.Itoa(len(program)),
	}, nil
}

func zip(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(b) // a buffer takes everything
	_ = w.Close()
	return out.Bytes()
}

//go:embed web
var web embed.FS

// assets are the files of the page, by the paths of go-app: /web/… .
type assets struct {
	FS      http.Handler
	program []byte
	zipped  func() []byte
}

// Resolve makes it an [app.ResourceResolver]: paths are as they are.
func (a *assets) Resolve(path string) string { return path }

func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/web/app.wasm" {
		a.FS.ServeHTTP(w, r)
		return
	}
	body := a.program
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Encoding", "gzip")
		body = a.zipped()
	}
	w.Header().Set("Content-Type", "application/wasm")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // who has gone away needs nothing
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/metrics/prom"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/transport/wsserver"
)

type serveCommand struct {
	Listen      string        `help:"Address to listen on (${default})." default:"127.0.0.1:8080" env:"ANKURAH_LISTEN" placeholder:"HOST:PORT"`
	Permissive  bool          `help:"Let everybody read and write everything; a credential is the subject's name." env:"ANKURAH_PERMISSIVE"`
	Rules       string        `help:"JSON file of credentials and of rules for each collection, instead of --permissive: {\"credentials\": {\"secret\": {\"Subject\": \"alice\"}}, \"collections\": {\"album\": [{\"Read\": \"TRUE\", \"Write\": \"owner = :subject\"}]}}." env:"ANKURAH_RULES" placeholder:"FILE"`
	Origin      []string      `help:"Origins of pages that may connect, such as https://example.org; by default only the server's own." env:"ANKURAH_ORIGIN" placeholder:"ORIGIN"`
	Compression bool          `help:"Compress messages." env:"ANKURAH_COMPRESSION"`
	Grace       time.Duration `help:"How long clients may take to leave when the server ends (${default})." default:"5s" env:"ANKURAH_GRACE" placeholder:"DURATION"`
	Shared      bool          `help:"Let other servers that are started with --shared serve the same PostgreSQL store." env:"ANKURAH_SHARED"`
	Outage      time.Duration `help:"How long commits wait for a PostgreSQL that is away, before the server gives up (${default})." default:"1m" env:"ANKURAH_OUTAGE" placeholder:"DURATION"`
	Retention   time.Duration `help:"How long the feed of commits is kept (${default}). A server of several that was stopped for longer reads everything anew." default:"168h" env:"ANKURAH_RETENTION" placeholder:"DURATION"`
	Restored    bool          `help:"The files of the store were brought back from a copy: clients replace what they know of it. Not needed after ankurah backup or ankurah restore."`
}

// Run serves until it is interrupted.
func (c *serveCommand) Run(a *app) (err error) {
	agent, err := c.agent()
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return usage(err, "choose another address with --listen")
	}
	defer func() {
		if closing := l.Close(); !errors.Is(closing, net.ErrClosed) { // the HTTP server closes it, once there is one
			err = errors.Join(err, closing)
		}
	}()
	engine, err := a.openEngine(access{create: true, shared: c.Shared, outage: c.Outage})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	log := slog.New(slog.NewTextHandler(a.err, nil))
	registry := prometheus.NewRegistry()
	node, err := ankurah.OpenNode(a.ctx, engine, &ankurah.NodeOptions{Durable: true, Policy: agent, Logger: log, Metrics: prom.New(registry), Restored: c.Restored, FeedRetention: c.Retention})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, node.Close()) }()
	if c.Restored {
		log.Info("restored", "store", engine.Info().Location)
	}
	if err := node.EnsureSystem(a.ctx); err != nil {
		return err
	}
	peers := wsserver.NewHandler(node, &wsserver.Options{Origins: c.Origin, Compression: c.Compression, Logger: log})
	mux := http.NewServeMux()
	mux.Handle("/ankurah", peers)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { health(w, r, node) })
	registry.MustRegister(prom.NewCollector(node), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	admin := a.admit(node, log)
	defer func() { err = errors.Join(err, admin()) }()
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	if _, err := fmt.Fprintf(a.out, "serving %s at ws://%s/ankurah\n", engine.Info().Location, l.Addr()); err != nil {
		return errors.Join(err, srv.Close())
	}
	var over <-chan struct{}
	if c.Shared { // others go on, and clients move on to them; else what there is can still be read
		over = node.Failed()
	}
	select {
	case err = <-served:
		return err
	case <-a.ctx.Done():
	case <-over:
		defer func(failed error) { err = errors.Join(failed, err) }(node.Err())
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.Grace)
	defer cancel()
	if err := peers.Shutdown(ctx); err != nil {
		log.Warn("clients were cut off", "error", err)
	}
	err = srv.Shutdown(ctx)
	if serving := <-served; err == nil && !errors.Is(serving, http.ErrServerClosed) {
		err = serving
	}
	return err
}

// health answers whether the node commits, and the store is within reach.
func health(w http.ResponseWriter, r *http.Request, node *ankurah.Node) {
	if node.Err() != nil {
		http.Error(w, "the server commits nothing more: see its log", http.StatusServiceUnavailable)
		return
	}
	if p, ok := node.Engine().(storage.Pinger); ok {
		ctx, cancel := context.WithTimeout(r.Context(), connectTimeout)
		defer cancel()
		if err := p.Ping(ctx); err != nil {
			http.Error(w, "the store does not answer", http.StatusServiceUnavailable)
			return
		}
	}
	fmt.Fprintln(w, "ok")
}

// ruleFile is what --rules names.
type ruleFile struct {
	Credentials map[string]policy.Principal `json:"credentials"`
	Collections map[string][]policy.Rule    `json:"collections"`
}

// agent returns who decides. Nobody gets access because a flag was forgotten.
func (c *serveCommand) agent() (policy.Agent, error) {
	switch {
	case c.Permissive && c.Rules != "":
		return nil, usage(errors.New("--permissive and --rules together"), "choose one")
	case c.Permissive:
		return policy.Permissive{}, nil
	case c.Rules == "":
		return nil, usage(errors.New("nobody would have access"), "give --rules FILE, or --permissive to let everybody do everything")
	}
	f, err := os.Open(c.Rules)
	if err != nil {
		return nil, usage(err, "--rules names a JSON file")
	}
	defer f.Close()
	var rules ruleFile
	d := json.NewDecoder(f)
	d.DisallowUnknownFields()
	if err := d.Decode(&rules); err != nil {
		return nil, badInput(fmt.Errorf("%s: %w", c.Rules, err), `write {"credentials": {"secret": {"Subject": "alice"}}, "collections": {"album": [{"Read": "TRUE", "Write": "owner = :subject"}]}}`)
	}
	agent, err := policy.Rules{Collections: rules.Collections, Credentials: rules.principal}.Agent()
	if err != nil {
		return nil, badInput(fmt.Errorf("%s: %w", c.Rules, err), "correct the rule")
	}
	return agent, nil
}

func (r *ruleFile) principal(_ context.Context, credential []byte) (policy.Principal, error) {
	if p, ok := r.Credentials[string(credential)]; ok {
		return p, nil
	}
	if len(credential) == 0 {
		return policy.Principal{}, errors.New("a credential is missing: give one with --credential")
	}
	return policy.Principal{}, errors.New("the credential is not known")
}

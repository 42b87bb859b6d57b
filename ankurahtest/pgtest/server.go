package pgtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// startTimeout bounds the time until a cluster answers.
const startTimeout = 2 * time.Minute

// Options configures a cluster; nil is the zero value.
type Options struct {
	// Sync makes commits wait for the disk. Without, a commit survives the end
	// of PostgreSQL's processes but not that of the machine.
	Sync bool
	// Settings are settings of postgresql.conf.
	Settings map[string]string
}

// Server is a running cluster. Its methods are safe for concurrent use.
type Server struct {
	bin, dir, port, password string
	settings                 []string
	attr                     *syscall.SysProcAttr

	mu      sync.Mutex // guards what follows
	process *process
}

// process is one run of the postgres program.
type process struct {
	*os.Process
	log   *bytes.Buffer // to be read after ended
	ended chan struct{} // closed when it ended
	err   error         // set before
}

// Start makes a cluster in a temporary folder and starts it.
func Start(opts *Options) (*Server, error) {
	if opts == nil {
		opts = &Options{}
	}
	s := &Server{password: rand.Text()}
	var err error
	if s.bin, err = Binaries(); err != nil {
		return nil, err
	}
	if s.attr, err = attributes(); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "pgtest-"); err != nil {
		return nil, err
	}
	s.settings = []string{"listen_addresses=127.0.0.1", "unix_socket_directories=", "logging_collector=off", "max_connections=200"}
	if !opts.Sync {
		s.settings = append(s.settings, "fsync=off", "full_page_writes=off")
	}
	for name, value := range opts.Settings {
		s.settings = append(s.settings, name+"="+value)
	}
	if err = s.init(); err == nil {
		err = s.startSomewhere()
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	return s, nil
}

// init makes the cluster's files.
func (s *Server) init() error {
	if err := give(s.dir, s.attr); err != nil {
		return err
	}
	secret := filepath.Join(s.dir, "password")
	if err := os.WriteFile(secret, []byte(s.password), 0o600); err != nil {
		return err
	}
	if err := give(secret, s.attr); err != nil {
		return err
	}
	cmd := exec.Command(filepath.Join(s.bin, "initdb"), "-D", s.data(), "-U", "postgres", "-A", "scram-sha-256", "--pwfile="+secret, "-E", "UTF8", "--no-locale", "-N")
	cmd.Dir = s.dir
	// The signal at a thread's end is for the server; this process is waited for.
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	*cmd.SysProcAttr = *s.attr
	cmd.Env = []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH")}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ankurah: initdb: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// startSomewhere starts the server on a free port. Another program may take
// the port in between; then another one is tried.
func (s *Server) startSomewhere() error {
	for attempt := 1; ; attempt++ {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		s.port = strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
		if err := l.Close(); err != nil {
			return err
		}
		if err = s.Start(); err == nil || attempt == 3 {
			return err
		}
	}
}

// Start starts the server again after [Server.Stop] or [Server.Kill], on the
// same port.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		return errors.New("ankurah: the PostgreSQL server is running already")
	}
	args := []string{"-D", s.data(), "-p", s.port}
	for _, setting := range s.settings {
		args = append(args, "-c", setting)
	}
	p, err := launch(filepath.Join(s.bin, "postgres"), args, s.dir, s.attr)
	if err != nil {
		return err
	}
	if err := s.ready(p); err != nil {
		return errors.Join(err, p.stop(syscall.SIGQUIT))
	}
	s.process = p
	return nil
}

// launch starts a process and has it awaited by the thread that started it,
// which therefore lives as long as the process.
func launch(program string, args []string, dir string, attr *syscall.SysProcAttr) (*process, error) {
	p := &process{log: &bytes.Buffer{}, ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		cmd := exec.Command(program, args...)
		cmd.Dir, cmd.SysProcAttr, cmd.Stderr = dir, attr, p.log
		cmd.Env = []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH")}
		err := cmd.Start()
		p.Process = cmd.Process
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.ended)
		}
	}()
	return p, <-started
}

// ready waits until the server answers.
func (s *Server) ready(p *process) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.URL("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-p.ended:
			return fmt.Errorf("ankurah: PostgreSQL ended: %w: %s", p.err, bytes.TrimSpace(p.log.Bytes()))
		case <-ctx.Done():
			return fmt.Errorf("ankurah: PostgreSQL did not answer within %s: %w", startTimeout, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// URL returns the address of a database of this cluster, for its superuser.
func (s *Server) URL(database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword("postgres", s.password), Host: "127.0.0.1:" + s.port, Path: "/" + database, RawQuery: "sslmode=disable"}
	return u.String()
}

// stop sends the process a signal and waits for its end.
func (p *process) stop(signal syscall.Signal) error {
	if err := p.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.ended
	return nil
}

func (s *Server) end(signal syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return nil
	}
	err := s.process.stop(signal)
	s.process = nil
	return err
}

// Stop ends the server; its connections are cut. What is stored stays.
func (s *Server) Stop() error { return s.end(syscall.SIGINT) }

// Kill ends the server at once, as a crash does: it recovers when it is
// started again.
func (s *Server) Kill() error { return s.end(syscall.SIGQUIT) }

// Close ends the server and removes its files.
func (s *Server) Close() error {
	return errors.Join(s.end(syscall.SIGINT), os.RemoveAll(s.dir))
}

// Command ankurah works on a store from the shell: it imports files, answers
// queries, shows them live, tells an entity's history and explains how a query
// would be answered. It knows no model: what is stored says what it holds. See
// README.md, or run ankurah --help.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"

	"github.com/alecthomas/kong"

	_ "github.com/ankurah/ankurah-go/storage/memory" // memory:
)

const description = `Work on an ankurah store from the shell.

Exit codes:
  0  done
  1  it failed
  2  wrong usage: flags, arguments or the text of a query
  3  not found: no such store, collection or entity
  4  the store is in use by another process, damaged, or not whole
  5  the input cannot be read: rows, edits, a dump
  6  the server cannot be reached, or does not let the user in
  130  interrupted before it was done`

// flags are those that every command takes.
type flags struct {
	Data       string `help:"Folder of the store (${default})." default:"./data" env:"ANKURAH_DATA" placeholder:"DIR"`
	Store      string `help:"URL of the store, such as pebble:./data, memory: or postgres://user@host/database, instead of --data." aliases:"storage" env:"ANKURAH_STORE" placeholder:"URL"`
	User       string `help:"Who acts: the subject that reads and writes are made as." placeholder:"NAME"`
	Server     string `help:"URL of a server, such as ws://localhost:8080/ankurah, instead of a store." env:"ANKURAH_SERVER" placeholder:"URL"`
	Credential string `help:"What the server knows the user by; the --user where it lets everybody in." env:"ANKURAH_CREDENTIAL" placeholder:"TEXT"`
	Sync       bool   `help:"Have every commit on disk before it counts. Without, the machine's stop may lose the last ones." default:"true" negatable:""`
	JSON       bool   `help:"Print JSON for scripts, one value a line." name:"json"`
}

type commandLine struct {
	flags
	Import  importCommand  `cmd:"" help:"Import rows from JSON, NDJSON or CSV. An import that was interrupted goes on where it stopped."`
	Query   queryCommand   `cmd:"" help:"Print the entities that a query selects."`
	Watch   watchCommand   `cmd:"" help:"Show a query live, until Ctrl-C."`
	History historyCommand `cmd:"" help:"Print an entity's audit trail."`
	Explain explainCommand `cmd:"" help:"Say how a query would be answered: by which index, with what left to filter."`
	Serve   serveCommand   `cmd:"" help:"Serve the store to other nodes over WebSockets, until Ctrl-C."`
	Backup  backupCommand  `cmd:"" help:"Copy the store to another folder, also while a server has it open."`
	Inspect inspectCommand `cmd:"" help:"Show what a server has open: its live queries, and what they cost."`
	Dump    dumpCommand    `cmd:"" help:"Write all that the store holds to a file that any engine can be restored from."`
	Restore restoreCommand `cmd:"" help:"Fill a new store from a dump."`
	Verify  verifyCommand  `cmd:"" help:"Replay all events and compare what they lead to with what is stored."`
	New     newCommand     `cmd:"" help:"Make a new project: a chat with a server in Go and pages in React, to build upon."`
	Gen     genCommand     `cmd:"" passthrough:"" help:"Write the code of the models in a folder, with -ts TypeScript too: what ankurah-gen does."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

// app is what a command runs with.
type app struct {
	flags
	ctx            context.Context
	in             io.Reader
	out, err       io.Writer
	outTTY, errTTY bool
	width          func() (columns, rows int) // of the terminal
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// exited is what kong's exit function panics with, to leave its parser, and
// what a command returns that has said itself what went wrong.
type exited int

func (e exited) Error() string { return "exit status " + strconv.Itoa(int(e)) }

// run does the work of main and returns the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) (code int) {
	defer func() {
		if r := recover(); r != nil {
			c, ok := r.(exited)
			if !ok {
				panic(r)
			}
			code = int(c)
		}
	}()
	var line commandLine
	parser, err := kong.New(&line,
		kong.Name("ankurah"),
		kong.Description(description),
		kong.Writers(out, errOut),
		kong.Exit(func(code int) { panic(exited(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		return report(errOut, err)
	}
	command, err := parser.Parse(args)
	if err != nil {
		return report(errOut, usage(err, "run ankurah --help"))
	}
	a := &app{flags: line.flags, ctx: ctx, in: in, out: out, err: errOut, width: func() (int, int) { return terminalSize(out) }}
	a.outTTY, a.errTTY = isTerminal(out), isTerminal(errOut)
	err = command.Run(a)
	if code := exited(0); errors.As(err, &code) {
		return int(code) // it has said why
	}
	if errors.Is(err, syscall.EPIPE) {
		return exitFailed // the reader has had enough: there is nobody to tell
	}
	return report(errOut, err)
}

type versionCommand struct{}

func (versionCommand) Run(a *app) error {
	v := struct {
		Version  string `json:"version"`
		Revision string `json:"revision,omitempty"`
		Time     string `json:"time,omitempty"`
		Modified bool   `json:"modified,omitempty"`
		Go       string `json:"go"`
		Platform string `json:"platform"`
	}{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" {
			v.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Revision = s.Value
			case "vcs.time":
				v.Time = s.Value
			case "vcs.modified":
				v.Modified = s.Value == "true"
			}
		}
	}
	if a.JSON {
		return a.printJSON(v)
	}
	text := "ankurah " + v.Version
	if v.Revision != "" {
		text += " " + v.Revision[:min(12, len(v.Revision))]
		if v.Modified {
			text += "+changes"
		}
	}
	_, err := fmt.Fprintln(a.out, text, v.Go, v.Platform)
	return err
}

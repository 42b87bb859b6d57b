package ankurah

import (
	"reflect"
	"runtime"

	"github.com/ankurah/ankurah-go/internal/panics"
)

// Logger takes what a node has to say; [log/slog.Logger] satisfies it. The
// arguments are keys and values in turn. It may be called while the node is
// locked: it must not use the node.
type Logger interface {
	Debug(msg string, args ...any)
	Info(msg string, args ...any)
	Warn(msg string, args ...any)
	Error(msg string, args ...any)
}

// contained runs a function of the user's; a panic in it is reported and harms
// nobody else.
func (n *Node) contained(what string, f func()) {
	n.calling.Add(1)
	defer n.calling.Add(-1)
	defer func() {
		if r := recover(); r != nil {
			n.panicked(what, r)
		}
	}()
	f()
}

// panicked reports a panic, on its stack.
func (n *Node) panicked(in string, value any) {
	n.log.Error(in+" panicked", "panic", panics.Text(value), "stack", panics.Stack())
}

// containedLogger is a user's logger. Others are told of a panic by the log;
// of one in the log itself standard error is.
type containedLogger struct{ to Logger }

func (l containedLogger) Debug(msg string, args ...any) { l.call(l.to.Debug, msg, args) }
func (l containedLogger) Info(msg string, args ...any)  { l.call(l.to.Info, msg, args) }
func (l containedLogger) Warn(msg string, args ...any)  { l.call(l.to.Warn, msg, args) }
func (l containedLogger) Error(msg string, args ...any) { l.call(l.to.Error, msg, args) }

func (l containedLogger) call(f func(string, ...any), msg string, args []any) {
	defer func() {
		if r := recover(); r != nil {
			println("ankurah: the logger panicked: " + panics.Text(r) + "; it was told: " + msg + "\n" + panics.Stack())
		}
	}()
	f(msg, args...)
}

type silent struct{}

func (silent) Debug(string, ...any) {}
func (silent) Info(string, ...any)  {}
func (silent) Warn(string, ...any)  {}
func (silent) Error(string, ...any) {}

// containedName is how [Node.contained] is called in stacks.
var containedName = runtime.FuncForPC(reflect.ValueOf((*Node).contained).Pointer()).Name()

// inCallback reports whether the caller was called, by whatever way, by a
// function that a node contains.
func inCallback() bool {
	pcs := make([]uintptr, 64)
	n := runtime.Callers(2, pcs)
	for n == len(pcs) {
		pcs = make([]uintptr, 2*len(pcs))
		n = runtime.Callers(2, pcs)
	}
	frames := runtime.CallersFrames(pcs[:n])
	for {
		f, more := frames.Next()
		if f.Function == containedName {
			return true
		}
		if !more {
			return false
		}
	}
}

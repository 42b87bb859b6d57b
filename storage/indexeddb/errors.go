//go:build js

package indexeddb

import (
	"errors"
	"syscall/js"

	"github.com/ankurah/ankurah-go/storage"
)

// ErrRemoved is wrapped when a database was removed while it was open, as by
// "clear site data".
var ErrRemoved = errors.New("the database has been removed")

// removedName is the name of an error that wraps ErrRemoved.
const removedName = "Removed"

// Error is a failure of the browser's database.
type Error struct {
	Op       string // such as "write"
	Database string
	Name     string // of the exception, such as "QuotaExceededError"
	Message  string // of the browser
}

func (e *Error) Error() string {
	text := "ankurah: " + e.Op + " indexeddb:" + e.Database + ": " + e.Name
	if e.Message != "" {
		text += ": " + e.Message
	}
	if e.Unwrap() == storage.ErrFull {
		text += ": the browser has no more room for this site: remove data, or ask for more with navigator.storage.persist()"
	}
	return text
}

// Unwrap returns [storage.ErrFull] or [ErrRemoved], if it is that.
func (e *Error) Unwrap() error {
	switch e.Name {
	case "QuotaExceededError":
		return storage.ErrFull
	case removedName:
		return ErrRemoved
	}
	return nil
}

// failed describes an error of the browser's.
func (d *database) failed(doing string, err error) error {
	var thrown js.Error
	if !errors.As(err, &thrown) {
		return err
	}
	e := &Error{Op: doing, Database: d.name, Name: "UnknownError", Message: "the transaction was aborted"}
	if v := thrown.Value; v.Type() == js.TypeObject {
		e.Name, e.Message = v.Get("name").String(), v.Get("message").String()
	}
	return e
}

// exception makes an error of what JavaScript threw or gave as a reason.
func exception(v js.Value) error { return js.Error{Value: v} }

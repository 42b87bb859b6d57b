package sim

import (
	"fmt"
	"strings"

	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/wire"
)

// frame describes a frame in a line.
func frame(b []byte) string {
	m, err := wire.Decode(b)
	if err != nil {
		return err.Error()
	}
	var list []string
	changes := func(all []wire.Change) string {
		for _, x := range all {
			what := fmt.Sprintf("%d-%d", x.Before, x.After)
			switch {
			case x.Removed:
				what = "gone"
			case x.State != nil:
				what = fmt.Sprintf("=%d", x.After)
			}
			list = append(list, x.Entity.String()[20:]+" "+what)
		}
		return "[" + strings.Join(list, ", ") + "]"
	}
	switch m := m.(type) {
	case *wire.Push:
		return "Push " + changes(m.Changes) + windows(m.Windows)
	case *wire.Rows:
		return fmt.Sprintf("Rows of %d %s done %t, result %s", m.ID, changes(m.Changes), m.Done, short(m.Result))
	case *wire.Ack:
		return fmt.Sprintf("Ack of %s %s%s", m.Tx, changes(m.Changes), windows(m.Windows))
	case *wire.Submit:
		return fmt.Sprintf("Submit %s: %d events", m.Tx, len(m.Events))
	case *wire.Refuse:
		return fmt.Sprintf("Refuse %s: %s", m.Tx, m.Code)
	case *wire.Query:
		return fmt.Sprintf("Query %d %q, %d known", m.ID, m.Text, len(m.Known))
	case *wire.Cancel:
		return fmt.Sprintf("Cancel %d", m.ID)
	case *wire.Fail:
		return fmt.Sprintf("Fail %d: %s", m.ID, m.Code)
	case *wire.Sync:
		return fmt.Sprintf("Sync %d", m.ID)
	case *wire.Bye:
		return fmt.Sprintf("Bye: %s: %s", m.Code, m.Text)
	case *wire.Reject:
		return fmt.Sprintf("Reject: %s: %s", m.Code, m.Text)
	case *wire.Want:
		return fmt.Sprintf("Want %d of %s", m.ID, short(entities(m.Entities)))
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", m), "*wire.")
}

// windows says what enters and leaves windows.
func windows(all []wire.Window) string {
	var b strings.Builder
	for _, x := range all {
		fmt.Fprintf(&b, ", window %d: in %s, out %s", x.Query, short(x.In), short(x.Out))
	}
	return b.String()
}

func entities(list []wire.Known) (out []id.ID) {
	for _, k := range list {
		out = append(out, k.Entity)
	}
	return out
}

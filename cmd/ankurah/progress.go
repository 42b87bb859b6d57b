package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ankurah/ankurah-go/internal/importer"
)

// progress shows how far an import is: a bar on a terminal, a line at every
// tenth elsewhere.
type progress struct {
	w     io.Writer
	quiet bool
	bar   bool
	width func() (int, int)

	size  int64
	phase string
	begun time.Time
	drawn time.Time
	tenth int
	first int // rows done when the phase began
}

const barWidth = 24

func newProgress(a *app, size int64, quiet bool) *progress {
	return &progress{w: a.err, quiet: quiet, bar: a.errTTY, width: func() (int, int) { return terminalSize(a.err) }, size: max(size, 1)}
}

// at shows how far the import is.
func (p *progress) at(is importer.Progress) {
	if p.quiet {
		return
	}
	now := time.Now()
	phase, share := "checking", float64(is.Read)/float64(p.size)
	if is.Of > 0 {
		phase, share = "importing", float64(is.Rows)/float64(is.Of)
	}
	if p.phase != phase {
		p.phase, p.begun, p.drawn, p.first = phase, now, time.Time{}, is.Rows
	}
	if !p.bar {
		if tenth := int(share * 10); is.Of > 0 && tenth > p.tenth {
			p.tenth = tenth
			fmt.Fprintf(p.w, "%s: %3d%%, %d of %d rows\n", phase, tenth*10, is.Rows, is.Of)
		}
		return
	}
	if now.Sub(p.drawn) < 100*time.Millisecond && is.Rows != is.Of {
		return
	}
	p.drawn = now
	full := int(share * barWidth)
	line := fmt.Sprintf("%s %s%s %3.0f%%  %d rows", phase, strings.Repeat("█", full), strings.Repeat("░", barWidth-full), share*100, is.Rows)
	if took := now.Sub(p.begun); took > 200*time.Millisecond && is.Rows > p.first {
		rate := float64(is.Rows-p.first) / took.Seconds()
		line += fmt.Sprintf("  %.0f rows/s", rate)
		if is.Of > is.Rows {
			line += fmt.Sprintf("  %.0f s left", float64(is.Of-is.Rows)/rate)
		}
	}
	columns, _ := p.width()
	fmt.Fprint(p.w, "\r"+cut(line, columns-1)+"\x1b[K")
}

// end leaves the terminal at the start of an empty line.
func (p *progress) end() {
	if p.bar && !p.drawn.IsZero() {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

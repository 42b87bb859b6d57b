package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// progress shows how far an import is: a bar on a terminal, a line at every
// tenth elsewhere.
type progress struct {
	w     io.Writer
	quiet bool
	bar   bool
	width func() (int, int)

	what  string
	size  int64
	begun time.Time
	drawn time.Time
	tenth int64
	first int // rows done when it began
}

const barWidth = 24

func newProgress(a *app, quiet bool) *progress {
	return &progress{w: a.err, quiet: quiet, bar: a.errTTY, width: func() (int, int) { return terminalSize(a.err) }}
}

// begin begins a pass over size bytes.
func (p *progress) begin(what string, size int64) {
	p.what, p.size, p.begun, p.drawn, p.tenth, p.first = what, size, time.Now(), time.Time{}, 0, -1
}

// at shows that the pass is at a byte and a row, of so many rows; 0 when that
// is not known.
func (p *progress) at(at int64, rows, of int) {
	if p.quiet {
		return
	}
	if p.first < 0 {
		p.first = rows
	}
	now := time.Now()
	share := float64(at) / float64(max(p.size, 1))
	if of > 0 {
		share = float64(rows) / float64(of)
	}
	if !p.bar {
		if tenth := int64(share * 10); of > 0 && tenth > p.tenth {
			p.tenth = tenth
			fmt.Fprintf(p.w, "%s: %3d%%, %d of %d rows\n", p.what, tenth*10, rows, of)
		}
		return
	}
	last := of > 0 && rows == of
	if now.Sub(p.drawn) < 100*time.Millisecond && !last {
		return
	}
	p.drawn = now
	full := int(share * barWidth)
	line := fmt.Sprintf("%s %s%s %3.0f%%  %d rows", p.what, strings.Repeat("█", full), strings.Repeat("░", barWidth-full), share*100, rows)
	if took := now.Sub(p.begun); took > 200*time.Millisecond && rows > p.first {
		rate := float64(rows-p.first) / took.Seconds()
		line += fmt.Sprintf("  %.0f rows/s", rate)
		if of > rows {
			line += fmt.Sprintf("  %.0f s left", float64(of-rows)/rate)
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

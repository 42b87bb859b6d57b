package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ankurah/ankurah-go/internal/importer"
	"github.com/ankurah/ankurah-go/storage/dump"
)

// progress shows how far a long work is: a bar on a terminal, a line at every
// tenth elsewhere.
type progress struct {
	w     io.Writer
	quiet bool
	bar   bool
	width func() (int, int)

	size  int64 // bytes to read; 0 when that is not known
	phase string
	begun time.Time
	drawn time.Time
	tenth int
	first int // done when the phase began
}

const barWidth = 24

func newProgress(a *app, size int64, quiet bool) *progress {
	return &progress{w: a.err, quiet: quiet, bar: a.errTTY, width: func() (int, int) { return terminalSize(a.err) }, size: size}
}

// at shows how far an import is.
func (p *progress) at(is importer.Progress) {
	if is.Of == 0 {
		p.show("checking", "row", float64(is.Read)/float64(max(p.size, 1)), is.Rows, 0)
		return
	}
	p.show("importing", "row", float64(is.Rows)/float64(is.Of), is.Rows, is.Of)
}

// of returns what shows how far work on a store is, by its entities, or by the
// bytes of a dump that is read.
func (p *progress) of(phase string) func(dump.Progress) {
	return func(is dump.Progress) {
		switch {
		case is.Of > 0:
			p.show(phase, "entity", float64(is.Entities)/float64(is.Of), int(is.Entities), int(is.Of))
		case p.size > 0:
			p.show(phase, "entity", min(1, float64(is.Bytes)/float64(p.size)), int(is.Entities), -1)
		default:
			p.show(phase, "entity", 0, int(is.Entities), 0)
		}
	}
}

// show shows that so many things are done of so many. Of an unknown number, -1,
// there is the share only; a phase with 0 shows on a terminal only.
func (p *progress) show(phase, thing string, share float64, done, of int) {
	if p.quiet {
		return
	}
	now := time.Now()
	if p.phase != phase {
		p.phase, p.begun, p.drawn, p.first = phase, now, time.Time{}, done
	}
	if !p.bar {
		if tenth := int(share * 10); of != 0 && tenth > p.tenth {
			p.tenth = tenth
			far := count(done, thing)
			if of > 0 {
				far = fmt.Sprint(done, " of ", count(of, thing))
			}
			fmt.Fprintf(p.w, "%s: %3d%%, %s\n", phase, tenth*10, far)
		}
		return
	}
	if now.Sub(p.drawn) < 100*time.Millisecond && done != of {
		return
	}
	p.drawn = now
	line := phase + " "
	if share > 0 {
		full := int(share * barWidth)
		line += fmt.Sprintf("%s%s %3.0f%%  ", strings.Repeat("█", full), strings.Repeat("░", barWidth-full), share*100)
	}
	line += count(done, thing)
	if took := now.Sub(p.begun); took > 200*time.Millisecond && done > p.first {
		rate := float64(done-p.first) / took.Seconds()
		line += fmt.Sprintf("  %.0f %s/s", rate, strings.TrimPrefix(count(0, thing), "0 "))
		if of > done {
			line += fmt.Sprintf("  %.0f s left", float64(of-done)/rate)
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

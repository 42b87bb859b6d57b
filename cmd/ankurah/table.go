package main

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ankurah/ankurah-go"
)

// maxCell is how many characters of a value a table shows.
const maxCell = 40

// table lays rows out in columns, the ID last since it is the widest and least
// read.
func table(rows []ankurah.Record) string {
	var keys []string
	for _, r := range rows {
		for _, k := range r.Keys() {
			if !slices.Contains(keys, k) {
				keys = append(keys, k)
			}
		}
	}
	slices.Sort(keys)
	if k := slices.Index(keys, "name"); k > 0 { // what people look for first
		keys = append([]string{"name"}, slices.Delete(keys, k, k+1)...)
	}
	cells := [][]string{append(slices.Clone(keys), "id")}
	for _, r := range rows {
		var line []string
		for _, k := range keys {
			line = append(line, cell(r, k))
		}
		cells = append(cells, append(line, r.ID().String()))
	}
	width := make([]int, len(keys)+1)
	for _, line := range cells {
		for k, c := range line {
			width[k] = max(width[k], utf8.RuneCountInString(c))
		}
	}
	var b strings.Builder
	for _, line := range cells {
		for k, c := range line {
			b.WriteString(c)
			if k < len(line)-1 {
				b.WriteString(strings.Repeat(" ", width[k]-utf8.RuneCountInString(c)+2))
			}
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%d rows\n", len(rows))
	return b.String()
}

func cell(r ankurah.Record, key string) string {
	x, ok := r.Get(key)
	if !ok {
		return ""
	}
	text := strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, fmt.Sprint(x))
	if utf8.RuneCountInString(text) > maxCell {
		return string([]rune(text)[:maxCell-1]) + "…"
	}
	return text
}

// line prints a row as key=value pairs.
func line(r ankurah.Record) string {
	var b strings.Builder
	b.WriteString(r.ID().String())
	for _, k := range r.Keys() {
		b.WriteString(" " + k + "=" + cell(r, k))
	}
	return b.String()
}

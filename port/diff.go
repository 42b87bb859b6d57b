package port

import (
	"slices"

	ankurah "github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/value"
)

// maxChunk is about how many bytes go into a frame of an update.
const maxChunk = 256 << 10

// updateWriter puts what is new of queries into frames.
type updateWriter struct {
	frames []frame
	update update
	size   int
	keys   map[string]uint64 // of the current part
}

// differences writes what changes what a page has of q into now.
func (w *updateWriter) differences(q *query, now shown) {
	was := &q.shown
	p := part{query: q.asked.query, reset: !was.begun}
	if now.over != nil {
		p.code, p.text = failure(now.over)
		w.begin(p)
		return
	}
	if now.synced != was.synced {
		p.synced = now.synced
	}
	if now.columns != nil {
		w.groups(p, was, &now)
		return
	}
	d := compare(was.rows, now.rows)
	if p.gone = d.gone; !p.reset && p.synced == syncedAsBefore && len(d.gone)+len(d.news) == 0 {
		return
	}
	w.begin(p)
	w.size += len(p.gone) * id.Size
	for _, n := range d.news {
		w.row(n)
	}
}

func (w *updateWriter) begin(p part) {
	w.update.parts = append(w.update.parts, p)
	w.keys = map[string]uint64{}
	w.size += 32
}

// part returns the part that is being written, of a new frame if there is no
// room in this one.
func (w *updateWriter) part() *part {
	last := len(w.update.parts) - 1
	if w.size >= maxChunk {
		n := w.update.parts[last].query
		w.flush(true)
		w.begin(part{query: n})
		last = 0
	}
	return &w.update.parts[last]
}

func (w *updateWriter) row(n news) {
	p := w.part()
	r := row{id: n.row.ID(), place: n.place, kept: n.kept}
	w.size += 32
	if !n.kept {
		for key, v := range n.row.Values() {
			k, known := w.keys[key]
			if !known {
				k = uint64(len(p.keys))
				w.keys[key] = k
				p.keys = append(p.keys, key)
			}
			r.fields = append(r.fields, column{k, v})
			w.size += 8 + value.EncodedSize(v)
		}
	}
	p.rows = append(p.rows, r)
}

func (w *updateWriter) groups(p part, was, now *shown) {
	same := slices.EqualFunc(was.groups, now.groups, ankurah.Group.Equal)
	if same && !p.reset && p.synced == syncedAsBefore {
		return
	}
	if !same || p.reset {
		p.columns = now.columns
	}
	w.begin(p)
	if same {
		return
	}
	for _, g := range now.groups {
		out := make(group, len(g.Columns()))
		for k := range out {
			out[k] = g.Value(k)
			w.size += 4 + value.EncodedSize(out[k])
		}
		p := w.part()
		p.groups = append(p.groups, out)
	}
}

func (w *updateWriter) flush(follows bool) {
	w.update.follows = follows
	w.frames = append(w.frames, frame{appendFrame(nil, &w.update), true})
	w.update, w.size = update{}, 0
}

// end returns the frames.
func (w *updateWriter) end() []frame {
	if len(w.update.parts) > 0 {
		w.flush(false)
	}
	return w.frames
}

// news is a row that a page does not have like this.
type news struct {
	row   ankurah.Record
	place uint64 // 1 + its new place; 0: where it is among those that stay
	kept  bool   // the page has what it holds
}

// delta leads from one list of rows to another: gone and those with a place
// leave, then those with a place come in, in ascending order.
type delta struct {
	gone []id.ID
	news []news
}

// compare returns the delta from old to now, in which as few rows as possible
// change places.
func compare(old, now []ankurah.Record) (d delta) {
	head, tail := 0, 0
	for head < len(old) && head < len(now) && old[head].ID() == now[head].ID() {
		head++
	}
	for tail < len(old)-head && tail < len(now)-head && old[len(old)-1-tail].ID() == now[len(now)-1-tail].ID() {
		tail++
	}
	for k := range head {
		d.stay(old[k], now[k])
	}
	d.middle(old[head:len(old)-tail], now[head:len(now)-tail], head)
	for k := tail; k > 0; k-- {
		d.stay(old[len(old)-k], now[len(now)-k])
	}
	return d
}

// stay adds a row that keeps its place.
func (d *delta) stay(old, now ankurah.Record) {
	if !old.SameVersion(now.View) {
		d.news = append(d.news, news{row: now})
	}
}

// middle adds rows whose order may have changed; the first of them stands
// behind offset others.
func (d *delta) middle(old, now []ankurah.Record, offset int) {
	if len(old)+len(now) == 0 {
		return
	}
	at := make(map[id.ID]int, len(old))
	for k, r := range old {
		at[r.ID()] = k
	}
	from := make([]int, len(now)) // places in old, -1 of new rows
	for k, r := range now {
		from[k] = -1
		if o, ok := at[r.ID()]; ok {
			from[k] = o
			delete(at, r.ID())
		}
	}
	for _, r := range old {
		if _, left := at[r.ID()]; left {
			d.gone = append(d.gone, r.ID())
		}
	}
	stays := increasing(from)
	for k, r := range now {
		switch {
		case from[k] < 0:
			d.news = append(d.news, news{row: r, place: uint64(offset + k + 1)})
		case stays[k]:
			d.stay(old[from[k]], r)
		default:
			d.news = append(d.news, news{row: r, place: uint64(offset + k + 1), kept: old[from[k]].SameVersion(r.View)})
		}
	}
}

// increasing marks a longest increasing subsequence of the numbers that are not
// negative. It keeps the end of the best subsequence of each length, as patience
// sorting does.
func increasing(list []int) []bool {
	ends := []int{} // where the best subsequence of each length ends
	before := make([]int, len(list))
	for k, n := range list {
		if n < 0 {
			continue
		}
		at, _ := slices.BinarySearchFunc(ends, n, func(e, n int) int { return list[e] - n })
		before[k] = -1
		if at > 0 {
			before[k] = ends[at-1]
		}
		if at == len(ends) {
			ends = append(ends, k)
		} else {
			ends[at] = k
		}
	}
	out := make([]bool, len(list))
	if len(ends) > 0 {
		for k := ends[len(ends)-1]; k >= 0; k = before[k] {
			out[k] = true
		}
	}
	return out
}

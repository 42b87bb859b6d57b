package dump

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"hash/crc32"
	"io"
	"strconv"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrDamaged is wrapped by errors about a stream that is not a whole dump.
var ErrDamaged = errors.New("dump is damaged")

// DamagedError says where a dump cannot be right.
type DamagedError struct {
	Offset int64  // where the record begins, in bytes
	Record int    // which one it is, from 1
	In     string // what it belongs to, such as an entity; "" for nothing in particular
	Err    error
}

func (e *DamagedError) Error() string {
	at := "at byte " + strconv.FormatInt(e.Offset, 10) + " (record " + strconv.Itoa(e.Record)
	if e.In != "" {
		at += ", " + e.In
	}
	switch {
	case errors.Is(e.Err, errNewer):
		return "ankurah: the dump " + at + "): " + e.Err.Error()
	case errors.Is(e.Err, io.ErrUnexpectedEOF):
		return "ankurah: the dump is cut off " + at + "): take another copy of it"
	}
	return "ankurah: the dump is damaged " + at + "): " + e.Err.Error() + ": take another copy of it"
}
func (e *DamagedError) Unwrap() []error { return []error{ErrDamaged, e.Err} }

// Recognize reports an error unless what r begins with is the beginning of a
// dump. It consumes nothing.
func Recognize(r *bufio.Reader) error {
	b, err := r.Peek(len(magic))
	if err != nil && err != io.EOF {
		return &readError{err}
	}
	if string(b) != magic {
		return noDumpError{}
	}
	return nil
}

// noDumpError says that a stream is something else.
type noDumpError struct{}

func (noDumpError) Error() string {
	return "ankurah: this is no dump: it does not begin like one: dumps are what ankurah dump writes"
}
func (noDumpError) Unwrap() error { return ErrDamaged }

// writer writes records.
type writer struct {
	w   *bufio.Writer
	crc uint32
	sum hash.Hash
	n   int64 // bytes written
	buf []byte
}

func newWriter(w io.Writer) (*writer, error) {
	out := &writer{w: bufio.NewWriterSize(w, 1<<16), sum: sha256.New()}
	return out, out.bytes([]byte(magic))
}

func (w *writer) bytes(b []byte) error {
	w.crc = crc32.Update(w.crc, castagnoli, b)
	w.sum.Write(b)
	w.n += int64(len(b))
	_, err := w.w.Write(b)
	return err
}

func (w *writer) record(r *record) error {
	w.buf = r.append(w.buf[:0])
	if len(w.buf) > maxRecord {
		return errors.New("ankurah: " + kindName(r.kind) + " of " + strconv.Itoa(len(w.buf)) + " bytes: a dump takes " + strconv.Itoa(maxRecord))
	}
	var size [binary.MaxVarintLen64]byte
	err := w.bytes(size[:binary.PutUvarint(size[:], uint64(len(w.buf)))])
	if err == nil {
		err = w.bytes(w.buf)
	}
	if err == nil {
		err = w.bytes(binary.BigEndian.AppendUint32(nil, w.crc))
	}
	return err
}

// end writes the last record.
func (w *writer) end(c Counts) error {
	r := &record{kind: kEnd, counts: c}
	w.sum.Sum(r.sum[:0])
	if err := w.record(r); err != nil {
		return err
	}
	return w.w.Flush()
}

// reader reads records. Its errors are [*DamagedError], or those of what it
// reads from.
type reader struct {
	r   *bufio.Reader
	crc uint32
	sum hash.Hash
	n   int64 // bytes read

	begin int64 // where the last record begins
	count int   // records begun
	in    string
	whole [sha256.Size]byte // of everything before the last record
	after int               // kind of the last record
}

func newReader(r io.Reader) (*reader, error) {
	in := &reader{r: bufio.NewReaderSize(r, 1<<16), sum: sha256.New()}
	if err := Recognize(in.r); err != nil {
		return nil, err
	}
	_, err := in.bytes(len(magic))
	return in, err
}

// failed says where err was met.
func (r *reader) failed(err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if f, ok := errors.AsType[*readError](err); ok {
		return f
	}
	return &DamagedError{r.begin, r.count, r.in, err}
}

// readError is an error of what a dump is read from.
type readError struct{ err error }

func (e *readError) Error() string { return "ankurah: the dump cannot be read: " + e.err.Error() }
func (e *readError) Unwrap() error { return e.err }

// bytes reads n bytes. It makes no more room than what there is needs.
func (r *reader) bytes(n int) ([]byte, error) {
	const step = 1 << 16
	b := make([]byte, 0, min(n, step))
	for len(b) < n {
		have := len(b)
		more := min(n-have, max(have, step))
		b = append(b, make([]byte, more)...)
		k, err := io.ReadFull(r.r, b[have:])
		r.took(b[have : have+k])
		switch {
		case err == io.EOF || err == io.ErrUnexpectedEOF:
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, &readError{err}
		}
	}
	return b, nil
}

func (r *reader) took(b []byte) {
	r.crc = crc32.Update(r.crc, castagnoli, b)
	r.sum.Write(b)
	r.n += int64(len(b))
}

// size reads the length of a record.
func (r *reader) size() (int, error) {
	var b [binary.MaxVarintLen64]byte
	for k := range b {
		c, err := r.r.ReadByte()
		switch {
		case err == io.EOF:
			return 0, io.ErrUnexpectedEOF
		case err != nil:
			return 0, &readError{err}
		}
		b[k] = c
		r.took(b[k : k+1])
		if c >= 0x80 {
			continue
		}
		n, used := binary.Uvarint(b[:k+1])
		if used != k+1 || k > 0 && c == 0 || n == 0 || n > maxRecord {
			break
		}
		return int(n), nil
	}
	return 0, errors.New("the length of the record cannot be right")
}

// next reads a record. Kinds that come out of their order are damage.
func (r *reader) next() (*record, error) {
	r.begin = r.n
	r.count++
	r.sum.Sum(r.whole[:0])
	n, err := r.size()
	if err != nil {
		return nil, r.failed(err)
	}
	body, err := r.bytes(n)
	if err != nil {
		return nil, r.failed(err)
	}
	want := r.crc
	check, err := r.bytes(4)
	if err != nil {
		return nil, r.failed(err)
	}
	if binary.BigEndian.Uint32(check) != want {
		return nil, r.failed(errors.New("its checksum does not fit"))
	}
	rec, err := decode(body)
	if err == nil {
		err = follows(r.after, rec.kind)
	}
	if err != nil {
		return nil, r.failed(err)
	}
	r.after = rec.kind
	return rec, nil
}

// follows returns why a record of a kind cannot come after another, 0 for none.
func follows(last, kind int) error {
	ok := false
	switch kind {
	case kHead:
		ok = last == 0
	case kMeta, kIndex:
		ok = last > 0 && last <= kind
	case kEntity:
		ok = last > 0 && last <= kIndex || last == kState
	case kEvent:
		ok = last == kEntity || last == kEvent
	case kState:
		ok = last == kEvent
	default:
		ok = last > 0 && last != kEntity && last != kEvent && last <= kind && last != kEnd
	}
	if ok {
		return nil
	}
	return errors.New(kindName(kind) + " after " + map[bool]string{true: "nothing", false: kindName(last)}[last == 0] + ": records are missing, or not in their order")
}

// end checks that nothing follows.
func (r *reader) end() error {
	r.begin, r.in = r.n, ""
	r.count++
	_, err := r.r.ReadByte()
	switch {
	case err == io.EOF:
		return nil
	case err != nil:
		return r.failed(&readError{err})
	}
	return r.failed(errors.New("something follows its end"))
}

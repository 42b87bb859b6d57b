package wasmpack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// A section of a module, as the binary format numbers them.
type section struct {
	id   byte
	body []byte
}

const (
	sectionCustom    = 0
	sectionMemory    = 5
	sectionData      = 11
	sectionDataCount = 12
)

var preamble = []byte("\x00asm\x01\x00\x00\x00")

// reader reads the numbers of the binary format. After an error it returns
// zeros.
type reader struct {
	b   []byte
	err error
}

var (
	errShort = errors.New("it ends too early")
	errLong  = errors.New("a number is too long")
)

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.b = nil
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail(errShort)
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail(errShort)
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

// number reads an unsigned LEB128.
func (r *reader) number() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail(errShort)
		return 0
	}
	r.b = r.b[n:]
	return v
}

// signed reads a signed LEB128 of 32 bits.
func (r *reader) signed() int32 {
	v := r.signed64()
	if v != int64(int32(v)) {
		r.fail(errLong)
		return 0
	}
	return int32(v)
}

// signed64 reads a signed LEB128 of 64 bits.
func (r *reader) signed64() int64 {
	var v int64
	for shift := 0; shift < 70; shift += 7 {
		c := r.byte()
		v |= int64(c&0x7f) << shift
		if c&0x80 == 0 {
			if shift < 63 && c&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
	r.fail(errLong)
	return 0
}

func appendSigned(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func readModule(wasm []byte) ([]section, error) {
	if !bytes.HasPrefix(wasm, preamble) {
		return nil, errors.New("it is not a WebAssembly module of version 1")
	}
	r := &reader{b: wasm[len(preamble):]}
	var all []section
	for len(r.b) > 0 {
		id := r.byte()
		all = append(all, section{id, r.bytes(r.number())})
	}
	if r.err != nil {
		return nil, fmt.Errorf("section %d: %w", len(all)-1, r.err)
	}
	return all, nil
}

func writeModule(all []section) []byte {
	out := bytes.Clone(preamble)
	for _, s := range all {
		out = append(out, s.id)
		out = binary.AppendUvarint(out, uint64(len(s.body)))
		out = append(out, s.body...)
	}
	return out
}

// goVersion says which compiler made a module, or "".
func goVersion(all []section) string {
	for _, s := range all {
		if s.id != sectionCustom {
			continue
		}
		r := &reader{b: s.body}
		if string(r.bytes(r.number())) != "producers" {
			continue
		}
		for range r.number() {
			field := string(r.bytes(r.number()))
			for range r.number() {
				name, version := string(r.bytes(r.number())), string(r.bytes(r.number()))
				if r.err != nil {
					return ""
				}
				if field == "language" && name == "Go" {
					return version
				}
			}
			if r.err != nil {
				return ""
			}
		}
	}
	return ""
}

package wasmpack

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The initial memory of programs that are packed ends below maxMemory, and
// below smallMemory or sparsest times as far as it is filled.
const (
	maxMemory   = 1 << 28
	smallMemory = 1 << 24
	sparsest    = 64
)

// minGap is how many zeros between two segments are left out. Zeros cost
// next to nothing once compressed, a segment four bytes.
const minGap = 4096

// readMemory returns the memory as the data section fills it, from address 0.
func readMemory(body []byte) ([]byte, error) {
	r := &reader{b: body}
	most := int64(min(maxMemory, max(smallMemory, sparsest*len(body))))
	var memory []byte
	for k := range r.number() {
		// An active segment of memory 0, at a constant address.
		if r.number() != 0 || r.byte() != 0x41 {
			return nil, fmt.Errorf("data segment %d is not at a constant address of memory 0", k)
		}
		at := int64(r.signed())
		end := r.byte()
		data := r.bytes(r.number())
		switch {
		case r.err != nil:
			return nil, fmt.Errorf("data segment %d: %w", k, r.err)
		case end != 0x0b:
			return nil, fmt.Errorf("data segment %d is not at a constant address", k)
		case at < 0 || at+int64(len(data)) > most:
			return nil, fmt.Errorf("data segment %d ends at %d, above the %d bytes that are packed", k, at+int64(len(data)), most)
		}
		if more := int(at) + len(data) - len(memory); more > 0 {
			memory = append(memory, make([]byte, more)...)
		}
		copy(memory[at:], data)
	}
	if r.err != nil {
		return nil, r.err
	}
	if len(r.b) > 0 {
		return nil, errors.New("there is something behind the data segments")
	}
	return memory, nil
}

// appendMemory writes a data section that fills the memory.
func appendMemory(b, memory []byte) []byte {
	type span struct{ from, to int }
	var spans []span
	for at := 0; at < len(memory); {
		if memory[at] == 0 {
			at++
			continue
		}
		s := span{from: at, to: at + 1}
		for at++; at < len(memory) && at-s.to < minGap; at++ {
			if memory[at] != 0 {
				s.to = at + 1
			}
		}
		spans = append(spans, s)
	}
	b = binary.AppendUvarint(b, uint64(len(spans)))
	for _, s := range spans {
		b = append(b, 0, 0x41)
		b = appendSigned(b, int64(s.from))
		b = append(b, 0x0b)
		b = binary.AppendUvarint(b, uint64(s.to-s.from))
		b = append(b, memory[s.from:s.to]...)
	}
	return b
}

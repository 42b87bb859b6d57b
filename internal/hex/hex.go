// Package hex is hexadecimal text. The standard library's is as short, but its
// error brings package fmt into browsers.
package hex

const digits = "0123456789abcdef"

// Encode returns b as lower-case digits.
func Encode[T string | []byte](b T) string {
	out := make([]byte, 0, 2*len(b))
	for k := range len(b) {
		out = append(out, digits[b[k]>>4], digits[b[k]&15])
	}
	return string(out)
}

// Decode reads digits of either case, two for each byte.
func Decode(s string) (b []byte, ok bool) {
	if len(s)%2 != 0 {
		return nil, false
	}
	b = make([]byte, 0, len(s)/2)
	for k := 0; k < len(s); k += 2 {
		high, low := digit(s[k]), digit(s[k+1])
		if high > 15 || low > 15 {
			return nil, false
		}
		b = append(b, high<<4|low)
	}
	return b, true
}

// digit returns what a digit stands for, above 15 for what is none.
func digit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 0xff
}

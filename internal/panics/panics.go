// Package panics says what a program panicked with, and where. Packages fmt and
// runtime/debug would as well, but they would be 30 KB of what a browser loads.
package panics

import (
	"reflect"
	"runtime"
	"strconv"
)

// Text returns the text of what recover returned, its type if it has no text.
func Text(v any) (text string) {
	defer func() {
		if recover() != nil {
			text = "a value whose text panics"
		}
	}()
	switch v := v.(type) {
	case error:
		return v.Error()
	case interface{ String() string }:
		return v.String()
	}
	r := reflect.ValueOf(v)
	switch r.Kind() {
	case reflect.String:
		return r.String()
	case reflect.Bool:
		return strconv.FormatBool(r.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(r.Int(), 10)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return strconv.FormatUint(r.Uint(), 10)
	case reflect.Float32, reflect.Float64:
		return strconv.FormatFloat(r.Float(), 'g', -1, 64)
	case reflect.Invalid:
		return "nil"
	}
	return "a value of type " + r.Type().String()
}

// Stack returns the text of the calling goroutine's stack.
func Stack() string {
	b := make([]byte, 4096)
	for {
		n := runtime.Stack(b, false)
		if n < len(b) {
			return string(b[:n])
		}
		b = make([]byte, 2*len(b))
	}
}

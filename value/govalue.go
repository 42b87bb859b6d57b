package value

// GoValue returns v as a plain Go value: nil, string, bool, int32, int64,
// float64, []byte, time.Time, an ID, a slice of one of these, and for JSON
// what it holds as bool, int64, float64, string, []any or map[string]any.
func (v Value) GoValue() any {
	switch v = v.Unwrap(); v.kind {
	case KindString:
		return v.s
	case KindBool:
		return v.Bool()
	case KindInt32:
		return int32(v.Int())
	case KindInt64:
		return v.Int()
	case KindFloat64:
		return v.Float()
	case KindBytes:
		return v.Bytes()
	case KindTime:
		return v.Time()
	case KindID:
		return v.ID()
	case KindJSON:
		return v.tree()
	case KindList:
		return v.slice()
	}
	return nil
}

func (v Value) tree() any {
	if v.s == "" || v.s[0] == '[' {
		out := []any{}
		for e := range v.Elements() {
			out = append(out, e.GoValue())
		}
		return out
	}
	out := map[string]any{}
	for k, e := range v.fields() {
		out[k] = e.GoValue()
	}
	return out
}

func (v Value) slice() any {
	switch v.elem {
	case KindBool:
		return collect(v, Value.Bool)
	case KindInt32:
		return collect(v, func(e Value) int32 { return int32(e.Int()) })
	case KindInt64:
		return collect(v, Value.Int)
	case KindFloat64:
		return collect(v, Value.Float)
	case KindBytes:
		return collect(v, Value.Bytes)
	case KindTime:
		return collect(v, Value.Time)
	case KindID:
		return collect(v, Value.ID)
	}
	return collect(v, Value.Text)
}

func collect[T any](v Value, get func(Value) T) []T {
	out := make([]T, len(v.list))
	for k, e := range v.list {
		out[k] = get(e)
	}
	return out
}

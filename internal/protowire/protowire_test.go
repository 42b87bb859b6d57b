package protowire

import (
	"bytes"
	"math"
	"testing"

	oracle "google.golang.org/protobuf/encoding/protowire"
)

// The library of Protocol Buffers is the oracle of everything here.
func FuzzLikeTheLibrary(f *testing.F) {
	for _, v := range []uint64{0, 1, 127, 128, 1<<14 - 1, 1 << 14, math.MaxInt64, math.MaxUint64} {
		f.Add(oracle.AppendVarint(nil, v), v)
	}
	f.Add([]byte{0x80}, uint64(300))
	f.Add(bytes.Repeat([]byte{0xff}, 10), uint64(300))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, uint64(3))
	f.Add([]byte{0x80, 0x00}, uint64(3))
	f.Add([]byte("\x05hello world"), uint64(3))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\x7fx"), uint64(1<<35))
	f.Fuzz(func(t *testing.T, b []byte, v uint64) {
		same := func(what string, got, want any) {
			if got != want {
				t.Errorf("%s of %x, %d = %v, want %v", what, b, v, got, want)
			}
		}
		// A library's negative numbers say more than ours.
		length := func(n int) int { return max(n, -1) }

		same("AppendVarint", string(AppendVarint(nil, v)), string(oracle.AppendVarint(nil, v)))
		same("AppendFixed64", string(AppendFixed64(nil, v)), string(oracle.AppendFixed64(nil, v)))
		same("AppendBytes", string(AppendBytes(nil, b)), string(oracle.AppendBytes(nil, b)))
		same("SizeVarint", SizeVarint(v), oracle.SizeVarint(v))
		same("SizeBytes", SizeBytes(len(b)), oracle.SizeBytes(len(b)))
		same("EncodeZigZag", EncodeZigZag(int64(v)), oracle.EncodeZigZag(int64(v)))
		same("DecodeZigZag", DecodeZigZag(v), oracle.DecodeZigZag(v))

		num := Number(v&uint64(MaxValidNumber)) | 1
		same("AppendTag", string(AppendTag(nil, num, BytesType)), string(oracle.AppendTag(nil, oracle.Number(num), oracle.BytesType)))
		same("SizeTag", SizeTag(num), oracle.SizeTag(oracle.Number(num)))
		num, typ := DecodeTag(v)
		wantNum, wantTyp := oracle.DecodeTag(v)
		same("DecodeTag number", int32(num), int32(wantNum))
		same("DecodeTag type", int8(typ), int8(wantTyp))

		got, n := ConsumeVarint(b)
		want, m := oracle.ConsumeVarint(b)
		same("ConsumeVarint", got, want)
		same("ConsumeVarint length", n, length(m))
		got, n = ConsumeFixed64(b)
		want, m = oracle.ConsumeFixed64(b)
		same("ConsumeFixed64", got, want)
		same("ConsumeFixed64 length", n, length(m))
		field, n := ConsumeBytes(b)
		wantField, m := oracle.ConsumeBytes(b)
		same("ConsumeBytes", string(field), string(wantField))
		same("ConsumeBytes length", n, length(m))
		num, typ, n = ConsumeTag(b)
		wantNum, wantTyp, m = oracle.ConsumeTag(b)
		same("ConsumeTag length", n, length(m))
		same("ConsumeTag number", int32(num), int32(wantNum))
		same("ConsumeTag type", int8(typ), int8(wantTyp))
		for _, typ := range []Type{VarintType, Fixed64Type, BytesType, Fixed32Type, EndGroupType, 6, 7} {
			same("ConsumeFieldValue", ConsumeFieldValue(typ, b), length(oracle.ConsumeFieldValue(1, oracle.Type(typ), b)))
		}
	})
}

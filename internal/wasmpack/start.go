package wasmpack

import (
	"fmt"
	"strings"
)

// The functions that the start function consists of; see assemble for how they
// are written. The names of constants are those of addUnfold.
const (
	// nextText reads a number of the short form.
	nextText = `
		loop more
			global at  load8  tee byte  i32 127  and  get shift  shl  get value  or  set value
			get shift  i32 7  add  set shift
			global at  i32 1  add  put at
			get byte  i32 128  and  br_if more
		end
		get value`

	// differenceText reads one that may be below zero.
	differenceText = `
		call next  tee value  i32 1  shr  i32 0  get value  i32 1  and  sub  xor`

	// columnText fills a field of all records that have it.
	columnText = `
		loop functions
			i32 list  get k  i32 3  shl  add  i32 4  add  load  i32 list  add  set record
			block absent
				block found
					get record  get field  add  set place
					get kind  eqz  br_if found
					get record  i32 fixed  add  get field  i32 2  shl  add  set place
					get kind  i32 1  eq  if values
						get field  get record  i32 pcs  add  load  ge  br_if absent
						br found
					end
					get field  get record  i32 datas  add  load8  ge  br_if absent
					get place  get record  i32 pcs  add  load  i32 2  shl  add  set place
				end
				call next  tee value  eqz  if new
					get last  call difference  add  set last
					i32 seen  get known  i32 2  shl  add  get last  store
					get known  i32 1  add  tee known  set value
				end
				i32 seen  get value  i32 1  sub  i32 2  shl  add  load  set value
				get wide  if whole
					get place  get value  store
				else
					get place  get value  store8
				end
			end
			get k  i32 1  add  tee k  i32 count  lt  br_if functions
		end`

	// recordsText makes the list of functions and their records, without most
	// fields, and then the names.
	recordsText = `
		i32 first  set record
		loop records
			i32 list  get k  i32 3  shl  add  tee place  i32 entry  get k  add  store
			get place  i32 4  add  get record  i32 list  sub  store
			get record  i32 entry  get k  add  store
			get record  i32 pcs  add  call next  tee pcCount  store
			get record  i32 datas  add  call next  tee dataCount  store8
			get record  get pcCount  get dataCount  add  i32 2  shl  add  i32 fixed  add  i32 7  add  i32 -8  and  set record
			get k  i32 1  add  tee k  i32 count  lt  br_if records
		end
		i32 0  set k
		i32 names  set place
		loop functions
			i32 list  get k  i32 3  shl  add  i32 4  add  load  i32 list  add  i32 name  add
			get place  call difference  add  tee place  i32 names  sub  store
			loop letters
				get place  load8  get place  i32 1  add  set place  br_if letters
			end
			get k  i32 1  add  tee k  i32 count  lt  br_if functions
		end`

	// bucketsText makes buckets where the short form was.
	bucketsText = `
		i32 buckets  set place
		loop clearing
			get place  i32 0  store8
			get place  i32 1  add  tee place  i32 bucketsEnd  lt  br_if clearing
		end
		i32 0  set k
		i32 buckets  set place
		loop filling
			get place  get k  i32 bucketShift  shr  store
			get place  i32 bucketSize  add  set place
			get k  i32 1  add  tee k  i32 bucketCount  lt  br_if filling
		end`
)

// addUnfold adds a function that does what unfold does, with those that it
// calls, and returns its number.
func (t *tables) addUnfold(p *program, length int) (int64, error) {
	given := map[string]int64{
		"count": int64(t.count), "entry": int64(t.entry), "list": int64(t.listAt), "first": int64(t.firstRecord), "names": int64(t.namesAt),
		"buckets": int64(t.buckets), "bucketsEnd": int64(t.bucketsEnd), "bucketCount": int64(t.bucketCount()), "bucketSize": bucketSize, "bucketShift": bucketShift,
		"fixed": functionFixed, "name": fieldName, "pcs": fieldPCs, "datas": fieldDatas,
		"seen": int64(t.buckets) + (int64(length)+3)&^3, // values of a column, behind the short form
		"at":   p.addGlobal(int64(t.buckets)),           // where to read the short form
	}
	fill := &strings.Builder{}
	for _, c := range columns {
		wide := 0
		if c.wide {
			wide = 1
		}
		fmt.Fprintf(fill, " i32 %d  i32 %d  i32 %d  call column", c.kind, c.at, wide)
	}
	for _, f := range []struct {
		name, params, locals string
		result               []byte
		text                 string
	}{
		{"next", "", "value shift byte", []byte{typeI32}, nextText},
		{"difference", "", "value", []byte{typeI32}, differenceText},
		{"column", "kind field wide", "k record place last value known", nil, columnText},
		{"unfold", "", "k record place pcCount dataCount", nil, recordsText + fill.String() + bucketsText},
	} {
		params := make([]byte, len(strings.Fields(f.params)))
		for k := range params {
			params[k] = typeI32
		}
		n, err := p.addFunction(p.addType(params, f.result), assemble(f.params, f.locals, f.text, given))
		if err != nil {
			return 0, err
		}
		given[f.name] = n
	}
	return given["unfold"], nil
}

package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

var errTest = errors.New("row of a test")

// walked returns the fields of a message as text.
func walked(message []byte) (list []string, err error) {
	f := Walk(message)
	for f.Next() {
		if f.Varint {
			list = append(list, fmt.Sprintf("%d=%d", f.Number, f.Value))
		} else {
			list = append(list, fmt.Sprintf("%d=%x", f.Number, f.Bytes))
		}
	}
	return list, f.Err()
}

// byProtowire is walked by the library, for the two types that there are.
func byProtowire(b []byte) (list []string, err error) {
	for len(b) > 0 {
		number, typ, n := protowire.ConsumeTag(b)
		if n < 0 || number > protowire.MaxValidNumber {
			return list, ErrMalformed
		}
		b = b[n:]
		switch typ {
		case protowire.VarintType:
			var v uint64
			if v, n = protowire.ConsumeVarint(b); n >= 0 {
				list = append(list, fmt.Sprintf("%d=%d", number, v))
			}
		case protowire.BytesType:
			var v []byte
			if v, n = protowire.ConsumeBytes(b); n >= 0 {
				list = append(list, fmt.Sprintf("%d=%x", number, v))
			}
		default:
			n = -1
		}
		if n < 0 {
			return list, ErrMalformed
		}
		b = b[n:]
	}
	return list, nil
}

// Whatever the bytes are, the walk is that of the protobuf library.
func FuzzFieldsWalkAsTheLibraryDoes(f *testing.F) {
	message := AppendUint(nil, 1, 300)
	message = AppendBytes(message, 2, "text")
	message = AppendMessage(message, 3, "")
	message = AppendUint(message, 200, math.MaxUint64)
	f.Add(message)
	f.Add(message[:len(message)-1])
	f.Add([]byte{0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02}) // over 64 bits
	f.Add([]byte{0x00, 0x01})                                                       // field 0
	f.Add([]byte{0x09, 1, 2, 3, 4, 5, 6, 7, 8})                                     // fixed64
	f.Add([]byte{0x0a, 0x05, 'c', 'u', 't'})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, gotErr := walked(b)
		want, wantErr := byProtowire(b)
		if fmt.Sprint(got) != fmt.Sprint(want) || (gotErr == nil) != (wantErr == nil) {
			t.Errorf("walk of %x: %v, %v; the library: %v, %v", b, got, gotErr, want, wantErr)
		}
		if gotErr != nil && !errors.Is(gotErr, ErrMalformed) {
			t.Errorf("walk of %x: %v, which is not ErrMalformed", b, gotErr)
		}
	})
}

func TestAppendsAreWhatTheLibraryWrites(t *testing.T) {
	t.Parallel()
	for _, v := range []uint64{1, 127, 128, 1 << 35, math.MaxUint64} {
		for _, number := range []uint32{1, 15, 16, maxNumber} {
			got := AppendUint(nil, number, v)
			want := protowire.AppendVarint(protowire.AppendTag(nil, protowire.Number(number), protowire.VarintType), v)
			if !bytes.Equal(got, want) || SizeUint(number, v) != len(want) {
				t.Errorf("field %d of %d: %x of size %d, want %x", number, v, got, SizeUint(number, v), want)
			}
		}
	}
	got := AppendMessage(AppendBytes(nil, 2, []byte("text")), 300, "")
	want := protowire.AppendString(protowire.AppendTag(nil, 2, protowire.BytesType), "text")
	want = protowire.AppendBytes(protowire.AppendTag(want, 300, protowire.BytesType), nil)
	if !bytes.Equal(got, want) {
		t.Errorf("length-delimited fields: %x, want %x", got, want)
	}
	if b := AppendBool(AppendBytes(AppendUint(nil, 1, 0), 2, ""), 3, false); len(b) != 0 || SizeUint(1, 0) != 0 {
		t.Errorf("what is absent has the bytes %x", b)
	}
}

// Each wrong message is refused by the setter that meets it, and stays so.
func TestSettersRefuse(t *testing.T) {
	t.Parallel()
	var (
		number uint64
		text   []byte
		small  uint32
		count  int
		flag   bool
		signed int64
		name   string
	)
	set := func(f *Fields) {
		switch f.Number {
		case 1:
			f.SetUint64(&number)
		case 2:
			f.SetBytes(&text)
		case 3:
			f.SetUint32(&small)
		case 4:
			f.SetInt(&count)
		case 5:
			f.SetBool(&flag)
		case 6:
			f.SetInt64(&signed)
		case 7:
			f.SetString(&name)
		default:
			f.Unknown()
		}
	}
	walk := func(message []byte) error {
		f := Walk(message)
		for f.Next() {
			set(&f)
		}
		return f.Err()
	}
	good := AppendUint(AppendUint(nil, 6, math.MaxUint64), 5, 1)
	good = AppendBytes(AppendUint(AppendUint(good, 4, math.MaxInt32), 3, math.MaxUint32), 2, "text")
	good = AppendBytes(AppendUint(good, 1, 7), 7, "name")
	if err := walk(good); err != nil {
		t.Fatal(err)
	}
	if number != 7 || string(text) != "text" || small != math.MaxUint32 || count != math.MaxInt32 || !flag || signed != -1 || name != "name" {
		t.Errorf("set %d %q %d %d %v %d %q", number, text, small, count, flag, signed, name)
	}
	for why, message := range map[string][]byte{
		"field 1 is given twice":              AppendUint(AppendUint(nil, 1, 1), 1, 1),
		"field 2 is given twice":              AppendBytes(AppendBytes(nil, 2, "a"), 2, "b"),
		"field 1 has another type":            AppendBytes(nil, 1, "a"),
		"field 2 has another type":            AppendUint(nil, 2, 1),
		"field 3 is 4294967296, out of range": AppendUint(nil, 3, 1<<32),
		"field 4 is 2147483648, out of range": AppendUint(nil, 4, 1<<31),
		"field 5 has another type":            AppendBytes(nil, 5, "a"),
		"unknown field 8":                     AppendUint(AppendUint(nil, 8, 1), 1, 1),
		"unknown field 9":                     AppendUint(AppendUint(nil, 9, 1), 10, 1), // the first error
		"field 7 is cut off":                  {7<<3 | 2, 3, 'a', 'b'},
		"field 1 has wire type 5":             {1<<3 | 5, 0, 0, 0, 0},
	} {
		want := ErrMalformed.Error() + ": " + why
		if err := walk(message); err == nil || err.Error() != want || !errors.Is(err, ErrMalformed) {
			t.Errorf("walk of %x: %v, want %q", message, err, want)
		}
	}
}

func TestRowsAreReadToTheirEnd(t *testing.T) {
	t.Parallel()
	row := binary.BigEndian.AppendUint64([]byte{3}, 1<<40)
	row = AppendText(binary.AppendUvarint(row, 300), "text")
	row = append(row, "rest"...)
	read := func(row []byte) (text string, rest string, number uint64, err error) {
		r := ReadRow(row)
		r.Version(3)
		number = r.BE8() + r.Uvarint()
		text = string(r.Text())
		if !r.More() {
			r.Fail()
		}
		rest = string(r.Rest())
		return text, rest, number, r.Done(errTest, "entry")
	}
	text, rest, number, err := read(row)
	if text != "text" || rest != "rest" || number != 1<<40+300 || err != nil {
		t.Errorf("read %q, %q, %d, %v", text, rest, number, err)
	}
	for n := range len(row) - len("rest") + 1 { // a row without its rest is cut too
		if _, _, _, err := read(row[:n]); !errors.Is(err, errTest) {
			t.Errorf("the first %d bytes are read without an error", n)
		}
	}
	if _, _, _, err := read(append([]byte{4}, row[1:]...)); err == nil || err.Error() != "row of a test: entry" {
		t.Errorf("another version: %v", err)
	}
	long := ReadRow(row)
	long.Byte()
	if err := long.Done(errTest, "entry"); !errors.Is(err, errTest) {
		t.Errorf("a row that is longer than what is read of it: %v", err)
	}
}

func TestEachVarint(t *testing.T) {
	t.Parallel()
	packed := binary.AppendUvarint(binary.AppendUvarint(nil, 300), 1)
	var sum uint64
	add := func(v uint64) error { sum += v; return nil }
	if err := EachVarint(packed, add); err != nil || sum != 301 {
		t.Errorf("sum %d, %v", sum, err)
	}
	if err := EachVarint([]byte{0x80}, add); !errors.Is(err, ErrMalformed) {
		t.Errorf("a number that is cut off: %v", err)
	}
	if err := EachVarint(packed, func(uint64) error { return errTest }); !errors.Is(err, errTest) {
		t.Errorf("an error of the caller's: %v", err)
	}
}

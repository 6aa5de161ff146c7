package log

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/store"
)

func FuzzDecodeRecord(f *testing.F) {
	r := Record{Revision: 300, Stamp: -5, Stream: "orders/1", Event: []byte("event")}
	frame := appendRecord(nil, &r)
	f.Add(frame[1:])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRecord(b)
		if err != nil {
			return
		}
		again, err := decodeRecord(appendRecord(nil, &r)[uvarintSize(uint64(r.bodySize())):])
		if err != nil || !same(&again, &r) {
			t.Fatalf("got %+v, %v, want %+v", again, err, r)
		}
	})
}

func FuzzDecodeChunk(f *testing.F) {
	var rows [][]byte
	w := chunkWriter{put: func(_, value []byte) error { rows = append(rows, value); return nil }}
	n := newNode(0)
	for _, r := range n.records(3, spec{data: 20}) {
		if err := w.add(&r); err != nil {
			f.Fatal(err)
		}
	}
	if err := w.flush(); err != nil {
		f.Fatal(err)
	}
	f.Add(uint64(1), rows[0][hashBytes:])
	f.Fuzz(func(t *testing.T, first uint64, body []byte) {
		key, value := positionKey(event.Position(first)), append(make([]byte, hashBytes), body...)
		var c chunk
		if err := decodeChunk(&c, key, value); err == nil && chunkHash(event.Position(first), body) != 0 {
			t.Fatal("a wrong hash was accepted")
		}
		sealChunk(event.Position(first), value)
		if err := decodeChunk(&c, key, value); err != nil {
			return
		}
		var frames []byte
		for i := range c.ends {
			p := c.first + event.Position(i)
			frames = append(frames, c.frame(p)...)
			if r, err := c.record(p); err == nil && r.Position != p {
				t.Fatalf("got position %d, want %d", r.Position, p)
			}
		}
		if !bytes.Equal(frames, body) {
			t.Fatal("the records are not the row")
		}
	})
}

func FuzzDecodePostings(f *testing.F) {
	list := appendListKey(nil, []byte("name"), byStream|bySubject)
	_, err := putPostings(func(key, value []byte) error { f.Add(key, value[crcBytes:]); return nil }, nil,
		list, []event.Position{3, 4, 200, 70000})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, key, body []byte) {
		value := append(make([]byte, crcBytes), body...)
		sealRow(key, value)
		ps, err := decodePostings(nil, key, value)
		if err != nil {
			return
		}
		if !slices.IsSorted(ps) || len(slices.Compact(slices.Clone(ps))) != len(ps) {
			t.Fatalf("positions %v do not ascend", ps)
		}
		list, first, err := splitPostingKey(key)
		if err != nil || first != ps[0] {
			t.Fatalf("got first %d, %v, want %d", first, err, ps[0])
		}
		var again []event.Position
		_, err = putPostings(func(key, value []byte) (err error) {
			again, err = decodePostings(again, key, value)
			return err
		}, nil, list, ps)
		if err != nil || !slices.Equal(again, ps) {
			t.Fatalf("got %v, %v, want %v", again, err, ps)
		}
	})
}

func FuzzParseHeader(f *testing.F) {
	h := header{first: 5, last: 9, indexed: 9, firstStamp: 1, lastStamp: 2, bytes: 100, indexedBytes: 100, sealed: true}
	f.Add(h.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHeader(b)
		if err != nil {
			// Behind the checksum, too, nothing may go wrong.
			if len(b) != headerBytes {
				return
			}
			b = bytes.Clone(b)
			binary.LittleEndian.PutUint32(b[headerChecksum:], checksum(b[:headerChecksum]))
			if h, err = parseHeader(b); err != nil {
				return
			}
		}
		if !bytes.Equal(h.append(nil), b) {
			t.Fatalf("%+v is not %x", h, b)
		}
	})
}

func FuzzParseMark(f *testing.F) {
	n := newNode(100)
	n.records(5, spec{})
	f.Add(n.mark.AppendTo(nil))
	f.Add(Mark{}.AppendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseMark(b)
		if err != nil {
			return
		}
		if !bytes.Equal(m.AppendTo(nil), b) {
			t.Fatalf("%+v is not %x", m, b)
		}
	})
}

func FuzzParseCursor(f *testing.F) {
	epoch := event.Epoch{7}
	f.Add(EncodeCursor(Cursor{Epoch: epoch, Position: 9, Reverse: true}))
	f.Add("")
	f.Add("not a cursor")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCursor(s, epoch)
		if err != nil {
			if code := event.CodeOf(err); code != event.CodeInvalid && code != event.CodeEpochChanged {
				t.Fatalf("got %v", err)
			}
			return
		}
		if got := EncodeCursor(c); got != s {
			t.Fatalf("%+v is %s, not %s", c, got, s)
		}
	})
}

func TestACursorIsGoodForItsEpochFilterAndDirectionOnly(t *testing.T) {
	t.Parallel()
	epoch := event.Epoch{1}
	q := Query{Stream: "a", To: 100}
	c := Cursor{Epoch: epoch, Position: 7, Filter: q.Hash()}
	if _, err := ParseCursor(EncodeCursor(c), event.Epoch{2}); event.CodeOf(err) != event.CodeEpochChanged {
		t.Errorf("another epoch: got %v", err)
	}
	if got, err := c.Resume(q); err != nil || got.From != 8 || got.To != 100 {
		t.Errorf("resume: got %+v, %v", got, err)
	}
	for _, other := range []Query{{Stream: "b"}, {Subject: "a"}, {Stream: "a", Reverse: true}} {
		if _, err := c.Resume(other); event.CodeOf(err) != event.CodeInvalid {
			t.Errorf("resume of %+v: got %v, want invalid", other, err)
		}
	}
	back := Cursor{Epoch: epoch, Position: 1, Reverse: true, Filter: Query{}.Hash()}
	if got, err := back.Resume(Query{Reverse: true}); err != nil || got.From <= got.To {
		t.Errorf("resume before the first: got %+v, %v, want nothing left", got, err)
	}
}

func TestASegmentOfANewerVersionIsRefused(t *testing.T) {
	t.Parallel()
	h := header{first: 1}
	b := h.append(nil)
	binary.LittleEndian.PutUint32(b, formatVersion+1)
	if _, err := parseHeader(b[:8]); !errors.Is(err, store.ErrFormat) {
		t.Errorf("got %v, want ErrFormat", err)
	}
}

func TestMarkDecidesSegmentsByBytes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Int64Range(1, 2000).Draw(t, "limit")
		var m Mark
		bytes, stamp := int64(0), int64(math.MinInt64)
		for p := range rapid.IntRange(1, 30).Draw(t, "count") {
			r := Record{
				Position: event.Position(p + 1), Revision: 1, Stream: "s",
				Stamp: rapid.Int64Range(0, 5).Draw(t, "stamp"),
				Event: make([]byte, rapid.IntRange(0, 900).Draw(t, "size")),
			}
			size := int64(len(appendRecord(nil, &r)))
			roll := p == 0 || bytes+size > limit
			if got := m.Add(&r, limit); got != roll || r.Roll != roll {
				t.Fatalf("record %d: got roll %t, want %t", r.Position, got, roll)
			}
			if bytes += size; roll {
				bytes = size
			}
			if r.Stamp < stamp || m.Stamp != r.Stamp {
				t.Fatalf("stamp went from %d to %d, the mark's is %d", stamp, r.Stamp, m.Stamp)
			}
			stamp = r.Stamp
			if m.SegmentBytes != bytes || m.Last != r.Position || m.First != 1 {
				t.Fatalf("got %+v, want %d bytes to %d", m, bytes, r.Position)
			}
			if again, err := ParseMark(m.AppendTo(nil)); err != nil || again != m {
				t.Fatalf("parse mark: got %+v, %v, want %+v", again, err, m)
			}
		}
	})
}

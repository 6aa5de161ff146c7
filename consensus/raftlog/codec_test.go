package raftlog

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func TestRecordRoundTrip(t *testing.T) {
	t.Parallel()
	for _, l := range []*raft.Log{
		{},
		{Index: 1, Term: 1, Type: raft.LogNoop},
		{Index: 1 << 62, Term: 7, Type: raft.LogConfiguration, Data: []byte{1}, AppendedAt: time.Unix(0, 1)},
		{Index: 2, Data: make([]byte, 70_000), Extensions: []byte("abc"), AppendedAt: time.Unix(1e9, 5)},
		entry(9, 1000),
	} {
		b := appendRecord([]byte("before"), l, 0)[len("before"):]
		if want := recordSize(len(l.Data), len(l.Extensions)); len(b) != want || len(b)%8 != 0 {
			t.Fatalf("got %d bytes, want %d", len(b), want)
		}
		var got raft.Log
		if err := decodeRecord(b, &got); err != nil {
			t.Fatal(err)
		}
		if !equalEntries(&got, l) {
			t.Fatalf("got %+v, want %+v", got, l)
		}
	}
}

func TestEveryFlippedBitOfARecordIsNoticed(t *testing.T) {
	t.Parallel()
	for _, l := range []*raft.Log{entry(3, 0), entry(6, 200), {Index: 5}} {
		b := appendRecord(nil, l, 0)
		for bit := range len(b) * 8 {
			b[bit/8] ^= 1 << (bit % 8)
			if err := decodeRecord(b, new(raft.Log)); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("bit %d: got %v, want ErrCorrupt", bit, err)
			}
			b[bit/8] ^= 1 << (bit % 8)
		}
		for n := range b {
			if err := decodeRecord(b[:n], new(raft.Log)); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("cut to %d bytes: got %v, want ErrCorrupt", n, err)
			}
		}
	}
}

func TestEncodingIntoABufferOrAWriterIsTheSame(t *testing.T) {
	t.Parallel()
	l := entry(3, 500)
	var direct, copied bytes.Buffer
	if err := (&codec{arena: &arena{}, first: l.Index}).Encode(l, &direct); err != nil {
		t.Fatal(err)
	}
	copied.WriteString("x")
	if err := (&codec{first: l.Index}).Encode(l, &copied); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(direct.Bytes(), copied.Bytes()[1:]) || !bytes.Equal(direct.Bytes(), appendRecord(nil, l, 0)) {
		t.Fatal("encodings differ")
	}
}

func TestArenaGivesEachRecordItsOwnBytes(t *testing.T) {
	t.Parallel()
	var a arena
	for range 3 {
		a.reset(30)
		var got [][]byte
		for i := range 4 { // one more than there is room for
			b := a.take(10)
			for range 10 {
				b = append(b, byte(i))
			}
			got = append(got, b)
		}
		for i, b := range got {
			if !bytes.Equal(b, bytes.Repeat([]byte{byte(i)}, 10)) {
				t.Fatalf("record %d is %v", i, b)
			}
		}
	}
}

func FuzzDecodeRecord(f *testing.F) {
	for _, l := range []*raft.Log{entry(3, 0), entry(15, 100), {}} {
		f.Add(appendRecord(nil, l, 0))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var l raft.Log
		if err := decodeRecord(b, &l); err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("got %v, want ErrCorrupt", err)
			}
			return
		}
		if again := appendRecord(nil, &l, uint32(l.Index-recordBatch(b))); !bytes.Equal(again, b) && l.AppendedAt.UnixNano() != 0 {
			t.Fatalf("decodes to what encodes differently:\n%x\n%x", b, again)
		}
	})
}

func FuzzDecodeStable(f *testing.F) {
	f.Add(encodeStable(3, nil))
	f.Add(encodeStable(9, map[string][]byte{"CurrentTerm": {0, 0, 0, 0, 0, 0, 0, 1}, "LastVoteCand": []byte("n1")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		values, tx, err := decodeStable(b)
		if err != nil {
			return
		}
		again, tx2, err := decodeStable(encodeStable(tx, values))
		if err != nil || tx2 != tx || len(again) != len(values) {
			t.Fatalf("got %v %d %v again, want %v %d", again, tx2, err, values, tx)
		}
	})
}

func FuzzParseMeta(f *testing.F) {
	f.Add([]byte(`{"version":1}` + metaTrailer([]byte(`{"version":1}`))))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s metaState
		_ = parseMeta("meta", b, &s)
		_ = parseMeta("meta", append(b, metaTrailer(b)...), &s)
	})
}

func BenchmarkEncode(b *testing.B) {
	l := entry(3, 1<<20)
	c := &codec{arena: &arena{}}
	var buf bytes.Buffer
	b.SetBytes(int64(len(l.Data)))
	b.ReportAllocs()
	for b.Loop() {
		c.arena.reset(recordSize(len(l.Data), len(l.Extensions)))
		buf.Reset()
		if err := c.Encode(l, &buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	l := entry(3, 1<<20)
	r := appendRecord(nil, l, 0)
	b.SetBytes(int64(len(l.Data)))
	b.ReportAllocs()
	for b.Loop() {
		if err := decodeRecord(r, l); err != nil {
			b.Fatal(err)
		}
	}
}

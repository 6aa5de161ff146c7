package log

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/edri-io/edri/event"
)

// What the builder used for one run does not show in the next.
func TestARunHoldsEachListOnceInOrder(t *testing.T) {
	t.Parallel()
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "run"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var b runBuilder
	for _, first := range []event.Position{1, 5001} {
		b.begin(first)
		want := make(map[string][]event.Position)
		for p := first; p < first+5000; p++ {
			s := spec{subject: fmt.Sprint("s", p*p%1500), correlation: fmt.Sprint("c", p), typ: fmt.Sprint("t", p%3)}
			r := Record{Position: p, Stream: fmt.Sprint("s", p%1500), Event: s.event("id")}
			b.add(&r)
			n := namesOf(&r)
			n.each(func(name []byte, set attribute) {
				key := string(appendListKey(nil, name, set))
				want[key] = append(want[key], p)
			})
		}
		requireRun(t, db, &b, run{first, first + 4999}, want)
	}
}

func TestListsOfEqualHashesStayApart(t *testing.T) {
	t.Parallel()
	var b runBuilder
	b.begin(1)
	for range 2 {
		for i := range 2000 {
			if got := b.list(7, fmt.Append(nil, "n", i/2), byStream+attribute(i%2)); got != uint32(i) {
				t.Fatalf("got list %d, want %d", got, i)
			}
		}
	}
}

func requireRun(t *testing.T, db *bbolt.DB, b *runBuilder, of run, want map[string][]event.Position) {
	t.Helper()
	err := db.Update(func(tx *bbolt.Tx) error {
		r, err := b.write(tx, nil)
		if err != nil || r != of {
			t.Errorf("wrote %v, %v, want %v", r, err, of)
			return err
		}
		cursor := tx.Bucket(r.name(kindRun)).Cursor()
		for key, value := cursor.First(); key != nil; key, value = cursor.Next() {
			list, _, err := splitPostingKey(key)
			if err != nil {
				return err
			}
			got, err := decodePostings(nil, key, value)
			if err != nil {
				return err
			}
			n := min(len(got), len(want[string(list)]))
			if n == 0 || !slices.Equal(got, want[string(list)][:n]) {
				t.Errorf("list %q: got %v, want %v", list, got, want[string(list)])
			}
			want[string(list)] = want[string(list)][n:]
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for list, rest := range want {
		if len(rest) > 0 {
			t.Errorf("list %q lacks %v", list, rest)
		}
	}
}

// Rows of one transaction never share bytes, and a buffer gives up what it does
// not need any more.
func TestABufferHandsOutEveryByteOnce(t *testing.T) {
	t.Parallel()
	var b buffer
	for round := range 3 {
		taken := make([][]byte, 0, 2000)
		for i := range 2000 {
			s := b.take(1 + i*7%9000)
			if len(s) != 0 || cap(s) != 1+i*7%9000 {
				t.Fatalf("got length %d and capacity %d", len(s), cap(s))
			}
			s = s[:cap(s)]
			for k := range s {
				s[k] = byte(i)
			}
			taken = append(taken, s)
		}
		for i, s := range taken {
			for _, c := range s {
				if c != byte(i) {
					t.Fatalf("round %d: slice %d was handed out again", round, i)
				}
			}
		}
		b.reset()
		if len(b.blocks) > maxBlocks {
			t.Errorf("%d blocks are kept", len(b.blocks))
		}
	}
	for range maxBlocks {
		b.take(1)
		b.reset()
	}
	if len(b.blocks) > 1 {
		t.Errorf("%d blocks are kept for one byte", len(b.blocks))
	}
	if large := b.take(1 << 20); cap(large) != 1<<20 || len(b.blocks) > 1 {
		t.Errorf("a large row came out of the blocks")
	}
}

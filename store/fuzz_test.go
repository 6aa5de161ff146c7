package store

import (
	"bytes"
	"context"
	"hash/fnv"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"
)

func copyTo(db *DB, path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := db.Copy(f); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

// FuzzOpenRow: a row opens as it was sealed, and no other way.
func FuzzOpenRow(f *testing.F) {
	f.Add("alpha", []byte("key"), []byte("value"), uint(3), byte(1))
	f.Add("a", []byte("k"), []byte{}, uint(0), byte(0x80))
	f.Fuzz(func(t *testing.T, table string, key, value []byte, at uint, mask byte) {
		seed := tableSeed(table)
		raw := sealRow(seed, key, bytes.Clone(value))
		got, ok := openRow(seed, key, raw)
		if !ok || got == nil || !bytes.Equal(got, value) {
			t.Fatalf("got %q, %t; want %q", got, ok, value)
		}
		if len(value) > 0 { // a byte moved from value to key
			if _, ok := openRow(seed, append(bytes.Clone(key), value[0]), raw[1:]); ok {
				t.Error("opened with the border between key and value moved")
			}
		}
		if mask == 0 {
			return
		}
		raw[at%uint(len(raw))] ^= mask
		if _, ok := openRow(seed, key, raw); ok {
			t.Error("opened although a byte was changed")
		}
	})
}

// FuzzOpenAnyRow: what no one sealed does not panic.
func FuzzOpenAnyRow(f *testing.F) {
	f.Add([]byte("key"), []byte("raw"))
	f.Fuzz(func(t *testing.T, key, raw []byte) {
		if v, ok := openRow(1, key, raw); ok && len(v) != len(raw)-crcSize {
			t.Errorf("got %d bytes of %d", len(v), len(raw))
		}
	})
}

// FuzzCheckBolt: whatever the pages hold, the check ends, without a panic; and
// a file that it accepts is one that bbolt reads and finds in order.
func FuzzCheckBolt(f *testing.F) {
	for _, noFreelistSync := range []bool{false, true} {
		options := &bbolt.Options{PageSize: minPageSize, NoFreelistSync: noFreelistSync}
		path := filepath.Join(f.TempDir(), "db")
		err := CreateBolt(nil, path, func(tx *bbolt.Tx) error {
			for _, name := range []string{"a", "inline"} {
				b, err := tx.CreateBucket([]byte(name))
				if err != nil {
					return err
				}
				for i := byte(0); i < 40; i++ {
					if err := b.Put([]byte{'k', i}, bytes.Repeat([]byte{i}, 60)); err != nil {
						return err
					}
					if name == "inline" {
						break
					}
				}
			}
			return tx.Bucket([]byte("a")).Put([]byte("big"), make([]byte, 2000))
		}, options)
		if err != nil {
			f.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		err = withBoltFile(path, func(p *boltFile) error {
			b = b[:int64(p.meta.highWater)*p.pageSize]
			return nil
		})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 || len(b) < 2*minPageSize {
			return
		}
		b = bytes.Clone(b)
		for i := range 2 { // or nearly every input would end at the meta pages' checksums
			meta := b[i*minPageSize:]
			native.PutUint32(meta[24:], minPageSize)
			sum := fnv.New64a()
			_, _ = sum.Write(meta[16:72])
			native.PutUint64(meta[72:], sum.Sum64())
		}
		pages, err := newBoltFile(bytes.NewReader(b), "fuzz", int64(len(b)))
		if err != nil {
			return
		}
		rows := 0
		skeleton := pages.walk(context.Background(), pages.meta.freelist == noFreelist, nil)
		err = pages.walk(context.Background(), true, func(string, []byte, []byte) error { rows++; return nil })
		if err != nil {
			return
		}
		if skeleton != nil {
			t.Errorf("skeleton refused, all of it accepted: %v", skeleton)
		}
		readWithBbolt(t, b, rows)
	})
}

// readWithBbolt fails unless bbolt finds the file in order and as many rows.
func readWithBbolt(t *testing.T, b []byte, rows int) {
	path := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := OpenBolt(nil, path, nil)
	if err != nil {
		t.Fatalf("accepted, but open: %v", err)
	}
	defer func() { _ = db.Close() }()
	_ = db.View(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			t.Errorf("accepted, but bbolt says: %v", err)
		}
		return tx.ForEach(func(_ []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(_, _ []byte) error { rows--; return nil })
		})
	})
	if rows != 0 {
		t.Errorf("bbolt read %d rows less than the check", rows)
	}
}

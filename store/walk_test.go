package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"
)

// fillRandom makes a bbolt file through many commits that put and delete rows
// of all sizes, so that it has branches, overflow, free pages and inline
// buckets. It returns the rows that are in it.
func fillRandom(t *testing.T, path string, options *bbolt.Options, seed uint64) map[string]string {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 0))
	rows := make(map[string]string)
	names := []string{"big", "small", "empty"}
	err := CreateBolt(nil, path, func(tx *bbolt.Tx) error {
		for _, n := range names {
			if _, err := tx.CreateBucket([]byte(n)); err != nil {
				return err
			}
		}
		return tx.Bucket([]byte("small")).Put([]byte("k"), []byte("v"))
	}, options)
	if err != nil {
		t.Fatal(err)
	}
	rows["small/k"] = "v"
	db, err := OpenBolt(nil, path, options)
	if err != nil {
		t.Fatal(err)
	}
	for range 30 {
		err := db.Update(func(tx *bbolt.Tx) error {
			b := tx.Bucket([]byte("big"))
			for range 100 {
				key := binary.BigEndian.AppendUint32(nil, uint32(rnd.IntN(2000)))
				if rnd.IntN(3) == 0 {
					delete(rows, "big/"+string(key))
					if err := b.Delete(key); err != nil {
						return err
					}
					continue
				}
				size := rnd.IntN(200)
				if rnd.IntN(20) == 0 {
					size = rnd.IntN(20000)
				}
				value := make([]byte, size)
				for i := range value {
					value[i] = byte(rnd.Uint32())
				}
				rows["big/"+string(key)] = string(value)
				if err := b.Put(key, value); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestCheckBoltAcceptsWhatBboltWrites(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		for _, noFreelistSync := range []bool{false, true} {
			t.Run(fmt.Sprintf("seed %d, no freelist %t", seed, noFreelistSync), func(t *testing.T) {
				t.Parallel()
				path := filepath.Join(t.TempDir(), "db")
				want := fillRandom(t, path, &bbolt.Options{NoFreelistSync: noFreelistSync}, seed)
				if err := CheckBolt(path); err != nil {
					t.Fatalf("skeleton: %v", err)
				}
				got := make(map[string]string)
				err := CheckBoltRows(context.Background(), path, func(b string, k, v []byte) error {
					got[b+"/"+string(k)] = string(v)
					return nil
				})
				if err != nil {
					t.Fatalf("rows: %v", err)
				}
				if len(got) != len(want) {
					t.Errorf("got %d rows, want %d", len(got), len(want))
				}
				for k, v := range want {
					if got[k] != v {
						t.Errorf("row %q: got %d bytes, want %d", k, len(got[k]), len(v))
					}
				}
			})
		}
	}
}

package kv

import (
	"bytes"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// Entry is a key as it is or was.
type Entry struct {
	Key         string
	Value       []byte
	ContentType string
	Revision    event.Position
	// Created is the revision with which it came to be.
	Created event.Position
	// Stamp is when it was committed, Expires when it expires, 0 for never, in
	// nanoseconds since 1970.
	Stamp   int64
	Expires int64
	Kind    Kind
}

// Bucket is a bucket as it is.
type Bucket struct {
	Name   string
	ID     uint64
	Config Config
	// Keys counts its keys, ValueBytes the bytes of their values.
	Keys       uint64
	ValueBytes uint64
}

// maxPageBytes ends a list of entries: with the value with which it is reached.
const maxPageBytes = 1 << 20

// newEntry copies what it is given, which aliases rows.
func newEntry(key []byte, e *entry, values bool) Entry {
	out := Entry{
		Key: string(key), ContentType: string(e.contentType),
		Revision: e.revision, Created: e.created, Stamp: e.stamp, Kind: e.kind,
	}
	if e.kind == KindPut {
		out.Expires = e.due
	}
	if values {
		out.Value = bytes.Clone(e.value)
	}
	return out
}

// Get returns a key as it is, or not_found.
func Get(v *consensus.View, bucket, key string) (Entry, error) {
	c, id, err := contentOf(v, bucket)
	if err != nil {
		return Entry{}, err
	}
	e, ok, err := current(v, id, key)
	if err != nil {
		return Entry{}, err
	}
	if !ok {
		return Entry{}, noKey(string(c.name), key)
	}
	return newEntry([]byte(key), &e, true), nil
}

// GetAt returns a key as it was when position was the last: not_found where it was not
// there, compacted where the kept history does not reach back so far.
func GetAt(v *consensus.View, bucket, key string, position event.Position) (Entry, error) {
	c, id, err := contentOf(v, bucket)
	if err != nil {
		return Entry{}, err
	}
	is, there, err := current(v, id, key)
	if err != nil {
		return Entry{}, err
	}
	if there && is.revision <= position {
		return newEntry([]byte(key), &is, true), nil
	}
	it := v.Scan(machineName, historyKey(id, key, 0), historyKey(id, key, position+1), true)
	defer it.Close()
	if it.Next() {
		was, err := parseEntry(it.Value())
		if err != nil {
			return Entry{}, err
		}
		if was.kind != KindPut {
			return Entry{}, noKey(bucket, key)
		}
		return newEntry([]byte(key), &was, true), nil
	}
	if err := it.Err(); err != nil {
		return Entry{}, fmt.Errorf("read history: %w", err)
	}
	first, err := knownFrom(v, id, key, &c)
	if err != nil {
		return Entry{}, err
	}
	if position < first {
		e := event.Errorf(event.CodeCompacted, "key %q of bucket %q at position %d: its history is kept from %d on", key, bucket, position, first)
		e.First = first
		return Entry{}, e
	}
	return Entry{}, noKey(bucket, key)
}

// knownFrom returns from which position on it is known what a key was.
func knownFrom(v *consensus.View, id uint64, key string, c *content) (event.Position, error) {
	list, _, cut, err := history(v, id, key, 0, 1, false)
	if err != nil || !cut || len(list) == 0 {
		return c.floor, err
	}
	return max(c.floor, list[0].Revision), nil
}

// List returns up to limit keys that begin with prefix and come after the key after, in
// the order of their bytes, and whether there are more.
func List(v *consensus.View, bucket, prefix, after string, limit int, values bool) (list []Entry, more bool, err error) {
	_, id, err := contentOf(v, bucket)
	if err != nil {
		return nil, false, err
	}
	lo := entryKey(id, prefix)
	if after != "" && after >= prefix {
		lo = append(entryKey(id, after), 0)
	}
	it := v.Scan(machineName, lo, idEnd(kindKey, id), false)
	defer it.Close()
	size := 0
	for it.Next() {
		key := it.Key()[9:]
		if !bytes.HasPrefix(key, []byte(prefix)) {
			break
		}
		if len(list) >= limit || size >= maxPageBytes {
			return list, true, nil
		}
		e, err := parseEntry(it.Value())
		if err != nil {
			return nil, false, err
		}
		list = append(list, newEntry(key, &e, values))
		size += len(key)
		if values {
			size += len(e.value)
		}
	}
	if err := it.Err(); err != nil {
		return nil, false, fmt.Errorf("list keys: %w", err)
	}
	return list, false, nil
}

// History returns up to limit of the entries that are kept of a key, with revisions
// after the one given, oldest first; whether there are more; and whether there were some
// before all that is kept.
func History(v *consensus.View, bucket, key string, after event.Position, limit int) (list []Entry, more, cut bool, err error) {
	_, id, err := contentOf(v, bucket)
	if err != nil {
		return nil, false, false, err
	}
	return history(v, id, key, after, limit, true)
}

func history(v *consensus.View, id uint64, key string, after event.Position, limit int, values bool) (list []Entry, more, cut bool, err error) {
	is, there, err := current(v, id, key)
	if err != nil {
		return nil, false, false, err
	}
	if cut = is.cut; !there {
		if cut, err = tombstoneCut(v, id, key); err != nil {
			return nil, false, false, err
		}
	}
	it := v.Scan(machineName, historyKey(id, key, after+1), historyEnd(id, key), false)
	defer it.Close()
	size := 0
	for it.Next() {
		if len(list) >= limit || size >= maxPageBytes {
			return list, true, cut, nil
		}
		e, err := parseEntry(it.Value())
		if err != nil {
			return nil, false, false, err
		}
		list = append(list, newEntry([]byte(key), &e, values))
		size += len(e.value)
	}
	if err := it.Err(); err != nil {
		return nil, false, false, fmt.Errorf("read history: %w", err)
	}
	if there && is.revision > after {
		if len(list) >= limit || size >= maxPageBytes {
			return list, true, cut, nil
		}
		list = append(list, newEntry([]byte(key), &is, values))
	}
	return list, false, cut, nil
}

// tombstoneCut reports whether the history of a key that is not there was cut.
func tombstoneCut(v *consensus.View, id uint64, key string) (bool, error) {
	it := v.Scan(machineName, historyKey(id, key, 0), historyEnd(id, key), true)
	defer it.Close()
	if !it.Next() {
		return false, it.Err()
	}
	e, err := parseEntry(it.Value())
	return e.cut, err
}

// BucketOf returns the bucket of a name, or not_found.
func BucketOf(v *consensus.View, name string) (Bucket, error) {
	row, err := v.Get(machineName, bucketKey(name))
	if err != nil {
		return Bucket{}, err
	}
	if row == nil {
		return Bucket{}, noBucket(name)
	}
	return readBucket(v, name, row)
}

// Buckets yields the buckets whose names begin with prefix and come after the name after,
// in the order of their bytes. The sequence ends with an error.
func Buckets(v *consensus.View, prefix, after string) iter.Seq2[Bucket, error] {
	lo := bucketKey(prefix)
	if after != "" && after >= prefix {
		lo = append(bucketKey(after), 0)
	}
	return func(yield func(Bucket, error) bool) {
		it := v.Scan(machineName, lo, []byte{kindBucket + 1}, false)
		defer it.Close()
		for it.Next() {
			name := string(it.Key()[1:])
			if !strings.HasPrefix(name, prefix) {
				break
			}
			b, err := readBucket(v, name, it.Value())
			if !yield(b, err) || err != nil {
				return
			}
		}
		if err := it.Err(); err != nil {
			yield(Bucket{}, err)
		}
	}
}

func readBucket(v *consensus.View, name string, row []byte) (Bucket, error) {
	b, err := parseBucket(row)
	if err != nil {
		return Bucket{}, err
	}
	out := Bucket{Name: name, ID: b.id}
	if out.Config, err = appliedConfig(b.config); err != nil {
		return Bucket{}, err
	}
	row, err = v.Get(machineName, idKey(kindContent, b.id))
	if err != nil {
		return Bucket{}, err
	}
	c, err := parseContent(row)
	out.Keys, out.ValueBytes = c.keys, c.bytes
	return out, err
}

// contentOf finds what is in a bucket. The default one need not be there: it is empty,
// as are the rows under id 0.
func contentOf(v *consensus.View, name string) (c content, id uint64, err error) {
	row, err := v.Get(machineName, bucketKey(name))
	if err != nil {
		return c, 0, err
	}
	if row == nil && name == DefaultBucket {
		return content{name: []byte(name)}, 0, nil
	}
	if row == nil {
		return c, 0, noBucket(name)
	}
	b, err := parseBucket(row)
	if err != nil {
		return c, 0, err
	}
	if row, err = v.Get(machineName, idKey(kindContent, b.id)); err != nil {
		return c, 0, err
	}
	c, err = parseContent(row)
	return c, b.id, err
}

func current(v *consensus.View, id uint64, key string) (entry, bool, error) {
	row, err := v.Get(machineName, entryKey(id, key))
	if row == nil || err != nil {
		return entry{}, false, err
	}
	e, err := parseEntry(row)
	return e, err == nil, err
}

func noKey[S, T ~string | ~[]byte](bucket S, key T) *event.Error {
	return event.Errorf(event.CodeNotFound, "key %q of bucket %q does not exist", string(key), string(bucket))
}

// expiresAt is the time of an expiry in an event.
func expiresAt(v event.Value) int64 {
	t, ok := v.AsTime()
	if !ok || t.Before(time.Unix(0, 0)) {
		return 0
	}
	return t.UnixNano()
}

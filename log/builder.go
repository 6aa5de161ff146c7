package log

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/edri-io/edri/event"
)

// runBuilder collects the posting lists of the records that no run covers yet, as
// they are flushed. It is made of few large slices, which the next run uses again:
// 8 bytes for each name of a record, and its bytes and about 30 more for each list.
type runBuilder struct {
	first event.Position // of the records
	next  event.Position // the one after the last
	refs  []listRef      // in the order of positions
	lists []postingList
	keys  []byte   // of all lists, one after the other
	table []uint32 // hash table of lists: index + 1, 0: free; a power of two

	order   []uint32         // scratch: lists in the order of their keys
	scratch []event.Position // scratch: positions by list
}

// listRef says that a list holds a position.
type listRef struct {
	list   uint32
	offset uint32 // from runBuilder.first
}

type postingList struct {
	hash  uint32
	count uint32
	start int // of its key in keys; it ends where the next begins
}

// begin throws all away; the next record is that at first.
func (b *runBuilder) begin(first event.Position) {
	b.first, b.next = first, first
	b.refs, b.lists, b.keys = b.refs[:0], b.lists[:0], b.keys[:0]
	clear(b.table)
}

// add adds the next record.
func (b *runBuilder) add(r *Record) {
	if r.Position != b.next {
		panic(fmt.Sprintf("log: record %d added to a run where %d should be", r.Position, b.next))
	}
	b.next++
	n := namesOf(r)
	n.each(func(name []byte, set attribute) {
		i := b.list(uint32(maphash.Bytes(hashSeed, name))^uint32(set)<<24, name, set)
		b.lists[i].count++
		b.refs = append(b.refs, listRef{i, uint32(r.Position - b.first)})
	})
}

// list returns the index of a list, which it makes if there is none yet. Names of
// one hash have lists of their own.
func (b *runBuilder) list(hash uint32, name []byte, set attribute) uint32 {
	if 2*len(b.lists) >= len(b.table) {
		b.rehash()
	}
	mask := uint32(len(b.table) - 1)
	for at := hash & mask; ; at = (at + 1) & mask {
		i := b.table[at]
		if i == 0 {
			b.table[at] = uint32(len(b.lists)) + 1
			b.lists = append(b.lists, postingList{hash: hash, start: len(b.keys)})
			b.keys = appendListKey(b.keys, name, set)
			return uint32(len(b.lists)) - 1
		}
		if b.lists[i-1].hash == hash && isListKey(b.key(i-1), name, set) {
			return i - 1
		}
	}
}

func (b *runBuilder) rehash() {
	b.table = make([]uint32, max(1024, 2*len(b.table)))
	mask := uint32(len(b.table) - 1)
	for i := range b.lists {
		at := b.lists[i].hash & mask
		for b.table[at] != 0 {
			at = (at + 1) & mask
		}
		b.table[at] = uint32(i) + 1
	}
}

func (b *runBuilder) key(i uint32) []byte {
	end := len(b.keys)
	if int(i)+1 < len(b.lists) {
		end = b.lists[i+1].start
	}
	return b.keys[b.lists[i].start:end:end]
}

// write makes the bucket of a run of all that was added.
func (b *runBuilder) write(tx *bbolt.Tx, buf *buffer) (run, error) {
	r := run{b.first, b.next - 1}
	bucket, err := tx.CreateBucket(r.name(kindRun))
	if err != nil {
		return r, fmt.Errorf("create run %d-%d: %w", r.lo, r.hi, err)
	}
	bucket.FillPercent = 1 // rows come in order
	positions := b.sort()
	for _, i := range b.order {
		n := b.lists[i].count
		if _, err := putPostings(bucket.Put, buf, b.key(i), positions[:n]); err != nil {
			return r, fmt.Errorf("write run %d-%d: %w", r.lo, r.hi, err)
		}
		positions = positions[n:]
	}
	return r, nil
}

// sort puts the lists into the order of their keys and returns the positions of
// all of them, list by list.
func (b *runBuilder) sort() []event.Position {
	b.order = b.order[:0]
	for i := range b.lists {
		b.order = append(b.order, uint32(i))
	}
	slices.SortFunc(b.order, func(x, y uint32) int { return bytes.Compare(b.key(x), b.key(y)) })
	at, total := make([]uint32, len(b.lists)), uint32(0) // where the next position of each list goes
	for _, i := range b.order {
		at[i] = total
		total += b.lists[i].count
	}
	b.scratch = slices.Grow(b.scratch[:0], int(total))[:total]
	for _, ref := range b.refs {
		b.scratch[at[ref.list]] = b.first + event.Position(ref.offset)
		at[ref.list]++
	}
	return b.scratch
}

package log

import (
	"hash/maphash"

	"github.com/edri-io/edri/event"
)

// tally sums up pairs of a posting list and a position, in whatever order they come.
// That of a segment's lists is that of its records, or one of them does not say what
// the other does: a row of a list that is gone as a whole has no checksum to be
// found by.
type tally struct {
	pairs, sum uint64

	key       []byte           // scratch
	positions []event.Position // scratch
}

func (t *tally) add(list []byte, p event.Position) {
	// Sums alone would let two positions change places between two lists.
	h := maphash.Bytes(hashSeed, list) + uint64(p)*0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	t.pairs++
	t.sum += h ^ h>>31
}

// addRecord adds the lists that a record belongs into.
func (t *tally) addRecord(r *Record) {
	n := namesOf(r)
	n.each(func(name []byte, set attribute) {
		t.key = appendListKey(t.key[:0], name, set)
		t.add(t.key, r.Position)
	})
}

// addRow adds what a row of a list holds.
func (t *tally) addRow(key, value []byte) (err error) {
	if t.positions, err = decodePostings(t.positions[:0], key, value); err != nil {
		return err
	}
	list, _, _ := splitPostingKey(key) // decodePostings has read it
	for _, p := range t.positions {
		t.add(list, p)
	}
	return nil
}

func (t *tally) equal(o *tally) bool { return t.pairs == o.pairs && t.sum == o.sum }

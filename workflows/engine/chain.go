package engine

import "encoding/binary"

// A chain is a run with those that go on in its place, by a continuation or a reset while
// it ran. All have its number as first. Who knows a chain by that (Ender) finds the last of
// it by a row, since the runs between may be forgotten: the first too.

// extendChain makes a run the last of the chain that it is in.
func (w *work) extendChain(r *run) {
	w.tx.Put(numberKey(kindChain, r.first), binary.BigEndian.AppendUint64(nil, r.number))
}

// endChain is called when the last run of a chain has ended.
func (w *work) endChain(r *run) {
	if r.first != r.number {
		w.tx.Delete(numberKey(kindChain, r.first))
	}
	w.ended = append(w.ended, r.first)
}

// chain returns the last run of a chain, nil if it is not known.
func (w *work) chain(first uint64) (*run, error) {
	last, err := w.numberOf(numberKey(kindChain, first))
	if err != nil {
		return nil, err
	}
	if last == 0 {
		last = first
	}
	r, err := w.run(last)
	// Versions that wrote no such row may have gone on from there.
	for err == nil && r != nil && r.next != 0 {
		r, err = w.run(r.next)
	}
	return r, err
}

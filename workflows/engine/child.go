package engine

import (
	"errors"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/jsonwrite"
	"github.com/edri-io/edri/workflows"
)

// maxClosed is how many children are closed in one transaction, and what they wait for and
// have not read. The others wait for the next entry's timers.
const maxClosed = 1000

// startChild starts a child. That it cannot be started is how it ended.
func (w *work) startChild(r *run, c startChild) error {
	if row, err := w.tx.Get(pairKey(kindChild, r.number, c.seq)); err != nil {
		return err
	} else if row != nil {
		return event.Errorf(event.CodeInvalid, "start_child: run %s has a child of sequence number %d", r.name(), c.seq)
	}
	if err := r.opens(); err != nil {
		return err
	}
	if len(c.start.correlation) == 0 {
		c.start.correlation = r.correlated()
	}
	child, _, err := w.start(c.start, origin{parent: r, seq: c.seq})
	var refused *event.Error
	if errors.As(err, &refused) {
		r.open--
		typ := workflows.ErrorInvalid
		switch refused.Code {
		case event.CodeExists:
			typ = workflows.ErrorExists
		case event.CodeNotFound:
			typ = workflows.ErrorNotFound
		}
		w.childEnded(r, c.seq, statusFailed, outcome{failure: failure(typ, refused.Message)})
		return nil
	}
	if err != nil {
		return err
	}
	w.tx.Put(pairKey(kindChild, r.number, c.seq), pair(child.number, uint64(c.onClose)))
	return nil
}

// madeBeforeReset reports whether a run is a child of the run that parent was reset from, or
// of one before that: what the code does again there, it does in the child's place.
func (w *work) madeBeforeReset(child, parent *run) (bool, error) {
	if child.parent == 0 || child.parent == parent.number {
		return false, nil
	}
	// They have the beginning of their histories in common. The run before may be forgotten
	// by now, so the child itself says where that was.
	d, err := w.details(child.number)
	if err != nil || d.root != 0 {
		return d.root == parent.pin, err
	}
	before, err := w.run(child.parent) // versions that wrote no root
	if before == nil || err != nil {
		return false, err
	}
	return before.pin == parent.pin, nil
}

// childEnded tells a run how a child ended.
func (w *work) childEnded(r *run, seq uint64, s status, o outcome) {
	kind := workflows.KindChildFailed
	if s == statusCompleted {
		kind = workflows.KindChildCompleted
	}
	var data jsonwrite.Object
	data.Number("seq", seq).Text("status", []byte(s.String())).JSON("result", o.result).JSON("error", o.failure)
	w.deliver(r, kind, data.Done())
}

func (w *work) cancelChild(r *run, c cancelChild) error {
	row, err := w.tx.Get(pairKey(kindChild, r.number, c.seq))
	if row == nil || err != nil {
		return err // it has ended
	}
	number, _, err := parsePair(row, "child of a run")
	if err != nil {
		return err
	}
	child, err := w.run(number)
	if err == nil && child != nil && child.status == statusRunning {
		w.cancelRun(child, clone(c.reason))
	}
	return err
}

// tellParent tells the parent of a run that has ended, or who goes on in its place.
func (w *work) tellParent(r *run, o outcome, next *run) error {
	if r.parent == 0 {
		return nil
	}
	key := pairKey(kindChild, r.parent, r.seq)
	row, err := w.tx.Get(key)
	if row == nil || err != nil {
		return err
	}
	number, onClose, err := parsePair(row, "child of a run")
	if err != nil || number != r.number {
		return err // it was reset: the parent's child is another
	}
	if next != nil { // also where the parent has ended, and its children are still to be closed
		w.tx.Put(key, pair(next.number, onClose))
		return nil
	}
	parent, err := w.run(r.parent)
	if err != nil || parent == nil || parent.status != statusRunning {
		return err
	}
	w.tx.Delete(key)
	parent.open--
	w.childEnded(parent, r.seq, r.status, o)
	return nil
}

// closeChildren does with the children of a run that has ended what its parent said when
// it started them.
func (w *work) closeChildren(number uint64) error {
	lo, hi := pairsOf(kindChild, number)
	keys, err := w.keysIn(lo, hi, maxClosed)
	if err != nil {
		return err
	}
	more := len(keys) == maxClosed
	spent := uint64(0)
	for _, key := range keys {
		if spent > maxClosed {
			more = true
			break
		}
		row, err := w.tx.Get(key)
		if err != nil {
			return err
		}
		child, onClose, err := parsePair(row, "child of a run")
		if err != nil {
			return err
		}
		w.tx.Delete(key)
		r, err := w.run(child)
		if err != nil {
			return err
		}
		if r == nil || r.status != statusRunning {
			continue
		}
		spent += 1 + r.open + r.mail + r.unreceived + (r.mailBytes+r.unreceivedBytes)>>12
		switch onClose {
		case closeTerminate:
			err = w.end(r, stopped(statusTerminated, "the parent has ended"))
		case closeCancel:
			w.cancelRun(r, []byte("the parent has ended"))
		}
		if err != nil {
			return err
		}
	}
	if more {
		w.setTimer(w.now(), timerClose, number, 0)
	}
	return nil
}

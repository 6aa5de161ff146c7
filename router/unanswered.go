package router

import (
	"encoding/binary"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// unanswered is the row of a request that is open and was given up:
//
//	version | uvarint id of the subscription that gave it up last
//
// It is written in the commit that gives the event up. Whether another subscription may
// still answer only the leader knows; once none may it proposes the answer, and the row
// goes. So no crash and no change of the leader loses it.
type unanswered struct{ id uint64 }

func (u unanswered) append(dst []byte) []byte {
	return binary.AppendUvarint(append(dst, rowVersion), u.id)
}

func parseUnanswered(row []byte) (unanswered, error) {
	r := reader{rest: row}
	r.version()
	u := unanswered{id: r.uvarint()}
	return u, r.done("request without an answer")
}

func unansweredKey(p event.Position) []byte { return numberKey(kindUnanswered, uint64(p)) }

// givenUp keeps that a subscription gave an event up, if that is a request whose caller
// waits.
func givenUp(tx *consensus.Tx, id uint64, p event.Position) error {
	r, ok, err := getRequest(tx, p)
	if !ok || err != nil || r.state != requestOpen {
		return err
	}
	tx.Put(unansweredKey(p), unanswered{id}.append(nil))
	tx.Note(noteUnanswered{p})
	return nil
}

// isUnanswered reports whether a subscription gave a request up, and none after it.
func isUnanswered(tx *consensus.Tx, id uint64, p event.Position) (bool, error) {
	row, err := tx.Get(unansweredKey(p))
	if row == nil || err != nil {
		return false, err
	}
	u, err := parseUnanswered(row)
	return u.id == id, err
}

// takenUp forgets that a subscription gave a request up: its dead letter is pending again.
func takenUp(tx *consensus.Tx, id uint64, p event.Position) error {
	is, err := isUnanswered(tx, id, p)
	if is {
		tx.Delete(unansweredKey(p))
	}
	return err
}

// answer executes answer: the leader's response to a request that was given up. It has no
// effect where the request is over by now or the dead letter was redriven, so that it may
// be proposed again.
func (m *Machine) answer(tx *consensus.Tx, o answerOp) ([]byte, error) {
	is, err := isUnanswered(tx, o.id, o.request)
	if !is || err != nil {
		return nil, err
	}
	r, ok, err := getRequest(tx, o.request)
	if !ok || err != nil || r.state != requestOpen || tx.Now() >= r.deadline {
		return nil, err
	}
	tx.Delete(unansweredKey(o.request))
	// A client may have taken the event's id: that must not stop the node.
	if _, err := m.take(tx, o.request, &r, nil, o.event); err != nil && event.CodeOf(err) != event.CodeIDConflict {
		return nil, proposed("answer", err)
	}
	return nil, nil
}

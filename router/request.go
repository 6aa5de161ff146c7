package router

import (
	"fmt"
	"slices"
	"time"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/timers"
)

// outcomeKept is how long after its deadline the outcome of a request is known.
const outcomeKept = time.Hour

// send executes send_request.
func (m *Machine) send(tx *consensus.Tx, o sendOp) ([]byte, error) {
	position, duplicate, err := m.sendRequest(tx, o)
	return sent(position, duplicate), err
}

func (m *Machine) sendRequest(tx *consensus.Tx, o sendOp) (position event.Position, duplicate bool, err error) {
	position, revision, err := tx.Append(string(o.stream), event.ExpectAny, o.event)
	if err != nil {
		return 0, false, err
	}
	if revision == 0 { // the event was there
		_, ok, err := getRequest(tx, position)
		if err == nil && !ok {
			err = event.Errorf(event.CodeExists, "the event is at position %d and no request that is still known", position)
		}
		return position, true, err
	}
	r := request{deadline: max(tx.Now(), 0) + o.timeout, gather: o.gather}
	if _, err := pin(tx, position, requestPin()); err != nil {
		return 0, false, err
	}
	m.timers.Set(tx, m, r.deadline, numberKey(timerDeadline, uint64(position)))
	putRequest(tx, position, &r)
	return position, false, nil
}

// respond executes respond. A response that comes too late is not appended, and is no
// failure: what else its commit does holds.
func (m *Machine) respond(tx *consensus.Tx, o respondOp) ([]byte, error) {
	r, ok, err := getRequest(tx, o.request)
	if err != nil {
		return nil, err
	}
	switch {
	case !ok:
		return responded(0, event.CodeNotFound), nil
	case r.state == requestAnswered:
		return responded(0, event.CodeAlreadyAnswered), nil
	case r.state == requestExpired || tx.Now() >= r.deadline: // its timer may fire later
		return responded(0, event.CodeDeadlineExceeded), nil
	}
	position, err := m.take(tx, o.request, &r, o.stream, o.event)
	if err != nil {
		return nil, err
	}
	return responded(position, ""), nil
}

// take appends a response to an open request, and ends it with the last.
func (m *Machine) take(tx *consensus.Tx, p event.Position, r *request, stream, response []byte) (event.Position, error) {
	position, _, err := tx.Append(string(stream), event.ExpectAny, response)
	if err != nil || slices.Contains(r.responses, position) { // the same response again
		return position, err
	}
	r.responses = append(r.responses, position)
	if len(r.responses) < r.gather {
		putRequest(tx, p, r)
		return position, nil
	}
	r.state = requestAnswered
	putRequest(tx, p, r)
	return position, m.ended(tx, p, RequestEnd{Response: position, Event: response})
}

// expire is called at the deadline of a request.
func (m *Machine) expire(tx *consensus.Tx, t timers.Timer, position event.Position) error {
	r, ok, err := getRequest(tx, position)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("%w: no request at position %d for its deadline", errRow, position)
	}
	m.timers.Set(tx, m, t.Due+int64(outcomeKept), numberKey(timerForget, uint64(position)))
	if r.state == requestOpen {
		r.state = requestExpired
		putRequest(tx, position, &r)
		return m.ended(tx, position, RequestEnd{})
	}
	return nil
}

// forget ends what is known of a request.
func forget(tx *consensus.Tx, position event.Position) {
	tx.Delete(numberKey(kindRequest, uint64(position)))
	tx.Unpin(position, requestPin())
}

func sent(position event.Position, duplicate bool) []byte {
	body := appendUint(nil, 1, uint64(position))
	if duplicate {
		body = appendUint(body, 2, 1)
	}
	return appendMessage(nil, 7, body)
}

func responded(position event.Position, code event.Code) []byte {
	body := appendUint(nil, 1, uint64(position))
	return appendMessage(nil, 8, appendBytes(body, 2, []byte(code)))
}

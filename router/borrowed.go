package router

import (
	"fmt"
	"time"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// Ender is a state machine that is told of the ends of requests, to go on where one of
// its own was awaited.
type Ender interface {
	// Name is that of the state machine.
	Name() string
	// RequestEnded is called in apply, with the Ender's own table, when a request has
	// all its responses or its deadline passes. An error stops the node.
	RequestEnded(tx *consensus.Tx, request event.Position, end RequestEnd) error
}

// RequestEnd is how a request ended: with its last response, which may be that it was given
// up, or with none. The event is
// encoded, and valid until RequestEnded returns.
type RequestEnd struct {
	Response event.Position // 0: its deadline has passed
	Event    []byte
}

// Tell makes an Ender known, before the node is opened.
func (m *Machine) Tell(e Ender) { m.enders = append(m.enders, e) }

// ended notes that a request is over, and tells who waits for it.
func (m *Machine) ended(tx *consensus.Tx, request event.Position, end RequestEnd) error {
	over(tx, request)
	for _, e := range m.enders {
		if err := e.RequestEnded(tx.In(e.Name()), request, end); err != nil {
			// Not %w: an *event.Error in it would only fail the operation.
			return fmt.Errorf("%w: tell %s of the end of request %d: %v", errRow, e.Name(), request, err)
		}
	}
	return nil
}

// over forgets that a request was given up, since it has ended, and notes that.
func over(tx *consensus.Tx, request event.Position) {
	tx.Delete(unansweredKey(request))
	tx.Note(noteRequest{request})
}

// SendIn appends a request in the transaction of another machine. Its error is an
// *event.Error, after which the operation may go on, where nothing was sent.
func (m *Machine) SendIn(tx *consensus.Tx, stream, encoded []byte, timeout time.Duration) (event.Position, error) {
	tx = tx.In(machineName)
	position, duplicate, err := m.sendRequest(tx, sendOp{stream: stream, event: encoded, timeout: int64(timeout), gather: 1})
	if err == nil && duplicate {
		err = event.Errorf(event.CodeExists, "the request is there already, at position %d", position)
	}
	return position, err
}

// CancelIn ends a request, if it is open, as its deadline would: responses are no longer
// taken. No Ender is told.
func (m *Machine) CancelIn(tx *consensus.Tx, request event.Position) error {
	tx = tx.In(machineName)
	r, ok, err := getRequest(tx, request)
	if err != nil || !ok || r.state != requestOpen {
		return err
	}
	r.state = requestExpired
	putRequest(tx, request, &r)
	over(tx, request)
	return nil
}

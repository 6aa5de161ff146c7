package router

import (
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// DeadLetter is an event that was given up.
type DeadLetter struct {
	Position   event.Position
	Generation uint64 // in which it was given up
	Stamp      int64  // when, in nanoseconds since 1970
	Attempts   []Attempt
}

// Attempt is one that failed.
type Attempt struct {
	Stamp  int64 // when, in nanoseconds since 1970
	Reason string
}

// DeadOf returns up to limit dead letters of a subscription, by its ID, at positions
// after one, in their order, and whether there are more.
func DeadOf(v *consensus.View, id uint64, after event.Position, limit int) (list []DeadLetter, more bool, err error) {
	it := v.Scan(machineName, eventKey(kindDead, id, after+1), eventsEnd(kindDead, id), false)
	defer it.Close()
	for it.Next() {
		if len(list) >= limit {
			return list, true, nil
		}
		d, err := parseDead(it.Value())
		if err != nil {
			return nil, false, err
		}
		letter := DeadLetter{Position: positionOf(it.Key()), Generation: d.generation, Stamp: d.stamp}
		for _, f := range d.failures.all() {
			letter.Attempts = append(letter.Attempts, Attempt{Stamp: f.stamp, Reason: f.reason})
		}
		list = append(list, letter)
	}
	return list, false, it.Err()
}

// DeadCount returns how many dead letters a subscription has, counting no further than
// to most.
func DeadCount(v *consensus.View, id uint64, most int) (int, error) {
	it := v.Scan(machineName, eventKey(kindDead, id, 0), eventsEnd(kindDead, id), false)
	defer it.Close()
	n := 0
	for n < most && it.Next() {
		n++
	}
	return n, it.Err()
}

// RequestState says what became of a request.
type RequestState byte

// The numbers are those of edri.v1.RequestOutcome.State.
const (
	RequestOpen     RequestState = requestOpen
	RequestAnswered RequestState = requestAnswered // all responses are there
	RequestExpired  RequestState = requestExpired  // the deadline passed before
)

// Request is a request as the state has it.
type Request struct {
	State     RequestState
	Deadline  int64 // by the cluster's time, in nanoseconds since 1970
	Gather    int   // how many responses are awaited
	Responses []event.Position
}

// RequestOf returns the request at a position, false if there is none or its outcome is
// no longer known. One that is open may be past its deadline.
func RequestOf(v *consensus.View, position event.Position) (Request, bool, error) {
	row, err := v.Get(machineName, numberKey(kindRequest, uint64(position)))
	if row == nil || err != nil {
		return Request{}, false, err
	}
	r, err := parseRequest(row)
	return Request{State: RequestState(r.state), Deadline: r.deadline, Gather: r.gather, Responses: r.responses}, err == nil, err
}

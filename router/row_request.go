package router

import (
	"encoding/binary"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// States of a request, with the numbers of edri.v1.RequestOutcome.State.
const (
	requestOpen     = 0
	requestAnswered = 1
	requestExpired  = 2
)

// request is the row of a request:
//
//	version | state | BE8 deadline | uvarint gather | uvarint count | uvarint positions …
type request struct {
	state     byte
	deadline  int64 // until when responses are taken, in nanoseconds since 1970
	gather    int   // how many are awaited
	responses []event.Position
}

func (r *request) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, rowVersion, r.state), uint64(r.deadline))
	dst = binary.AppendUvarint(dst, uint64(r.gather))
	dst = binary.AppendUvarint(dst, uint64(len(r.responses)))
	for _, p := range r.responses {
		dst = binary.AppendUvarint(dst, uint64(p))
	}
	return dst
}

func parseRequest(row []byte) (request, error) {
	r := reader{rest: row}
	r.version()
	q := request{state: r.byte(), deadline: int64(r.be8()), gather: int(r.uvarint())}
	count := r.uvarint()
	if count > uint64(len(r.rest)) {
		r.bad = true
		count = 0
	}
	q.responses = make([]event.Position, count)
	for i := range q.responses {
		q.responses[i] = event.Position(r.uvarint())
	}
	return q, r.done("request")
}

// getRequest reads the request at a position, false if there is none.
func getRequest(tx *consensus.Tx, position event.Position) (request, bool, error) {
	row, err := tx.Get(numberKey(kindRequest, uint64(position)))
	if row == nil || err != nil {
		return request{}, false, err
	}
	r, err := parseRequest(row)
	return r, err == nil, err
}

func putRequest(tx *consensus.Tx, position event.Position, r *request) {
	tx.Put(numberKey(kindRequest, uint64(position)), r.append(nil))
}

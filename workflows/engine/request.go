package engine

import (
	"encoding/json"
	"fmt"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/router"
	"github.com/edri-io/edri/workflows"
)

// RequestEnded implements router.Ender: the run that waits for a response has it, in the
// commit that made it.
func (m *Machine) RequestEnded(tx *consensus.Tx, request event.Position, end router.RequestEnd) error {
	row, err := tx.Get(numberKey(kindPosition, uint64(request)))
	if row == nil || err != nil {
		return err
	}
	number, seq, err := parsePair(row, "request of a run")
	if err != nil {
		return err
	}
	w := work{m: m, tx: tx}
	tx.Delete(numberKey(kindPosition, uint64(request)))
	tx.Delete(pairKey(kindRequest, number, seq))
	r, err := w.run(number)
	if err != nil {
		return err
	}
	if r == nil || r.status != statusRunning {
		return fmt.Errorf("%w: request of run %d, which has ended", errRow, number)
	}
	r.open--
	if end.Response == 0 {
		w.deliver(r, workflows.KindRequestExpired, seqData(seq))
	} else {
		response, err := eventJSON(end.Event)
		if err != nil {
			return err
		}
		var data object
		data.number("seq", seq).number("position", uint64(end.Response)).json("response", response)
		w.deliver(r, workflows.KindResponse, data.done())
	}
	w.put()
	return nil
}

// eventJSON returns an encoded event in the JSON of CloudEvents.
func eventJSON(encoded []byte) ([]byte, error) {
	e, err := event.DecodeEvent(encoded)
	if err != nil {
		return nil, fmt.Errorf("%w: event: %v", consensus.ErrUndecodable, err)
	}
	b, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("%w: event: %v", consensus.ErrUndecodable, err)
	}
	return b, nil
}

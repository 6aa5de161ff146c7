package engine

import (
	"fmt"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/jsonwrite"
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
	tx.Delete(numberKey(kindPosition, uint64(request)))
	tx.Delete(pairKey(kindRequest, number, seq))
	return m.within(tx, func(w *work) error { return w.responded(number, seq, end) })
}

// responded delivers the end of a request, whose rows are gone.
func (w *work) responded(number, seq uint64, end router.RequestEnd) error {
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
		return nil
	}
	response, err := eventJSON(end.Event)
	if err != nil {
		return err
	}
	if len(response) > maxEventJSON {
		if response, err = withoutData(end, len(response)); err != nil {
			return err
		}
	}
	var data jsonwrite.Object
	data.Number("seq", seq).Number("position", uint64(end.Response)).JSON("response", response)
	w.deliver(r, workflows.KindResponse, data.Done())
	return nil
}

// maxEventJSON is what an event may have as a part of another's data, which has 1 MiB.
const maxEventJSON = maxPayload

// eventJSON returns an encoded event in the JSON of CloudEvents.
func eventJSON(encoded []byte) ([]byte, error) {
	e, err := event.DecodeEvent(encoded)
	if err != nil {
		return nil, fmt.Errorf("%w: event: %v", consensus.ErrUndecodable, err)
	}
	return e.AppendJSON(nil), nil
}

// withoutData returns a response whose data is too much to be a part of a history: a
// problem is in its place, by which the request fails for good.
func withoutData(end router.RequestEnd, size int) ([]byte, error) {
	e, err := event.DecodeEvent(end.Event)
	if err != nil {
		return nil, fmt.Errorf("%w: event: %v", consensus.ErrUndecodable, err)
	}
	e.DataContentType, e.DataSchema = "application/problem+json", ""
	var problem jsonwrite.Object
	problem.Text("type", []byte(workflows.ErrorTooLarge)).Text("title", []byte("the response is larger than a history can take"))
	problem.Number("status", 413).Text("detail", fmt.Appendf(nil, "the event at position %d has %d bytes in JSON, and not %d", end.Response, size, maxEventJSON))
	e.Data = problem.Done()
	return e.AppendJSON(nil), nil
}

// tooLargeEvent is the error of a wait for an event that is more than a history can take.
func tooLargeEvent(e *consensus.Appended, h *event.Header, size int) []byte {
	var details, failure jsonwrite.Object
	details.Number("position", uint64(e.Position)).Text("stream", []byte(e.Stream)).Text("type", []byte(h.Type))
	details.Number("size", uint64(size)).Number("max", maxEventJSON)
	failure.Text("type", []byte(workflows.ErrorTooLarge))
	failure.Text("message", fmt.Appendf(nil, "the event of type %s at position %d, stream %s, has %d bytes in JSON; a history can take %d", h.Type, e.Position, e.Stream, size, maxEventJSON))
	return failure.JSON("details", details.Done()).JSON("final", []byte("true")).Done()
}

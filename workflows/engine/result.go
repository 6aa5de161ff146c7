package engine

import "github.com/edri-io/edri/internal/wire"

// The results of operations, fields of edri.v1.OpResult.

func defined(version uint32) []byte {
	return wire.AppendMessage(nil, 40, wire.AppendUint(nil, 1, uint64(version)))
}

func started(number uint64, byThis bool) []byte {
	return wire.AppendMessage(nil, 41, wire.AppendBool(wire.AppendUint(nil, 1, number), 2, byThis))
}

func changed(r *run) []byte {
	if r == nil {
		return nil // with an error
	}
	return wire.AppendMessage(nil, 42, wire.AppendUint(nil, 1, r.number))
}

func advanced(r *run) []byte {
	over := r.status != statusRunning || r.is(flagPaused)
	body := wire.AppendBool(wire.AppendUint(nil, 1, r.advance), 2, over)
	return wire.AppendMessage(nil, 43, wire.AppendUint(body, 3, uint64(r.history[len(r.history)-1].To)))
}

package wire

import "google.golang.org/protobuf/encoding/protowire"

const (
	deliverDeliveries protowire.Number = 1 // DeliverResponse
	deliverResults    protowire.Number = 2
	deliverLost       protowire.Number = 3

	deliveryEvent      protowire.Number = 1 // Delivery
	deliveryAttempt    protowire.Number = 2
	deliveryToken      protowire.Number = 3
	deliveryLease      protowire.Number = 4
	deliveryGeneration protowire.Number = 5
	deliveryDeadline   protowire.Number = 6

	settledID     protowire.Number = 1 // SettlementResult
	settledResult protowire.Number = 2
	settledError  protowire.Number = 3
)

// Deliveries is a DeliverResponse split into its encoded parts, which alias it.
type Deliveries struct {
	Deliveries, Results, Lost [][]byte
}

// Decode fills d from an encoded DeliverResponse and reuses its slices.
func (d *Deliveries) Decode(b []byte) error {
	*d = Deliveries{Deliveries: d.Deliveries[:0], Results: d.Results[:0], Lost: d.Lost[:0]}
	f := Walk(b)
	for f.Next() {
		if m, ok := f.Bytes(deliverDeliveries); ok {
			d.Deliveries = append(d.Deliveries, m)
		} else if m, ok := f.Bytes(deliverResults); ok {
			d.Results = append(d.Results, m)
		} else if m, ok := f.Bytes(deliverLost); ok {
			d.Lost = append(d.Lost, m)
		}
	}
	return f.Err()
}

// Delivery is a decoded edri.v1.Delivery. Its byte slices alias what it was decoded
// from.
type Delivery struct {
	Recorded   []byte // encoded
	Attempt    uint32
	Token      []byte
	Lease      int64 // nanoseconds
	Generation uint64
	Deadline   int64 // nanoseconds since 1970; 0: no request
}

// Decode fills d from an encoded Delivery.
func (d *Delivery) Decode(b []byte) error {
	*d = Delivery{}
	f := Walk(b)
	for f.Next() {
		if m, ok := f.Bytes(deliveryEvent); ok {
			d.Recorded = m
		} else if v, ok := f.Varint(deliveryAttempt); ok {
			d.Attempt = uint32(v)
		} else if m, ok := f.Bytes(deliveryToken); ok {
			d.Token = m
		} else if v, ok := f.Varint(deliveryLease); ok {
			d.Lease = int64(v)
		} else if v, ok := f.Varint(deliveryGeneration); ok {
			d.Generation = v
		} else if v, ok := f.Varint(deliveryDeadline); ok {
			d.Deadline = int64(v)
		}
	}
	return f.Err()
}

// Held is a decoded edri.v1.Held; Token aliases what it was decoded from.
type Held struct {
	Position uint64
	Token    []byte
}

// Decode fills h from an encoded Held.
func (h *Held) Decode(b []byte) error {
	*h = Held{}
	f := Walk(b)
	for f.Next() {
		if v, ok := f.Varint(heldPosition); ok {
			h.Position = v
		} else if m, ok := f.Bytes(heldToken); ok {
			h.Token = m
		}
	}
	return f.Err()
}

// Settled is a decoded edri.v1.SettlementResult. Error aliases what it was decoded from.
type Settled struct {
	ID uint64
	// Error is the encoded Error, the settlement's own or its commit's; nil where it
	// took effect.
	Error []byte
}

// Decode fills s from an encoded SettlementResult.
func (s *Settled) Decode(b []byte) error {
	*s = Settled{}
	f := Walk(b)
	for f.Next() {
		if v, ok := f.Varint(settledID); ok {
			s.ID = v
		} else if m, ok := f.Bytes(settledError); ok {
			s.Error = present(m)
		} else if m, ok := f.Bytes(settledResult); ok && s.Error == nil {
			failure, err := ResultError(m)
			if err != nil {
				return err
			}
			s.Error = failure
		}
	}
	return f.Err()
}

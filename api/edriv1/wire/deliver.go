package wire

import "google.golang.org/protobuf/encoding/protowire"

const (
	deliverSubscription protowire.Number = 1
	deliverMember       protowire.Number = 2
	deliverCredits      protowire.Number = 3
	deliverHeld         protowire.Number = 4
	deliverSettlements  protowire.Number = 5
	deliverExtend       protowire.Number = 6
	deliverGiveBack     protowire.Number = 7

	heldPosition protowire.Number = 1
	heldToken    protowire.Number = 2

	settlementID      protowire.Number = 1
	settlementSettle  protowire.Number = 2
	settlementEffects protowire.Number = 3

	responseDeliveries protowire.Number = 1
	responseResults    protowire.Number = 2
	responseLost       protowire.Number = 3

	deliveryEvent      protowire.Number = 1
	deliveryAttempt    protowire.Number = 2
	deliveryToken      protowire.Number = 3
	deliveryLease      protowire.Number = 4
	deliveryGeneration protowire.Number = 5
	deliveryDeadline   protowire.Number = 6

	settledID     protowire.Number = 1
	settledResult protowire.Number = 2
	settledError  protowire.Number = 3
)

// DeliverRequest is a decoded edri.v1.DeliverRequest whose parts alias its bytes.
type DeliverRequest struct {
	Subscription, Member   string
	Credits                uint64
	Held, Extend, GiveBack []Held
	Settlements            []Settlement
}

// Held is a decoded edri.v1.Held.
type Held struct {
	Position uint64
	Token    []byte
}

// Settlement is a decoded edri.v1.Settlement with its parts as encoded bytes.
type Settlement struct {
	ID      uint64
	Settle  []byte
	Effects []byte // nil: none
}

// Decode fills r from an encoded DeliverRequest.
func (r *DeliverRequest) Decode(b []byte) error {
	*r = DeliverRequest{}
	f := Walk(b)
	for f.Next() {
		var err error
		if m, ok := f.Bytes(deliverSubscription); ok {
			r.Subscription = string(m)
		} else if m, ok := f.Bytes(deliverMember); ok {
			r.Member = string(m)
		} else if v, ok := f.Varint(deliverCredits); ok {
			r.Credits = v
		} else if m, ok := f.Bytes(deliverHeld); ok {
			r.Held, err = appendHeld(r.Held, m)
		} else if m, ok := f.Bytes(deliverSettlements); ok {
			r.Settlements = append(r.Settlements, Settlement{})
			err = r.Settlements[len(r.Settlements)-1].decode(m)
		} else if m, ok := f.Bytes(deliverExtend); ok {
			r.Extend, err = appendHeld(r.Extend, m)
		} else if m, ok := f.Bytes(deliverGiveBack); ok {
			r.GiveBack, err = appendHeld(r.GiveBack, m)
		}
		if err != nil {
			return err
		}
	}
	return f.Err()
}

func appendHeld(dst []Held, b []byte) ([]Held, error) {
	var h Held
	f := Walk(b)
	for f.Next() {
		if v, ok := f.Varint(heldPosition); ok {
			h.Position = v
		} else if m, ok := f.Bytes(heldToken); ok {
			h.Token = m
		}
	}
	return append(dst, h), f.Err()
}

func (s *Settlement) decode(b []byte) error {
	f := Walk(b)
	for f.Next() {
		if v, ok := f.Varint(settlementID); ok {
			s.ID = v
		} else if m, ok := f.Bytes(settlementSettle); ok {
			s.Settle = m
		} else if m, ok := f.Bytes(settlementEffects); ok {
			s.Effects = m
		}
	}
	return f.Err()
}

// Delivery is what a Delivery says besides its event.
type Delivery struct {
	Attempt         uint64
	Token           []byte
	Lease           int64 // nanoseconds
	Generation      uint64
	RequestDeadline int64 // nanoseconds since 1970
}

// AppendDelivery appends a Delivery to the DeliverResponse in dst.
func AppendDelivery(dst []byte, d *Delivery, position, revision uint64, stream string, stamp int64, event []byte) []byte {
	inner := sizeVarint(recordedPosition, position) + sizeVarint(recordedRevision, revision) +
		sizeVarint(recordedStamp, uint64(stamp)) + sizeBytes(recordedEvent, len(event))
	if len(stream) > 0 {
		inner += sizeBytes(recordedStream, len(stream))
	}
	size := sizeBytes(deliveryEvent, inner) + sizeVarint(deliveryAttempt, d.Attempt) + sizeBytes(deliveryToken, len(d.Token)) +
		sizeVarint(deliveryLease, uint64(d.Lease)) + sizeVarint(deliveryGeneration, d.Generation) +
		sizeVarint(deliveryDeadline, uint64(d.RequestDeadline))
	dst = protowire.AppendTag(dst, responseDeliveries, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(size))
	dst = protowire.AppendTag(dst, deliveryEvent, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(inner))
	dst = AppendRecorded(dst, position, revision, stream, stamp, event)
	dst = appendVarint(dst, deliveryAttempt, d.Attempt)
	dst = AppendMessage(dst, deliveryToken, d.Token)
	dst = appendVarint(dst, deliveryLease, uint64(d.Lease))
	dst = appendVarint(dst, deliveryGeneration, d.Generation)
	return appendVarint(dst, deliveryDeadline, uint64(d.RequestDeadline))
}

// AppendSettled appends a SettlementResult to the DeliverResponse in dst: the
// CommitResult, or where that is nil the encoded Error.
func AppendSettled(dst []byte, id uint64, result, failure []byte) []byte {
	size := sizeVarint(settledID, id)
	number, part := settledResult, result
	if result == nil {
		number, part = settledError, failure
	}
	size += sizeBytes(number, len(part))
	dst = protowire.AppendTag(dst, responseResults, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(size))
	dst = appendVarint(dst, settledID, id)
	return AppendMessage(dst, number, part)
}

// AppendLost appends a lost Held to the DeliverResponse in dst.
func AppendLost(dst []byte, position uint64, token []byte) []byte {
	dst = protowire.AppendTag(dst, responseLost, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(sizeVarint(heldPosition, position)+sizeBytes(heldToken, len(token))))
	dst = appendVarint(dst, heldPosition, position)
	return AppendMessage(dst, heldToken, token)
}

// AppendOp appends an operation to the Commit in dst. suffix is what stands in the
// operation's message behind its body.
func AppendOp(dst []byte, number int32, body, suffix []byte) []byte {
	n := protowire.Number(number)
	size := len(body) + len(suffix)
	dst = protowire.AppendTag(dst, commitOps, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(sizeBytes(n, size)))
	dst = protowire.AppendTag(dst, n, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(size))
	dst = append(dst, body...)
	return append(dst, suffix...)
}

// IsOps reports whether an encoded Commit has operations and nothing else.
func IsOps(b []byte) bool {
	f := Walk(b)
	for f.Next() {
		if _, ok := f.Bytes(commitOps); !ok {
			return false
		}
	}
	return f.Err() == nil
}
